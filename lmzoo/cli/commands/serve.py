"""What `lmzoo serve` does."""

import logging
import pathlib
import sys

__all__ = ["serve"]

_LIMITS = (
    *("max_body_bytes", "max_text_bytes", "max_rows", "max_batch_size", "max_queue"),
    *("max_new_tokens", "num_slots", "timeout_seconds", "poll_seconds"),
)


def serve(arguments):
    """Serves a folder of models, or those that come with lmzoo, until Ctrl-C.

    Args:
        arguments: argparse.Namespace of `lmzoo serve`.
    Raises:
        FileNotFoundError: if the folder is not there.
        ImportError: if what serves is not installed.
        OSError: if the port is in use, or the file of the token cannot be read.
        ValueError: if a number is out of its range, or the address is open without a token.
    """
    from lmzoo.serving import ServeOptions
    from lmzoo.serving import serve as run_server

    limits = {name: getattr(arguments, name) for name in _LIMITS}
    limits = {name: value for name, value in limits.items() if value is not None}
    token = ServeOptions.read_token(arguments.token_file)
    options = ServeOptions(
        _find_folder(arguments.folder),
        host=arguments.host,
        port=arguments.port,
        token=token,
        **limits,
    )
    if not arguments.quiet:
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(logging.Formatter("%(message)s"))
        logger = logging.getLogger("lmzoo.serving")
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)

    def tell(host, port):
        name = f"[{host}]" if ":" in host else host
        print(f"http://{name}:{port}", flush=True)

    run_server(options, tell)


def _find_folder(given):
    """The folder to serve; a folder takes precedence over a name."""
    from lmzoo.hub.trained import find_models_folder, find_trained, list_trained

    if given is not None:
        return given if pathlib.Path(given).is_dir() else find_trained(given) or given
    if not list_trained():
        raise FileNotFoundError(
            "`FOLDER` must be given where no trained model is installed. Received: none. `lmzoo "
            "list` names those that are."
        )
    return find_models_folder()
