"""The folders that transformers writes for three small encoders, put together from golden files."""

import hashlib
import json
import pathlib

import numpy as np
import safetensors.numpy

GOLDEN = pathlib.Path(__file__).parents[1] / "golden"
FAMILIES = {"bert": "Bert", "roberta": "Roberta", "distilbert": "DistilBert"}
# Families that were added as records alone.
ADDED = {
    "xlm_roberta": "XLMRoberta",
    "mpnet": "MPNet",
    "electra": "Electra",
    "electra_base": "Electra",
    "modern_bert": "ModernBert",
}
_PREFIXES = {"xlm_roberta": "roberta.", "electra_base": "electra.", "modern_bert": "model."}
PATTERNS = ("full", "right", "middle")
HEADS = {
    "Model": "TextEmbedder",
    "ForMaskedLM": "MaskedLM",
    "ForSequenceClassification": "TextClassifier",
    "ForTokenClassification": "TokenClassifier",
    "ForQuestionAnswering": "QuestionAnswerer",
}


def read_expected(family):
    with np.load(GOLDEN / family / "expected.npz") as file:
        return dict(file)


def read_folder(family, head):
    """The config.json and the tensors of one class."""
    folders = json.loads((GOLDEN / family / "folders.json").read_text(encoding="utf-8"))
    class_name = {**FAMILIES, **ADDED}[family] + head
    folder = folders[class_name]
    with np.load(GOLDEN / family / "weights.npz") as file:
        bare = {
            name: name.removeprefix(_PREFIXES.get(family, f"{family}."))
            for name in folder["tensors"]
        }
        # A tensor whose shape is that of one class alone has the class before its name.
        names = {
            name: f"{class_name}/{own}" if f"{class_name}/{own}" in file else own
            for name, own in bare.items()
        }
        tensors = {name: (file[names[name]] / 64).astype(np.float32) for name in names}
    return folder["config"], tensors, folder["sha256"]


def write_folder(folder, family, head, change_tensors=None, **fields):
    """Writes what transformers has written, with changes.

    Args:
        folder: pathlib.Path.
        family: str. A key of `FAMILIES` or `ADDED`.
        head: str. A key of `HEADS`.
        change_tensors: callable that changes a dict of name -> array in place, or None.
        fields: of config.json.
    """
    config, tensors, digest = read_folder(family, head)
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps({**config, **fields}), encoding="utf-8")
    if change_tensors is not None:
        change_tensors(tensors)
    path = folder / "model.safetensors"
    safetensors.numpy.save_file(tensors, path, {"format": "pt"})
    if change_tensors is None:
        # The very file of transformers.
        assert hashlib.sha256(path.read_bytes()).hexdigest() == digest
    return folder
