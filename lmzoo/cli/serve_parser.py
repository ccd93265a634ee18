"""The arguments of `lmzoo serve`. What it does is elsewhere."""

from lmzoo.cli.arguments import add_command

__all__ = ["add_serve"]


def add_serve(commands):
    """Adds the command."""
    serve = add_command(
        commands,
        "serve",
        ("serve_command", "serve"),
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
