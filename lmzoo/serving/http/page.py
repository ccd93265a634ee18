"""The playground: a page of a few files, read once."""

import pathlib

from starlette.responses import Response

from lmzoo.serving.errors import RefusalError

__all__ = ["Page"]

_FOLDER = pathlib.Path(__file__).parent.parent / "playground"
_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript"}
_FILES = [_FOLDER / name for name in ("index.html", "style.css", "app.js")]
# What shows attention is that of the pages which `lmzoo.explain` writes. It is not imported: the
# server has no TensorFlow in it.
_VIEWER = pathlib.Path(__file__).parents[2] / "explain" / "viewer"
_FILES += [_VIEWER / name for name in ("attention.css", "attention.js")]
# Nothing from elsewhere, nothing inline, in no frame.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


class Page:
    """The handler of / and /playground/NAME."""

    def __init__(self):
        self.files = {path.name: path.read_bytes() for path in _FILES}

    async def __call__(self, request):
        """Gives one file."""
        name = request.path_params.get("name", "index.html")
        request.scope["lmzoo"]["path"] = "/" if name == "index.html" else "/playground/NAME"
        if name not in self.files:
            raise RefusalError(404, "There is no such file.")
        headers = {"content-security-policy": _POLICY, "x-content-type-options": "nosniff"}
        headers["cache-control"] = "no-cache"
        return Response(
            self.files[name], media_type=_TYPES[pathlib.Path(name).suffix], headers=headers
        )
