"""The arguments of the command line. What a command does is elsewhere.

Nothing here imports TensorFlow, so that `--help` and a mistyped option are answered at once.
"""

import argparse
import importlib
import sys

import lmzoo

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
    _add_predictions(commands)
    for add in (_add_export, _add_run, _add_bench, _add_list, _add_info, _add_convert):
        add(commands)
    return parser


def _add_demo(commands):
    demo = _add_command(
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
    _add_overwrite(demo, "FOLDER")


def _add_generate(commands):
    generate = _add_command(
        commands,
        "generate",
        ("generate_command", "generate"),
        "complete texts",
        "Completes each prompt and prints prompt and completion.",
        'lmzoo generate saved_models/demo/model "def main(" --temperature 0.8 --seed 1',
    )
    _add_source(generate)
    _add_texts(generate, "PROMPT", "prompts")
    generate.add_argument(
        "--whole-input",
        action="store_true",
        help="with -, take standard input as one prompt and not line by line",
    )
    _add_generation_options(generate)
    generate.add_argument(
        "--num-return-sequences", type=int, metavar="N", help="results for each prompt (default: 1)"
    )
    generate.add_argument(
        "--stream",
        action=argparse.BooleanOptionalAction,
        help="print the text as it grows (default: for one result on a terminal)",
    )
    _add_json(generate, "print JSON, completions without prompts")
    _add_dtype(generate)


def _add_predictions(commands):
    """The commands of discriminative tasks."""

    def add(name, summary, description, example, metavar="TEXT"):
        function = ("prediction_commands", name)
        command = _add_command(commands, name, function, summary, description, example)
        _add_source(command)
        _add_texts(command, metavar, "texts")
        _add_json(command)
        _add_dtype(command)
        return command

    classify = add(
        "classify",
        "give texts their labels",
        "Prints the most probable label of each text, by a TextClassifier; or by any classifier "
        "of entailment or language model, with --candidate-labels.",
        'lmzoo classify runs/films "A warm and funny film." --top-k 2',
    )
    classify.add_argument(
        "--top-k", type=int, metavar="K", help="the K most probable labels (default: 1)"
    )
    classify.add_argument(
        "--candidate-labels",
        type=_split_names,
        metavar="NAME,NAME",
        help="zero-shot classification with these labels",
    )
    _add_labels(classify)
    tag = add(
        "tag",
        "find spans in texts, such as names",
        "Prints the spans that a TokenClassifier finds in each text: label, text, score, and where "
        "they begin and end in characters.",
        'lmzoo tag hf://dslim/bert-base-NER "Ada lives in Paris." --json',
    )
    _add_labels(tag)
    fill = add(
        "fill",
        "fill in masked tokens",
        "Prints the most probable tokens for each mask token of a text, by a MaskedLM.",
        'lmzoo fill bert-base-uncased "The [MASK] sat on the mat."',
    )
    fill.add_argument(
        "--top-k", type=int, default=5, metavar="K", help="tokens for each mask (default: 5)"
    )
    answer = add(
        "answer",
        "answer questions about a text",
        "Prints the part of the context that answers each question, by a QuestionAnswerer.",
        'lmzoo answer runs/qa "Who wrote it?" --context-file article.txt',
        "QUESTION",
    )
    context = answer.add_mutually_exclusive_group(required=True)
    context.add_argument("--context", metavar="TEXT", help="the text with the answers")
    context.add_argument("--context-file", metavar="FILE", help="a UTF-8 file of that text")
    add(
        "embed",
        "give texts their vectors",
        "Prints a vector for each text, by a TextEmbedder: of a folder of sentence-transformers, "
        "or of any encoder by the mean of its last hidden states.",
        "lmzoo embed hf://sentence-transformers/all-MiniLM-L6-v2 - --json",
    )


def _add_export(commands):
    export = _add_command(
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
    _add_source(export)
    export.add_argument(
        "folder",
        metavar="OUT",
        help="the SavedModel's folder, for which TensorFlow Serving wants a number as its last "
        "part; or a file",
    )
    _add_generation_options(export)
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
        "--check",
        action="store_true",
        help="compare the SavedModel with the model on a few texts; exit code 1 if they differ",
    )
    export.add_argument(
        "--quantization",
        choices=("float16", "int8", "int4"),
        help="of a file for LiteRT: store the weights in fewer bits than float32",
    )
    _add_task(export)
    _add_overwrite(export, "OUT")
    _add_json(export, "print what was written as JSON")
    _add_dtype(export)


def _add_run(commands):
    run = _add_command(
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
    _add_generation_options(run, with_beams=False)
    run.add_argument("--context", metavar="TEXT", help="the text with the answers to questions")
    run.add_argument(
        "--candidate-labels",
        type=_split_names,
        metavar="NAME,NAME",
        help="the labels of zero-shot classification",
    )
    _add_json(run, "print JSON, completions without prompts")


def _add_bench(commands):
    bench = _add_command(
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
    _add_json(bench)


def _add_file(parser):
    parser.add_argument("file", metavar="FILE", help="a .tflite or .litertlm that lmzoo exported")
    parser.add_argument("--threads", type=int, metavar="N", help="processors to use (default: all)")


def _add_list(commands):
    models = _add_command(
        commands,
        "list",
        ("model_commands", "list_models"),
        "name the published models",
        "Names the published models with their parameters, memory, task and address on the hub. "
        "Each name is a SOURCE for the other commands. lmzoo.zoo.make_backbone makes a model of "
        "the same size with fresh weights.",
        "lmzoo list --json",
    )
    _add_json(models)


def _add_info(commands):
    info = _add_command(
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
    _add_source(info)
    info.add_argument(
        "--verify",
        action="store_true",
        help="read every weight and check how it is mapped; exit code 1 if a tensor is missing, "
        "unexpected, of a wrong shape or not finite",
    )
    _add_json(info)


def _add_convert(commands):
    convert = _add_command(
        commands,
        "convert",
        ("model_commands", "convert"),
        "write a model with another dtype or as another task",
        "Opens a model, verifies every weight, and writes config, weights and tokenizer as a "
        "folder that lmzoo and Hugging Face's tools open.",
        "lmzoo convert gpt2 runs/gpt2 --dtype bfloat16",
    )
    _add_source(convert)
    convert.add_argument("folder", metavar="OUT", help="the folder to write")
    _add_task(convert)
    convert.add_argument(
        "--shard-size",
        metavar="SIZE",
        help="the largest size of one file of weights, such as 2GB",
    )
    _add_overwrite(convert, "OUT")
    _add_json(convert, "print what was written as JSON")
    _add_dtype(convert)


def _add_command(commands, name, function, summary, description, example):
    command = commands.add_parser(
        name,
        help=summary,
        description=description,
        epilog=f"example:\n  {example}",
        formatter_class=_HelpFormatter,
    )
    command.set_defaults(run=_defer(*function))
    # Left out here, it must not undo the one before the command.
    command.add_argument(
        "--debug",
        action="store_true",
        default=argparse.SUPPRESS,
        help="show the traceback of an error",
    )
    return command


def _add_source(parser):
    parser.add_argument("source", metavar="SOURCE", help="a folder, hf://org/name or a name")
    parser.add_argument(
        "--revision", metavar="NAME", help="a branch, tag or commit of a SOURCE on the hub"
    )


def _add_texts(parser, metavar, name):
    parser.add_argument(
        name,
        metavar=metavar,
        nargs="+",
        help="a text; - reads one from each line of standard input",
    )


def _add_task(parser):
    parser.add_argument(
        "--task", metavar="CLASS", help="another class of lmzoo.tasks, with a fresh head"
    )
    _add_labels(parser)


def _add_labels(parser):
    parser.add_argument(
        "--labels",
        type=_split_names,
        metavar="NAME,NAME",
        help="the names of the classes; another number than the model's makes a fresh head",
    )


def _split_names(text):
    return [name.strip() for name in text.split(",")]


def _add_generation_options(parser, with_beams=True):
    """What is left out has the default of `lmzoo.generation.GenerationOptions`."""
    group = parser.add_argument_group("generation")
    for name, kind, metavar, text in (
        ("max-new-tokens", int, "N", "the most new tokens (default: 64)"),
        ("temperature", float, "T", "0 is greedy (default: 0; 1 if sampling)"),
        ("top-k", int, "K", "sample among the K most probable tokens"),
        ("top-p", float, "P", "sample among the most probable tokens that together reach P"),
        ("min-p", float, "P", "leave out tokens below this share of the most probable one"),
        ("repetition-penalty", float, "X", "divide the logits of tokens seen by X"),
        ("num-beams", int, "N", "beam search with N beams"),
        ("seed", int, "SEED", "the same seed gives the same text"),
    ):
        if with_beams or name != "num-beams":
            group.add_argument(f"--{name}", type=kind, metavar=metavar, help=text)
    group.add_argument(
        "--stop", action="append", metavar="TEXT", help="end before this text; may be given again"
    )


def _add_dtype(parser):
    parser.add_argument(
        "--dtype", metavar="POLICY", help="a Keras dtype policy, such as mixed_bfloat16"
    )


def _add_overwrite(parser, folder):
    parser.add_argument("--overwrite", action="store_true", help=f"replace {folder} if it is there")


def _add_json(parser, help="print JSON"):
    parser.add_argument("--json", action="store_true", help=help)


class _Parser(argparse.ArgumentParser):
    """Reports wrong use in the one line that all errors have, and names the remedy."""

    def error(self, message):
        print(f"lmzoo: error: {message}. See `{self.prog} --help`.", file=sys.stderr)
        raise SystemExit(EXIT_USAGE)


class _HelpFormatter(argparse.HelpFormatter):
    """Wraps a description and leaves an example's lines as they are."""

    def _fill_text(self, text, width, indent):
        if text.startswith("example:"):
            return text
        return super()._fill_text(text, width, indent)


def _defer(module, name):
    """A command's function, whose module is imported when the command runs."""

    def run(options):
        return getattr(importlib.import_module(f"lmzoo.cli.{module}"), name)(options)

    return run
