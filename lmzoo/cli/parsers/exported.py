"""The arguments of the commands for what `lmzoo export` wrote: `run`, `bench` and `serve`."""

from lmzoo.cli import arguments

__all__ = ["add_bench", "add_run", "add_serve"]


def _add_file(parser):
    parser.add_argument(
        "file",
        metavar="FILE",
        help="a .tflite or .litertlm that lmzoo exported, or the name of a trained model",
    )
    parser.add_argument("--threads", type=int, metavar="N", help="processors to use (default: all)")


def add_run(commands):
    run = arguments.add_command(
        commands,
        "exported.run",
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
    arguments.add_generation_options(run, with_beams=False)
    run.add_argument("--context", metavar="TEXT", help="the text with the answers to questions")
    arguments.add_names(run, "--candidate-labels", "the labels of zero-shot classification")
    arguments.add_json(run, "print JSON, completions without prompts")


def add_serve(commands):
    serve = arguments.add_command(
        commands,
        "serve.serve",
        "serve a folder of models over HTTP",
        "Serves the SavedModels in FOLDER/NAME/VERSION, and models in Hugging Face's layout in "
        "FOLDER/NAME, by TensorFlow Serving's REST paths and OpenAI's, with a page to try them. "
        "New versions are found, tested and swapped in while it runs. Without FOLDER the trained "
        "models of `lmzoo list` are served; the name of one serves it alone. Prints its address. A "
        "token "
        "is read from LMZOO_SERVE_TOKEN; without one it listens on this machine alone.",
        "lmzoo serve saved_models --port 8501",
    )
    serve.add_argument(
        "folder",
        metavar="FOLDER",
        nargs="?",
        help="a folder of models, such as saved_models, or the name of a trained one",
    )
    serve.add_argument("--host", default="127.0.0.1", help="the address (default: %(default)s)")
    serve.add_argument(
        "--port", type=int, default=8501, help="0 takes a free one (default: %(default)s)"
    )
    serve.add_argument("--token-file", metavar="FILE", help="a file with the token")
    serve.add_argument("--quiet", action="store_true", help="log nothing")
    limits = serve.add_argument_group("limits")
    for name, kind, text in (
        ("max-body-bytes", int, "largest body (default: 1 MiB)"),
        ("max-text-bytes", int, "longest text (default: 64 KiB)"),
        ("max-rows", int, "most texts in a request (default: 128)"),
        (
            "max-batch-size",
            int,
            "most texts read together, 1 for each alone (default: 32)",
        ),
        ("max-queue", int, "most requests that wait for a model (default: 256)"),
        ("max-new-tokens", int, "most tokens a request may ask for (default: 1024)"),
        ("num-slots", int, "texts a model generates at once (default: 8)"),
        ("timeout-seconds", float, "longest time for a request (default: 60)"),
        ("poll-seconds", float, "time between two looks for new versions (default: 2)"),
    ):
        limits.add_argument(f"--{name}", type=kind, metavar="N", help=text)


def add_bench(commands):
    bench = arguments.add_command(
        commands,
        "exported.bench",
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
    arguments.add_json(bench)
