"""Where a server listens, and the limits on what it takes."""

import dataclasses
import ipaddress
import os
import pathlib

__all__ = ["ServeOptions"]


@dataclasses.dataclass(frozen=True)
class ServeOptions:
    """What `lmzoo serve` is asked for.

    Args:
        folder: str or path. Holds NAME/VERSION, each a SavedModel, or NAME in Hugging Face's
            layout. A folder that is itself one of the two, or holds versions, is served under its
            own name.
        host: str. The address to listen on. All but loopback addresses need a `token`.
        port: int. 0 takes a free one.
        token: str or None. If given, requests must carry it as a bearer token.
        max_body_bytes: int. The largest body of a request.
        max_text_bytes: int. The longest text in a request, in UTF-8.
        max_rows: int. The most texts in one request.
        max_batch_size: int. The most texts that a model reads together. 1 switches batching off.
        max_queue: int. How many requests may wait for one model; the next ones get 429.
        max_new_tokens: int. The most tokens that a request may ask for.
        num_slots: int. How many texts a model generates at once.
        timeout_seconds: float. A request that is not answered by then gets 504, and one that has
            not arrived by then gets 408.
        poll_seconds: float. How often `folder` is searched for new versions.
    Raises:
        TypeError, ValueError: if a number is out of its range, or an address is open without a
            token.
        FileNotFoundError: if `folder` is not there.
    """

    folder: object
    host: str = "127.0.0.1"
    port: int = 8501
    token: str | None = None
    max_body_bytes: int = 1 << 20
    max_text_bytes: int = 1 << 16
    max_rows: int = 128
    max_batch_size: int = 32
    max_queue: int = 256
    max_new_tokens: int = 1024
    num_slots: int = 8
    timeout_seconds: float = 60.0
    poll_seconds: float = 2.0

    def __post_init__(self):
        object.__setattr__(self, "folder", pathlib.Path(self.folder))
        if not self.folder.is_dir():
            raise FileNotFoundError(
                "`folder` must be a folder with models, such as saved_models. Received: "
                f"folder={str(self.folder)!r}, which is none."
            )
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if field.type is int:
                _check_number(field.name, value, int, 0 if field.name == "port" else 1)
            elif field.type is float:
                _check_number(field.name, value, (int, float), 0.01)
        if self.port > 65535:
            raise ValueError(f"`port` must be at most 65535. Received: port={self.port}.")
        if self.token is not None and not (
            isinstance(self.token, str) and self.token.isascii() and len(self.token) >= 16
        ):
            # Not shown: it is a secret.
            raise ValueError(
                "`token` must be at least 16 ASCII characters. Received: another one. Make one "
                "with `python -c 'import secrets; print(secrets.token_urlsafe())'`."
            )
        if self.token is None and not self.is_loopback:
            raise ValueError(
                "`host` must be a loopback address where there is no `token`: everybody who "
                f"reaches it may use the models. Received: host={self.host!r}. Set "
                "LMZOO_SERVE_TOKEN in the environment, or pass a file with a token."
            )

    @property
    def is_loopback(self):
        """bool. Whether only this machine reaches the server."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    @staticmethod
    def read_token(path=None):
        """The token in a file, or else in LMZOO_SERVE_TOKEN; None where neither is given.

        Raises:
            OSError: if the file cannot be read.
        """
        if path is None:
            return os.environ.get("LMZOO_SERVE_TOKEN") or None
        return pathlib.Path(path).read_text(encoding="utf-8").strip()


def _check_number(name, value, kinds, lowest):
    if isinstance(value, bool) or not isinstance(value, kinds):
        wanted = "an integer" if kinds is int else "a number"
        raise TypeError(f"`{name}` must be {wanted}. Received: {name}={value!r:.60}.")
    if not lowest <= value < float("inf"):
        raise ValueError(f"`{name}` must be at least {lowest}. Received: {name}={value}.")
