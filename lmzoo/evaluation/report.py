"""A folder with all that an evaluation found: numbers, predictions and pictures."""

import importlib.util
import json
import pathlib

import numpy as np

from lmzoo.files import atomic_folder
from lmzoo.json_files import write_json, write_text

__all__ = ["write_report"]


def write_report(found, folder, overwrite=False):
    """Writes `report.json`, the predictions and, of a classifier, two pictures, atomically.

    Args:
        found: Evaluation or Comparison. Of a comparison, predictions and pictures are those of its
            first model.
        folder: str or path. New or empty, unless `overwrite`.
        overwrite: bool. If True, an existing folder is replaced.
    Returns:
        list of str, the names of the files. Without matplotlib there are no pictures.
    Raises:
        FileExistsError: if `folder` has files and `overwrite` is False.
        OSError: if it cannot be written.
    """
    evaluation = getattr(found, "evaluations", [found])[0]
    with atomic_folder(pathlib.Path(folder), overwrite) as new:
        write_json(new / "report.json", found.to_dict())
        for number, outputs in enumerate(evaluation.outputs, 1):
            name = "predictions.jsonl" if number == 1 else f"predictions_{number}.jsonl"
            write_text(new / name, "".join(_list_lines(outputs)))
        if evaluation.confusion is not None and importlib.util.find_spec("matplotlib"):
            evaluation.draw_confusion_matrix(new / "confusion_matrix.png")
            evaluation.draw_reliability_diagram(new / "reliability.png")
        return sorted(path.name for path in new.iterdir())


def _list_lines(outputs):
    """A JSON object for each row, with the names of classes beside their ids."""
    columns = {
        name: values.tolist() if isinstance(values, np.ndarray) else values
        for name, values in outputs.columns.items()
    }
    for side in ("true", "predicted"):
        if outputs.labels and f"{side}_ids" in columns:
            ids = columns.pop(f"{side}_ids")
            columns[f"{side}_label"] = [outputs.labels[number] for number in ids]
    for row in zip(*columns.values(), strict=True):
        yield json.dumps(dict(zip(columns, row, strict=True)), ensure_ascii=False) + "\n"
