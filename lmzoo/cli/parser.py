"""The arguments of the command line. What a command does is elsewhere.

Nothing here imports TensorFlow, so that `--help` and a mistyped option are answered at once.
"""

import argparse
import sys

import lmzoo
from lmzoo.cli.arguments import (
    add_command,
    add_dtype,
    add_generation_options,
    add_json,
    add_overwrite,
    add_recipe,
    add_source,
    add_task,
    add_texts,
    split_names,
)
from lmzoo.cli.evaluate_parser import add_evaluate
from lmzoo.cli.prediction_parser import add_explain, add_predictions
from lmzoo.cli.serve_parser import add_serve

__all__ = ["EXIT_USAGE", "make_parser"]

EXIT_USAGE = 2
_DESCRIPTION = """\
Language models for Keras: from text files to one file that takes text and gives text.

A SOURCE is a model: a folder in Hugging Face's layout, hf://org/name, or a name that
`lmzoo list` prints."""


def make_parser():
    """The parser of the command line; its result has the function of the command as `run`."""
    parser = _Parser(
        prog="lmzoo",
        description=_DESCRIPTION,
        epilog="example:\n  lmzoo demo",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"lmzoo {lmzoo.__version__}")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_demo(commands)
    _add_generate(commands)
    add_predictions(commands)
    add_explain(commands)
    _add_train(commands)
    _add_tune(commands)
    add_evaluate(commands)
    add_serve(commands)
    for add in (_add_export, _add_run, _add_bench, _add_list, _add_info, _add_convert):
        add(commands)
    return parser


def _add_demo(commands):
    demo = add_command(
        commands,
        "demo",
        ("demo", "run"),
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
    add_overwrite(demo, "FOLDER")


def _add_generate(commands):
    generate = add_command(
        commands,
        "generate",
        ("generate_command", "generate"),
        "complete texts",
        "Completes each prompt and prints prompt and completion.",
        'lmzoo generate saved_models/demo/model "def main(" --temperature 0.8 --seed 1',
    )
    add_source(generate)
    add_texts(generate, "PROMPT", "prompts")
    generate.add_argument(
        "--whole-input",
        action="store_true",
        help="with -, take standard input as one prompt and not line by line",
    )
    add_generation_options(generate)
    generate.add_argument(
        "--num-return-sequences", type=int, metavar="N", help="results for each prompt (default: 1)"
    )
    generate.add_argument(
        "--stream",
        action=argparse.BooleanOptionalAction,
        help="print the text as it grows (default: for one result on a terminal)",
    )
    add_json(generate, "print JSON, completions without prompts")
    add_dtype(generate)


def _add_train(commands):
    train = add_command(
        commands,
        "train",
        ("train_command", "train"),
        "train a model by a recipe, and go on where a run was stopped",
        "Trains by a recipe in TOML: data, tokenizer, model, optimizer, devices, validation, "
        "checkpoints and exports. The same command goes on with a run that was stopped. With "
        "TF_CONFIG in the environment it is the command of one worker.",
        "lmzoo train examples/recipes/pretrain_gpt.toml --set training.steps=100",
    )
    add_recipe(
        train,
        "training.steps=100",
        dry_run="check the recipe, read the data and make the model, but train and write nothing",
        workers="try the recipe with N processes on this machine, joined as hosts would be",
    )


def _add_tune(commands):
    tune = add_command(
        commands,
        "tune",
        ("tune_command", "tune"),
        "search for the best recipe, and go on where a search was stopped",
        "Trains many models by one recipe, in which [space] has choices and ranges, and keeps the "
        "best. Each trial has a process of its own. The same command goes on with a search that "
        "was stopped. With keras-tuner's KERASTUNER_TUNER_ID, KERASTUNER_ORACLE_IP and "
        "KERASTUNER_ORACLE_PORT in the environment it is the command of a chief or a worker.",
        "lmzoo tune examples/recipes/tune_bert.toml --set search.max_trials=20",
    )
    add_recipe(
        tune,
        "search.max_trials=20",
        dry_run="check the recipe and print what would be searched, but train and write nothing",
        workers="run N trials at a time on this machine, by a chief and N workers",
    )


def _add_export(commands):
    export = add_command(
        commands,
        "export",
        ("model_commands", "export"),
        "write a SavedModel, text in and text out, or one file for LiteRT",
        "Writes tokenizer, model and decoding as one SavedModel, which TensorFlow runs without "
        "lmzoo; or as a file for LiteRT where OUT ends in .tflite or .litertlm. The generation "
        "options become its defaults.",
        "lmzoo export saved_models/demo/model saved_models/gpt/1 --max-new-tokens 32 --check\n"
        "  lmzoo export saved_models/demo/model gpt.litertlm --quantization int8",
    )
    add_source(export)
    export.add_argument(
        "folder",
        metavar="OUT",
        help="the SavedModel's folder, for which TensorFlow Serving wants a number as its last "
        "part; or a file",
    )
    add_generation_options(export)
    export.add_argument(
        "--jit-compile",
        action="store_true",
        help="compile decoding with XLA: faster, but not every server runs it",
    )
    export.add_argument(
        "--truncate-prompts",
        action="store_true",
        help="cut overlong prompts on the left instead of refusing their batch",
    )
    export.add_argument(
        "--scoring",
        action="store_true",
        help="add signatures that score texts, for an evaluation of the SavedModel",
    )
    export.add_argument(
        "--continuous-batching",
        action="store_true",
        help="add signatures with which `lmzoo serve` lets prompts join a running batch",
    )
    export.add_argument(
        "--check",
        action="store_true",
        help="compare the SavedModel with the model on a few texts; exit code 1 if they differ",
    )
    export.add_argument(
        "--quantization",
        choices=("float16", "int8", "int4"),
        help="store the weights in fewer bits than float32; float16 is for LiteRT alone",
    )
    add_task(export)
    add_overwrite(export, "OUT")
    add_json(export, "print what was written as JSON")
    add_dtype(export)


def _add_run(commands):
    run = add_command(
        commands,
        "run",
        ("runtime_commands", "run"),
        "run an exported .tflite or .litertlm file",
        "Runs a file that `lmzoo export` wrote, without TensorFlow: completes each TEXT and prints "
        "it as it grows, or prints its labels, spans, tokens, answers or vectors, as the file's "
        "task has it.",
        'lmzoo run gpt.litertlm "def main(" --temperature 0.8 --seed 1',
    )
    _add_file(run)
    run.add_argument(
        "texts",
        metavar="TEXT",
        nargs="*",
        help="a text; - or none reads one from each line of standard input",
    )
    add_generation_options(run, with_beams=False)
    run.add_argument("--context", metavar="TEXT", help="the text with the answers to questions")
    run.add_argument(
        "--candidate-labels",
        type=split_names,
        metavar="NAME,NAME",
        help="the labels of zero-shot classification",
    )
    add_json(run, "print JSON, completions without prompts")


def _add_bench(commands):
    bench = add_command(
        commands,
        "bench",
        ("runtime_commands", "bench"),
        "measure an exported file on this machine",
        "Prints how many tokens a second a file reads and writes, the seconds to load it and to a "
        "first token, and the most memory that the process had.",
        "lmzoo bench gpt.litertlm --prompt-tokens 128",
    )
    _add_file(bench)
    for name, default, text in (
        ("prompt-tokens", 32, "tokens of a prompt, or of each text"),
        ("new-tokens", 64, "tokens that are generated"),
        ("repeats", 3, "runs whose median counts"),
    ):
        bench.add_argument(
            f"--{name}", type=int, default=default, metavar="N", help=f"{text} (default: {default})"
        )
    add_json(bench)


def _add_file(parser):
    parser.add_argument(
        "file",
        metavar="FILE",
        help="a .tflite or .litertlm that lmzoo exported, or the name of a trained model",
    )
    parser.add_argument("--threads", type=int, metavar="N", help="processors to use (default: all)")


def _add_list(commands):
    models = add_command(
        commands,
        "list",
        ("model_commands", "list_models"),
        "name the trained models that come with lmzoo, and published ones",
        "Names the trained models that come with lmzoo with their size on disk and their held-out "
        "score, and published models with their parameters, memory, task and address on the hub. "
        "Each name is a SOURCE for the other commands. lmzoo.zoo.make_backbone makes a model of "
        "the same size with fresh weights.",
        "lmzoo list --json",
    )
    add_json(models)


def _add_info(commands):
    info = add_command(
        commands,
        "info",
        ("model_commands", "info"),
        "describe a model",
        "Reads the configuration and the headers of the weights: family, sizes, parameters, "
        "memory, task, tokenizer, license, files. It is quick, because no weight is read, and of "
        "a model on the hub only the small files are downloaded. Of an exported .tflite or "
        ".litertlm: task, signatures, tokenizer, quantization and sizes.",
        "lmzoo info hf://openai-community/gpt2 --verify",
    )
    add_source(info)
    info.add_argument(
        "--verify",
        action="store_true",
        help="read every weight and check how it is mapped; exit code 1 if a tensor is missing, "
        "unexpected, of a wrong shape or not finite",
    )
    training = info.add_argument_group("memory of training")
    training.add_argument(
        "--train", action="store_true", help="estimate the peak memory of training on a processor"
    )
    training.add_argument(
        "--batch-size", type=int, metavar="N", help="examples in a batch (default: 8)"
    )
    training.add_argument(
        "--sequence-length",
        type=int,
        metavar="N",
        help="tokens of an example (default: the model's context, at most 512)",
    )
    training.add_argument(
        "--remat", action="store_true", help="compute each block again in the backward pass"
    )
    training.add_argument(
        "--accumulation-steps", type=int, metavar="N", help="parts of a batch (default: 1)"
    )
    add_dtype(training)
    add_task(training)
    add_json(info)


def _add_convert(commands):
    convert = add_command(
        commands,
        "convert",
        ("model_commands", "convert"),
        "write a model with another dtype or as another task",
        "Opens a model, verifies every weight, and writes config, weights and tokenizer as a "
        "folder that lmzoo and Hugging Face's tools open.",
        "lmzoo convert gpt2 runs/gpt2 --dtype bfloat16",
    )
    add_source(convert)
    convert.add_argument("folder", metavar="OUT", help="the folder to write")
    add_task(convert)
    convert.add_argument(
        "--shard-size",
        metavar="SIZE",
        help="the largest size of one file of weights, such as 2GB",
    )
    add_overwrite(convert, "OUT")
    add_json(convert, "print what was written as JSON")
    add_dtype(convert)


class _Parser(argparse.ArgumentParser):
    """Reports wrong use in the one line that all errors have, and names the remedy."""

    def error(self, message):
        print(f"lmzoo: error: {message}. See `{self.prog} --help`.", file=sys.stderr)
        raise SystemExit(EXIT_USAGE)
