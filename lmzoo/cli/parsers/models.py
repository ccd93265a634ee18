"""The arguments of `lmzoo list`, `info`, `convert` and `export`."""

from lmzoo.cli import arguments

__all__ = ["add_convert", "add_export", "add_info", "add_list"]


def add_list(commands):
    models = arguments.add_command(
        commands,
        "models.list_models",
        "name the trained models that come with lmzoo, and published ones",
        "Names the trained models that come with lmzoo with their size on disk and their held-out "
        "score, and published models with their parameters, memory, task and address on the hub. "
        "Each name is a SOURCE for the other commands. lmzoo.zoo.make_backbone makes a model of "
        "the same size with fresh weights.",
        "lmzoo list --json",
        name="list",
    )
    arguments.add_json(models)


def add_info(commands):
    info = arguments.add_command(
        commands,
        "models.info",
        "describe a model",
        "Reads the configuration and the headers of the weights: family, sizes, parameters, "
        "memory, task, tokenizer, license, files. It is quick, because no weight is read, and of "
        "a model on the hub only the small files are downloaded. Of an exported .tflite or "
        ".litertlm: task, signatures, tokenizer, quantization and sizes.",
        "lmzoo info hf://openai-community/gpt2 --verify",
    )
    arguments.add_source(info)
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
    for name, text in (
        ("batch-size", "examples in a batch (default: 8)"),
        ("sequence-length", "tokens of an example (default: the model's context, at most 512)"),
        ("accumulation-steps", "parts of a batch (default: 1)"),
    ):
        training.add_argument(f"--{name}", type=int, metavar="N", help=text)
    training.add_argument(
        "--remat", action="store_true", help="compute each block again in the backward pass"
    )
    arguments.add_dtype(training)
    arguments.add_task(training)
    arguments.add_json(info)


def add_convert(commands):
    convert = arguments.add_command(
        commands,
        "models.convert",
        "write a model with another dtype or as another task",
        "Opens a model, verifies every weight, and writes config, weights and tokenizer as a "
        "folder that lmzoo and Hugging Face's tools open.",
        "lmzoo convert gpt2 runs/gpt2 --dtype bfloat16",
    )
    arguments.add_source(convert)
    convert.add_argument("folder", metavar="OUT", help="the folder to write")
    arguments.add_task(convert)
    convert.add_argument(
        "--shard-size",
        metavar="SIZE",
        help="the largest size of one file of weights, such as 2GB",
    )
    arguments.add_overwrite(convert, "OUT")
    arguments.add_json(convert, "print what was written as JSON")
    arguments.add_dtype(convert)


def add_export(commands):
    export = arguments.add_command(
        commands,
        "export.export",
        "write a SavedModel, text in and text out, or one file for LiteRT",
        "Writes tokenizer, model and decoding as one SavedModel, which TensorFlow runs without "
        "lmzoo; or as a file for LiteRT where OUT ends in .tflite or .litertlm. The generation "
        "options become its defaults.",
        "lmzoo export saved_models/demo/model saved_models/gpt/1 --max-new-tokens 32 --check\n"
        "  lmzoo export saved_models/demo/model gpt.litertlm --quantization int8",
    )
    arguments.add_source(export)
    export.add_argument(
        "folder",
        metavar="OUT",
        help="the SavedModel's folder, for which TensorFlow Serving wants a number as its last "
        "part; or a file",
    )
    arguments.add_generation_options(export)
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
    arguments.add_task(export)
    arguments.add_overwrite(export, "OUT")
    arguments.add_json(export, "print what was written as JSON")
    arguments.add_dtype(export)
