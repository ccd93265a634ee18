"""A model hub on loopback: what huggingface_hub asks for, and what can go wrong with it."""

import contextlib
import hashlib
import http.server
import json
import threading
import time
import urllib.parse

import numpy as np
from safetensors.numpy import save

NAME = "some-org/a_model.v1"
INDEX = "model.safetensors.index.json"
_MOST_REQUESTS = 500


def make_shards(*names):
    """Files of a model, in shards of these names, and their index."""
    shards = {
        name: save({f"t{index}": np.arange(9, dtype=np.float32)}, {"format": "pt"})
        for index, name in enumerate(names)
    }
    weight_map = {f"t{index}": name for index, name in enumerate(names)}
    index = json.dumps({"metadata": {}, "weight_map": weight_map}).encode()
    return {"config.json": b"{}", **shards, INDEX: index}


class FakeHub:
    """Serves one model with all its revisions.

    `publish` makes a commit. The faults are attributes: `cut` (path -> bytes after which each
    answer breaks off), `grown` (path -> bytes that a file's head claims too many), `gone` (paths
    that are listed and not there), `status` (an HTTP status with an error code for every answer),
    `delay` (seconds before every answer). `requests` holds (method, path, headers) of each request.
    """

    def __init__(self, endpoint):
        self.endpoint = endpoint
        self.commits, self.branches, self.requests = {}, {}, []
        self.cut, self.grown, self.gone = {}, {}, set()
        self.next, self.status, self.delay = None, None, 0

    def publish(self, files, branch="main"):
        """Puts a dict of path -> bytes on a branch and gives the commit's name."""
        text = repr((sorted(files.items()), len(self.commits))).encode()
        commit = hashlib.sha1(text, usedforsecurity=False).hexdigest()
        self.commits[commit] = dict(files)
        self.branches[branch] = commit
        return commit

    def count(self, method=None, ending=""):
        """How many requests there were of a method for a path that ends so."""
        return sum(
            method in (None, found) and path.endswith(ending) for found, path, _ in self.requests
        )


@contextlib.contextmanager
def serve():
    """Yields a FakeHub that answers until the block ends."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    server.hub = FakeHub(f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server.hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


class _Handler(http.server.BaseHTTPRequestHandler):
    # One request a connection, which HTTP/1.0 is: nothing lingers when a test ends.
    timeout = 10

    def log_message(self, *arguments):
        pass

    def do_HEAD(self):  # noqa: N802
        self._answer()

    def do_GET(self):  # noqa: N802
        self._answer()

    def _answer(self):
        hub = self.server.hub
        path = urllib.parse.unquote(urllib.parse.urlsplit(self.path).path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        hub.requests.append((self.command, path, headers))
        if hub.delay:
            time.sleep(hub.delay)
        if len(hub.requests) > _MOST_REQUESTS:
            return self._refuse(400, "TooMany")
        if hub.status is not None:
            return self._refuse(*hub.status)
        if path.startswith(f"/api/models/{NAME}"):
            return self._list(path.removeprefix(f"/api/models/{NAME}").strip("/"))
        if path.startswith(f"/{NAME}/resolve/"):
            # A commit, a branch or refs/pr/1, and a path which may have slashes too.
            rest = path.removeprefix(f"/{NAME}/resolve/")
            for revision in (*hub.branches, *hub.commits):
                if rest.startswith(f"{revision}/"):
                    return self._send_file(revision, rest.removeprefix(f"{revision}/"))
            return self._refuse(404, "RevisionNotFound")
        return self._refuse(404, "RepoNotFound")

    def _list(self, rest):
        hub = self.server.hub
        kind, _, revision = rest.partition("/")
        commit = hub.branches.get(revision or "main", revision)
        if commit not in hub.commits:
            return self._refuse(404, "RevisionNotFound")
        files = hub.commits[commit]
        if hub.next is not None:
            hub.publish(hub.next)
            hub.next = None
        if kind == "tree":
            entries = [
                {"type": "file", "path": path, "size": len(data), "oid": _digest(data)}
                for path, data in files.items()
            ]
            return self._send_json(entries)
        siblings = [{"rfilename": path} for path in files]
        return self._send_json({"_id": "1", "id": NAME, "sha": commit, "siblings": siblings})

    def _send_file(self, revision, path):
        hub = self.server.hub
        commit = hub.branches.get(revision, revision)
        data = hub.commits[commit].get(path)
        if data is None or path in hub.gone:
            return self._refuse(404, "EntryNotFound")
        claimed = len(data) + hub.grown.get(path, 0)
        headers = {"ETag": f'"{_digest(data)}"', "X-Repo-Commit": commit}
        if self.command == "HEAD":
            return self._send(200, b"", {**headers, "Content-Length": claimed})
        first, last, status = 0, len(data) - 1, 200
        if self.headers.get("Range", "").startswith("bytes="):
            start, _, end = self.headers["Range"][6:].partition("-")
            first, last, status = int(start), min(int(end or last), last), 206
            headers["Content-Range"] = f"bytes {first}-{last}/{len(data)}"
        headers["Content-Length"] = last + 1 - first
        # What is cut off is promised all the same, as by a connection that breaks.
        self._send(status, data[first : min(last + 1, hub.cut.get(path, last + 1))], headers)

    def _send_json(self, value):
        data = json.dumps(value).encode()
        self._send(200, data, {"Content-Type": "application/json", "Content-Length": len(data)})

    def _refuse(self, status, code):
        self._send(status, b"", {"X-Error-Code": code, "Content-Length": 0})

    def _send(self, status, data, headers):
        # A client that has gone has its reasons.
        with contextlib.suppress(ConnectionError):
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, str(value))
            self.end_headers()
            self.wfile.write(data)


def _digest(data):
    return hashlib.sha1(data, usedforsecurity=False).hexdigest()
