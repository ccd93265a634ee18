"""The playground: a page of three files, read once."""

import pathlib

from starlette.responses import Response

from lmzoo.serving.errors import RefusalError

__all__ = ["Page"]

_FOLDER = pathlib.Path(__file__).parent.parent / "playground"
_TYPES = {"index.html": "text/html", "style.css": "text/css", "app.js": "text/javascript"}
# Nothing from elsewhere, nothing inline, in no frame.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


class Page:
    """The handler of / and /playground/NAME."""

    def __init__(self):
        self.files = {name: (_FOLDER / name).read_bytes() for name in _TYPES}

    async def __call__(self, request):
        """Gives one file."""
        name = request.path_params.get("name", "index.html")
        request.scope["lmzoo"]["path"] = "/" if name == "index.html" else "/playground/NAME"
        if name not in self.files:
            raise RefusalError(404, "There is no such file.")
        headers = {"content-security-policy": _POLICY, "x-content-type-options": "nosniff"}
        headers["cache-control"] = "no-cache"
        return Response(self.files[name], media_type=_TYPES[name], headers=headers)
