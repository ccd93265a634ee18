"""A recipe's way through the package: what is built, one call of `fit`, and what is written."""

import json
import os
import pathlib
import sys
import time
from typing import NamedTuple

from lmzoo.json_files import read_json, write_text
from lmzoo.runs.recipe import read_recipe

__all__ = ["Run", "TrainedRun", "check", "train"]

_CONFIG = "config.json"
# What may be another value when a run goes on.
_MAY_CHANGE = ("run_dir", "training.steps", "training.epochs", "checkpoints.", "export.")
_NUMBERS_OF_VALIDATIONS = (10, 8, 5, 4, 2, 1)


class TrainedRun(NamedTuple):
    """What `train` gives: the trained task, the report (dict) and the folder (path) of the run."""

    task: object
    report: dict
    folder: pathlib.Path


def train(recipe=None, *, overrides=(), verbose=False, **sections):
    """Trains a model by a recipe; called again, it goes on where it was.

    The folder of the run gets `config.json`, `metrics.jsonl` with a line for each step,
    `checkpoints/`, `model/` in Hugging Face's layout, and `report.json`. With several workers
    (TF_CONFIG), each of them makes this call.

    Args:
        recipe: str or path of a TOML file, dict in the form of one, or None. The README of
            `lmzoo/runs` has its keys.
        overrides: list of str such as "training.steps=100", which win over all else.
        verbose: bool. Whether to show progress on stderr.
        **sections: values in the form of a recipe, which win over its own, such as
            `training={"steps": 100}`.
    Returns:
        TrainedRun.
    Raises:
        ValueError: if a key or a value is wrong, in a message with file, line and key; or if the
            folder has a run of another recipe.
        OSError: if a file cannot be read or written.
    Example:
        lmzoo.train("recipe.toml", training={"steps": 100})
    """
    begun = time.monotonic()
    run = Run(read_recipe(recipe, overrides, sections), writes=True, verbose=verbose)
    return run.train(begun)


def check(recipe=None, *, overrides=(), **sections):
    """Checks a recipe as `train` would, without training or writing into the folder of the run.

    Data are read and tokenized, and model and optimizer are made.

    Args:
        recipe, overrides, **sections: as for `train`.
    Returns:
        dict of str to value: what would be trained, and how.
    Raises:
        ValueError, OSError: as `train`.
    """
    return Run(read_recipe(recipe, overrides, sections), writes=False).describe()


class Run:
    """All that a recipe names, built in the order in which one needs the other.

    Args:
        recipe: Recipe.
        writes: bool. Whether the folder of the run is made.
        verbose: bool. Whether the chief shows what is done, on stderr.
    """

    def __init__(self, recipe, writes, verbose=False):
        from lmzoo.runs import devices

        self.recipe = recipe
        self.folder = pathlib.Path(recipe["run_dir"] or f"runs/{recipe.name or 'run'}")
        # Before anything else of TensorFlow.
        self.strategy = devices.make_strategy(recipe)
        self.is_chief = devices.is_chief(self.strategy)
        self.verbose = verbose and self.is_chief
        devices.check_batch_size(recipe, self.strategy)
        if writes:
            _prepare_folder(recipe, self.folder, self.is_chief)
        self._build(self.folder if writes else None)

    def _build(self, folder):
        import keras

        from lmzoo.runs import building
        from lmzoo.runs.devices import scope_of

        recipe = self.recipe
        keras.utils.set_random_seed(recipe["training.seed"])
        rows, held_out = building.open_rows(recipe)
        with scope_of(self.strategy):
            self.task = building.build_task(recipe, rows, folder, self.is_chief)
            self.data = building.build_data(recipe, self.task, rows, held_out, self.verbose)
            self.num_steps, self.steps_per_epoch = _plan_steps(recipe, self.data)
            building.compile_task(recipe, self.task, self.num_steps)

    def describe(self):
        """What will be trained: dict of str to value."""
        from lmzoo.runs.devices import describe_devices

        recipe, task = self.recipe, self.task
        optimizer = getattr(task.optimizer, "inner_optimizer", task.optimizer)
        return {
            "task": type(task).__name__,
            "backbone": type(task.backbone).__name__,
            "parameters": task.count_params(),
            "vocabulary": task.backbone.vocabulary_size,
            "precision": task.dtype_policy.name,
            "steps": self.num_steps,
            "steps_per_epoch": self.steps_per_epoch or self.data.num_steps,
            "batch_size": recipe["data.batch_size"],
            "validation": self.data.validation is not None,
            "optimizer": type(optimizer).__name__,
            "devices": describe_devices(self.strategy),
            "run_dir": str(self.folder),
        }

    def train(self, begun):
        """Fits, saves, exports and reports; `begun` is when, by `time.monotonic()`."""
        from lmzoo.runs.energy import EnergyMeter
        from lmzoo.runs.metrics_log import MetricsLog, StepRecorder
        from lmzoo.training import Checkpoint, RichProgress

        _say(self.describe(), self.verbose)
        options = _section(self.recipe, "checkpoints")
        checkpoint = Checkpoint(self.folder / "checkpoints", verbose=self.verbose, **options)
        recorder = StepRecorder(self.task, self.strategy)
        log = MetricsLog(self.folder, recorder, self.is_chief)
        progress = [RichProgress(self._count_tokens_per_step())] if self.verbose else []
        meter = EnergyMeter()
        meter.start()
        try:
            self.fit([*progress, log, checkpoint])
        finally:
            log.close()
            recorder.close()
            for each in progress:
                each.close()
        energy = meter.stop()
        first = log.first_step_at
        timing = {
            "seconds": time.monotonic() - begun,
            "seconds_to_first_step": None if first is None else first - begun,
            "seconds_in_checkpoints": checkpoint.seconds,
        }
        if not self.is_chief:
            return TrainedRun(self.task, {}, self.folder)
        report = self._finish(timing, energy, is_new=first is not None)
        return TrainedRun(self.task, report, self.folder)

    def fit(self, callbacks):
        """One call of the task's `fit` with the data and the steps of the recipe.

        Args:
            callbacks: list of keras.callbacks.Callback.
        """
        options = {"batch_size": self.data.batch_size} if self.data.batch_size else {}
        if self.steps_per_epoch:
            options["steps_per_epoch"] = self.steps_per_epoch
        if self.data.validation is not None:
            options["validation_data"] = self.data.validation
            options["validation_steps"] = self._count_validation_steps()
        self.task.fit(
            self.data.training,
            epochs=self.num_steps // (self.steps_per_epoch or self.data.num_steps),
            callbacks=callbacks,
            verbose=0,
            **options,
        )

    def _count_validation_steps(self):
        """As many as the recipe wants, but not more than there are."""
        limit, size = self.recipe["validation.steps"], self.data.batch_size
        num_steps = (
            len(self.data.validation) if size is None else -(-len(self.data.validation) // size)
        )
        return num_steps if limit is None else min(limit, num_steps)

    def _finish(self, timing, energy, is_new):
        """Writes model, exports and report; the report alone only where there is a new one."""
        from lmzoo.runs import report as reporting
        from lmzoo.runs.devices import count_processors, describe_devices

        path = self.folder / "report.json"
        if is_new or not path.exists():
            timing = {**timing, "devices": describe_devices(self.strategy)}
            num_processors = count_processors(self.strategy)
            batch = self._read_batch()
            report = reporting.make_report(
                self.folder, self.task, batch, timing, energy, num_processors
            )
        else:
            report = read_json(path)
        model = self.folder / "model"
        self.task.save_pretrained(model, overwrite=True)
        reporting.write_card(model, self.recipe, report)
        self._export(model)
        reporting.write_report(self.folder, report)
        return report

    def _export(self, model):
        from lmzoo.hub import load

        options = {"overwrite": True}
        if self.recipe["export.saved_model"]:
            # Opened anew: exports compute in float32, and not under a strategy.
            load(model, dtype="float32").export(self.folder / "saved_model" / "1", **options)
        if self.recipe["export.litert"]:
            if "export.quantization" in self.recipe:
                options["quantization"] = self.recipe["export.quantization"]
            path = self.folder / "model.tflite"
            load(model, dtype="float32").export(path, verbose=False, **options)

    def _count_tokens_per_step(self):
        """int, or None where examples differ in length."""
        if self.data.batch_size is not None:
            return None
        inputs = self.data.training.element_spec[0]
        names = [name for name in inputs if name.endswith("token_ids")]
        sizes = [inputs[name].shape.num_elements() for name in names]
        return None if None in sizes else sum(sizes)

    def _read_batch(self):
        """A dict of token batches as the run has them."""
        training = self.data.training
        if self.data.batch_size is not None:
            training = training.select(range(min(len(training), self.data.batch_size)))
            training = self.task.preprocess(training, batch_size=self.data.batch_size)
        element = next(iter(training))
        return element[0] if isinstance(element, tuple) else element


def _say(found, verbose):
    if verbose:
        line = (
            f"{found['task']} on a {found['backbone']} of {found['parameters']:,} parameters: "
            f"{found['steps']} steps of {found['batch_size']}, {found['precision']}, "
            f"{found['devices']}, in {found['run_dir']}"
        )
        print(line, file=sys.stderr)


def _plan_steps(recipe, data):
    """All steps, and those of what `fit` calls an epoch; None for one pass over the data."""
    steps, epochs = recipe["training.steps"], recipe["training.epochs"]
    if steps is None:
        return epochs * data.num_steps, None
    every = recipe["validation.every_steps"]
    if every is None and data.validation is not None:
        every = next(steps // count for count in _NUMBERS_OF_VALIDATIONS if steps % count == 0)
    return steps, every or steps


def _section(recipe, name):
    """The values of a table, dict of its last names."""
    values = recipe.to_dict()
    return {
        key.removeprefix(f"{name}."): values[key] for key in values if key.startswith(f"{name}.")
    }


def _prepare_folder(recipe, folder, is_chief):
    """Makes the folder of a run, and refuses one that has a run of another recipe.

    Raises:
        OSError: if it cannot be written.
        ValueError: if it has checkpoints of another recipe; with the difference.
    """
    from lmzoo.training.checkpoint_state import find_differences

    config, path = json.loads(json.dumps(recipe.to_dict())), folder / _CONFIG
    has_begun = any((folder / "checkpoints").glob("step-*"))
    if has_begun and path.exists():
        lines = find_differences(_without_changes(read_json(path)), _without_changes(config))
        if lines:
            raise recipe.make_error(
                "run_dir",
                f"must not hold a run of another recipe, which differs in {'; '.join(lines[:5])}. "
                "Choose another `run_dir`, or change it back",
                str(folder),
            )
    if not is_chief:
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_text(path, json.dumps(config, indent=2) + "\n")
    except OSError as error:
        place = recipe.place("run_dir")
        text = f"{place}`run_dir` must be a folder that can be written. {os.strerror(error.errno)}"
        raise OSError(error.errno, text, str(folder)) from error


def _without_changes(config):
    return {key: config[key] for key in config if not key.startswith(_MAY_CHANGE)}
