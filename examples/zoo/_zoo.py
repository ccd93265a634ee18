"""What the scripts of the zoo share: arguments, training that goes on, and simple baselines."""

import argparse
import math
import pathlib
import sys
import time

ROOT = pathlib.Path(__file__).parents[2]
sys.path.append(str(ROOT / "examples"))

from _helpers import common  # noqa: E402

import lmzoo  # noqa: E402
from lmzoo.json_files import read_json, write_json  # noqa: E402
from lmzoo.runs.energy import EnergyMeter  # noqa: E402

SPENT = "spent.json"
_NOTHING = {"steps": 0, "seconds": 0.0, "processor_seconds": 0.0, "joules": 0.0, "source": None}


def parse(description, name, **more):
    """Reads the arguments that every script has, imports TensorFlow and seeds all random numbers.

    Args:
        description: str. The script's docstring.
        name: str. The model, as `lmzoo.load` will know it.
        **more: str. Options of this script alone, and what `--help` says of each.
    Returns:
        argparse.Namespace of `name`, `folder`, `output`, `seed`, `smoke`, those, and `stages`, the
        folders of what `fit` has trained.
    """
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--folder",
        type=pathlib.Path,
        help=f"where checkpoints go, and from where a stopped run goes on (runs/zoo/{name})",
    )
    parser.add_argument(
        "--output",
        type=pathlib.Path,
        help=f"the folder that the finished model replaces (saved_models/{name})",
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N")
    parser.add_argument(
        "--smoke", action="store_true", help="a tiny model of little text, below --folder"
    )
    for option, text in more.items():
        parser.add_argument(f"--{option}", help=text)
    arguments = parser.parse_args()
    arguments.name, arguments.stages = name, []
    if arguments.folder is None:
        arguments.folder = ROOT / "runs" / "zoo" / (f"{name}-smoke" if arguments.smoke else name)
    if arguments.output is None:
        # What a smoke run makes must not replace the model.
        parent = arguments.folder / "written" if arguments.smoke else ROOT / "saved_models"
        arguments.output = parent / name
    common.import_tensorflow()
    import keras

    keras.utils.set_random_seed(arguments.seed)
    return arguments


# Training


def fit(task, data, arguments, stage, learning_rate, epochs, batch_size=32, num_steps=None):
    """Trains a task, or goes on where a run of the same stage was stopped.

    The learning rate rises over the first twentieth of the steps and falls by half a cosine.

    Args:
        task: a task of `lmzoo.tasks`.
        data: `lmzoo.data.Rows`, or a tf.data.Dataset of token batches.
        arguments: what `parse` gave.
        stage: str. The folder of its checkpoints, such as "pretraining".
        learning_rate: float. The highest.
        epochs: int.
        batch_size: int. Rows in a step; a dataset has its own.
        num_steps: int or None. Steps of an epoch, where the data does not end.
    """
    is_rows = isinstance(data, lmzoo.data.Rows)
    if num_steps is None:
        num_steps = math.ceil(len(data) / batch_size) if is_rows else len(data)
    total = num_steps * epochs
    rate = lmzoo.training.WarmupCosine(learning_rate, warmup=total // 20, total=total)
    task.compile(lmzoo.training.AdamW(rate, weight_decay=0.01, global_clipnorm=1.0))
    folder = arguments.folder / stage
    folder.mkdir(parents=True, exist_ok=True)
    arguments.stages.append(folder)
    task.fit(
        data,
        batch_size=batch_size if is_rows else None,
        epochs=epochs,
        steps_per_epoch=None if is_rows else num_steps,
        callbacks=[
            lmzoo.training.Checkpoint(folder / "checkpoints", keep=1, monitor=None),
            make_meter(folder / SPENT, task),
            lmzoo.training.RichProgress(),
        ],
        verbose=2,
    )


def make_meter(path, task):
    """A callback that adds up what training takes, over all starts of a run.

    Time and energy of an epoch that was cut short by the end of the process are not counted.

    Args:
        path: pathlib.Path. A JSON file: `steps`, `seconds`, `processor_seconds` (of all cores
            together), `joules` (None where nothing counts them) and their `source`.
        task: the task, whose optimizer counts the steps.
    """
    import keras

    meter, now = EnergyMeter(may_estimate=False), {}

    def begin(epoch, logs=None):
        meter.start()
        now.update(seconds=time.perf_counter(), processor_seconds=time.process_time())

    def add(epoch, logs=None):
        spent = read_json(path) if path.exists() else _NOTHING
        energy = meter.stop() or {"joules": None, "source": None}
        write_json(
            path,
            {
                "steps": int(task.optimizer.iterations),
                "seconds": spent["seconds"] + time.perf_counter() - now["seconds"],
                "processor_seconds": spent["processor_seconds"]
                + time.process_time()
                - now["processor_seconds"],
                "joules": add_or_none(spent["joules"], energy["joules"]),
                "source": energy["source"],
            },
        )

    return keras.callbacks.LambdaCallback(on_epoch_begin=begin, on_epoch_end=add)


def add_or_none(one, other):
    return None if one is None or other is None else one + other


def sum_spent(arguments):
    """What all stages of a model have taken together, as `make_meter` writes it."""
    total = dict(_NOTHING)
    for folder in arguments.stages:
        spent = read_json(folder / SPENT)
        for name in ("steps", "seconds", "processor_seconds"):
            total[name] += spent[name]
        total["joules"] = add_or_none(total["joules"], spent["joules"])
        total["source"] = spent["source"]
    return total


# Baselines


class Baseline:
    """A simple model that `lmzoo.evaluate` asks as it asks a task.

    Its labels and its kind are those of the task that it stands beside; what it answers is its own.

    Args:
        task: a task of `lmzoo.tasks`.
        **methods: such as `classify`, with the arguments that the task's has.
    """

    def __init__(self, task, **methods):
        vars(self).update(methods, _task=task)

    def __getattr__(self, name):
        return getattr(self._task, name)
