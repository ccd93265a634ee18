"""The arguments of `lmzoo demo`, `train` and `tune`."""

from lmzoo.cli import arguments

__all__ = ["add_demo", "add_train", "add_tune"]


def add_demo(commands):
    demo = arguments.add_command(
        commands,
        "demo.demo",
        "train a small model on this Python's own library and export it, in a few minutes",
        "Trains a small GPT on the source code of Python's standard library, measures it on files "
        "that it has not seen, completes three prompts, exports a SavedModel, and shows that a "
        "process with TensorFlow alone gives the same text.",
        "lmzoo demo --output saved_models/demo",
    )
    demo.add_argument("--steps", type=int, metavar="N", help="training steps (default: 350)")
    demo.add_argument(
        "--output",
        default="saved_models/demo",
        metavar="FOLDER",
        help="where model and SavedModel go (default: %(default)s)",
    )
    demo.add_argument(
        "--seed", type=int, default=0, help="another seed, another model (default: 0)"
    )
    arguments.add_overwrite(demo, "FOLDER")


def add_train(commands):
    train = arguments.add_command(
        commands,
        "train.train",
        "train a model by a recipe, and go on where a run was stopped",
        "Trains by a recipe in TOML: data, tokenizer, model, optimizer, devices, validation, "
        "checkpoints and exports. The same command goes on with a run that was stopped. With "
        "TF_CONFIG in the environment it is the command of one worker.",
        "lmzoo train examples/recipes/pretrain_gpt.toml --set training.steps=100",
    )
    arguments.add_recipe(
        train,
        "training.steps=100",
        dry_run="check the recipe, read the data and make the model, but train and write nothing",
        workers="try the recipe with N processes on this machine, joined as hosts would be",
    )


def add_tune(commands):
    tune = arguments.add_command(
        commands,
        "tune.tune",
        "search for the best recipe, and go on where a search was stopped",
        "Trains many models by one recipe, in which [space] has choices and ranges, and keeps the "
        "best. Each trial has a process of its own. The same command goes on with a search that "
        "was stopped. With keras-tuner's KERASTUNER_TUNER_ID, KERASTUNER_ORACLE_IP and "
        "KERASTUNER_ORACLE_PORT in the environment it is the command of a chief or a worker.",
        "lmzoo tune examples/recipes/tune_bert.toml --set search.max_trials=20",
    )
    arguments.add_recipe(
        tune,
        "search.max_trials=20",
        dry_run="check the recipe and print what would be searched, but train and write nothing",
        workers="run N trials at a time on this machine, by a chief and N workers",
    )
