"""The server itself: who may ask, what it counts and logs, and what it does when clients leave."""

import re
import socket
import time
import urllib.request

import pytest

from lmzoo.cli import main
from lmzoo.serving import ServeOptions
from tests.serving.server_process import run_server


def send(server, data, seconds=10):
    """All that comes back on a connection of its own."""
    host, port = server.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=seconds) as connection:
        connection.sendall(data)
        received = b""
        while part := connection.recv(65536):
            received += part
        return received.decode()


def test_health_and_metrics_tell_operators_what_happens(server):
    assert server.ask("/healthz") == (200, {"status": "ok"})
    server.ask("/v1/models/films:predict", {"instances": ["Paris"]})
    status, text = server.ask("/metrics")
    assert status == 200
    count = r'lmzoo_requests_total\{code="200",model="films",path="/v1/models/NAME:predict"\} (\S+)'
    assert float(re.search(count, text).group(1)) >= 1
    assert 'lmzoo_model_version{model="films"} 1.0' in text
    assert 'lmzoo_batch_rows_bucket{le="1.0",model="films"}' in text


def test_logs_have_no_text_of_a_user(server):
    secret = "a-secret-of-a-user"
    server.ask("/v1/models/films:predict", {"instances": [secret]})
    server.ask("/v1/completions", {"model": "slots", "prompt": secret})
    server.ask(f"/v1/models/{secret}:predict", {"instances": [secret]})
    server.ask("/v1/completions", {"model": secret, "prompt": secret * 100_000})
    server.ask(f"/{secret}")
    text = server.log.read_text()
    assert secret not in text and secret not in server.ask("/metrics")[1]
    answered = [one for one in server.events() if one["event"] == "request"]
    assert {"id", "path", "model", "status", "ms", "time"} <= set(answered[-1])
    assert "other" in {one["path"] for one in answered}


@pytest.mark.parametrize(
    "headers",
    [{"origin": "https://example.com"}, {"host": "example.com"}, {"host": "example.com:80"}],
)
def test_a_page_of_another_site_is_refused(server, headers):
    assert server.ask("/v1/models", headers=headers)[0] == 403


def test_a_page_of_the_server_itself_is_not(server):
    assert server.ask("/v1/models", headers={"origin": server.url})[0] == 200


def test_a_body_that_claims_to_be_huge_is_refused_at_once(server):
    start = time.monotonic()
    head = (
        b"POST /v1/completions HTTP/1.1\r\nhost: localhost\r\ncontent-length: 99999999999\r\n\r\n"
    )
    assert send(server, head).startswith("HTTP/1.1 413")
    assert time.monotonic() - start < 5


def test_a_malformed_request_is_a_bad_one(server):
    assert send(server, b"\x00\xff nonsense\r\n\r\n").startswith("HTTP/1.1 400")


def test_a_client_that_leaves_frees_its_slot(server):
    body = b'{"model": "slots", "prompt": "a", "max_tokens": 1000, "stream": true}'
    head = (
        b"POST /v1/completions HTTP/1.1\r\nhost: localhost\r\n"
        b"content-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body)
    )
    host, port = server.url.removeprefix("http://").split(":")
    # More than there are slots: if one of them were kept, the last would wait for ever.
    for _ in range(8):
        with socket.create_connection((host, int(port)), timeout=10) as connection:
            connection.sendall(head + body)
            assert connection.recv(12) == b"HTTP/1.1 200"
    status, _ = server.ask("/v1/completions", {"model": "slots", "prompt": "a", "max_tokens": 4})
    assert status == 200


def test_wrong_options_are_named(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match=r"host='0\.0\.0\.0'"):
        ServeOptions(tmp_path, host="0.0.0.0")
    assert not ServeOptions(tmp_path, host="0.0.0.0", token="x" * 16).is_loopback
    with pytest.raises(ValueError, match="`token` must be at least 16") as raised:
        ServeOptions(tmp_path, token="too-short")
    assert "too-short" not in str(raised.value)
    with pytest.raises(FileNotFoundError, match="nowhere"):
        ServeOptions(tmp_path / "nowhere")
    with pytest.raises(ValueError, match="port=70000"):
        ServeOptions(tmp_path, port=70_000)
    with pytest.raises(ValueError, match="max_queue=0"):
        ServeOptions(tmp_path, max_queue=0)
    with pytest.raises(TypeError, match="num_slots='8'"):
        ServeOptions(tmp_path, num_slots="8")
    monkeypatch.setenv("LMZOO_SERVE_TOKEN", "of-the-environment")
    assert ServeOptions.read_token() == "of-the-environment"
    (tmp_path / "token").write_text("of-the-file\n")
    assert ServeOptions.read_token(tmp_path / "token") == "of-the-file"


def test_a_port_in_use_is_named_by_the_command_line(tmp_path, capsys):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert main(["serve", str(tmp_path), "--port", str(port)]) == 2
    assert f"port={port}, which another program listens on" in capsys.readouterr().err


@pytest.mark.slow
def test_a_token_is_asked_of_all_but_probes(tmp_path):
    token = "a-token-of-a-test-1"
    (tmp_path / "models").mkdir()
    arguments = ("--timeout-seconds", "1")
    with run_server(tmp_path / "models", tmp_path, *arguments, token=token) as server:
        for path in ("/v1/models", "/metrics", "/v1/models/a:predict"):
            for value in ("", "Bearer other", f"Basic {token}", "Bearer"):
                assert server.ask(path, headers={"authorization": value})[0] == 401
        assert server.ask("/v1/models")[0] == 200
        assert server.ask("/healthz", headers={"authorization": ""})[0] == 200
        assert token not in server.log.read_text()
        # Slow heads and slow bodies end at the deadline.
        for data in (b"GET / HT", b"POST /v1/completions HTTP/1.1\r\nhost: a\r\n"):
            assert send(server, data).startswith("HTTP/1.1 408")
        head = b"POST /v1/completions HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n"
        head += f"authorization: Bearer {token}\r\n\r\n{{".encode()
        assert send(server, head).startswith("HTTP/1.1 408")


PAGE = ("/", "/playground/style.css", "/playground/app.js")


def test_the_page_and_its_files_are_given_and_name_no_other_host(server):
    for path in PAGE:
        with urllib.request.urlopen(server.url + path, timeout=10) as response:  # noqa: S310
            text, policy = response.read().decode(), response.headers["content-security-policy"]
        assert not re.search(r"(https?:)?//[a-z]", re.sub(r"^\s*// .*$", "", text, flags=re.M))
        assert "default-src 'none'" in policy and "unsafe" not in policy
    assert server.ask("/playground/other.js")[0] == 404
