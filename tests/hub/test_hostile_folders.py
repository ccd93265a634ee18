"""What a stranger's folder may do to the process that opens it: nothing but be refused."""

import json
import os
import pathlib
import subprocess
import sys

import pytest

from tests.hub.hostile_folders import HOSTILE, write_good

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="the peak of a process's memory is read from /proc"
)
MAX_SECONDS, MAX_MEGABYTES = 0.1, 50
CHILD = """
import ctypes, gc, json, os, pathlib, pickle, re, resource, socket, sys, time

import lmzoo
from tests.speed import scale_limit

trim = ctypes.CDLL(None).malloc_trim
root, allowed, seen, armed = pathlib.Path(sys.argv[1]), None, [], False
FORBIDDEN = re.compile(
    "exec|compile|import|marshal[.]|pickle[.]|socket[.]|subprocess[.]|ctypes[.]|urllib[.]|http[.]|"
    "os[.](system|exec|fork|forkpty|posix_spawn|spawn|remove|rename|mkdir|rmdir|chmod|truncate|"
    "link|symlink|putenv)|shutil[.]|tempfile[.]"
)


def watch(event, arguments):
    if not armed:
        return
    wrong = FORBIDDEN.match(event)
    if event == "open":
        path, mode, flags = arguments
        writes = bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND))
        wrong = writes or not str(path).startswith(str(allowed) + "/")
    if wrong:
        seen.append(event)
        raise RuntimeError(f"audit: {event} {arguments!r:.200}")


def read_memory(name):
    return int(re.search(name + r":\\s+(\\d+)", open("/proc/self/status").read())[1]) * 1024


def measure(name, work):
    global allowed, armed
    allowed = root / name
    # What was freed before must not hide what is taken now.
    gc.collect()
    trim(0)
    open("/proc/self/clear_refs", "w").write("5")
    seen.clear()
    before, start, armed = read_memory("VmRSS"), time.process_time(), True
    try:
        work(allowed)
        error = None
    except BaseException as raised:
        error = raised
    armed, seconds = False, time.process_time() - start
    max_seconds = scale_limit(float(sys.argv[3]), time.process_time)
    return {
        "kind": type(error).__name__,
        "message": str(error),
        "seconds": seconds,
        "limit": max_seconds,
        "megabytes": (read_memory("VmHWM") - before) / 1e6,
        "events": list(seen),
    }


sys.addaudithook(watch)
lmzoo.load(root / "good")
found = {"good": measure("good", lmzoo.load), "strings": measure("strings", lmzoo.load)}
# Controls: each of these must be noticed.
data = pickle.dumps(os.path.join)
found["unpickles"] = measure("good", lambda folder: pickle.loads(data))
found["writes"] = measure("good", lambda folder: open(folder / "new", "w"))
found["reads outside"] = measure("good", lambda folder: open(folder.parent / "outside.json"))
found["connects"] = measure("good", lambda folder: socket.socket())
code = compile("1", "x", "exec")
found["runs"] = measure("good", lambda folder: exec(code))
found["allocates"] = measure("good", lambda folder: bytearray(b"1" * 60_000_000))
found["waits"] = measure("good", lambda folder: sum(range(20_000_000)))
# A walk of the garbage collector over all of TensorFlow takes 0.1 s on its own.
gc.freeze()
limit = read_memory("VmSize") + 2**28
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
found["bombs"] = measure("good", lambda folder: bytes(2**29))
for name in json.loads(sys.argv[2]):
    found[name] = measure(name, lmzoo.load)
    # Of the times the best one: another process may have had the caches.
    for _ in range(2):
        if found[name]["seconds"] > found[name]["limit"]:
            seconds = measure(name, lmzoo.load)["seconds"]
            found[name]["seconds"] = min(seconds, found[name]["seconds"])
print("found", json.dumps(found))
"""


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """dict of name -> what became of a folder in a child that watches itself."""
    root = tmp_path_factory.mktemp("hostile")
    write_good(root / "good")
    write_good(
        root / "strings",
        _name_or_path="https://example.com/x",
        auto_map={"AutoModelForCausalLM": "evil.Model", "AutoConfig": "../evil.py--Config"},
        custom_pipelines={"x": {"impl": "evil.Pipeline"}},
        tokenizer_class="os.system",
    )
    (root / "strings" / "evil.py").write_text("raise SystemExit")
    names = {name: f"{index:03}" for index, name in enumerate(HOSTILE)}
    for name, (make, _) in HOSTILE.items():
        make(root / names[name])
    package = pathlib.Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", CHILD, root, json.dumps(list(names.values())), str(MAX_SECONDS)],
        env={**os.environ, "PYTHONPATH": str(package), "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    outcomes = json.loads(done.stdout.split("found ", 1)[1])
    return outcomes | {name: outcomes[number] for name, number in names.items()}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_folder_is_refused_by_name_at_once_and_with_little_memory(found, name):
    outcome = found[name]
    assert outcome["kind"] in ("ValueError", "FileNotFoundError"), outcome
    assert HOSTILE[name][1] in outcome["message"]
    assert len(outcome["message"]) < 2000
    assert outcome["events"] == []
    assert outcome["seconds"] < outcome["limit"]
    assert outcome["megabytes"] < MAX_MEGABYTES


@pytest.mark.parametrize("name", ["good", "strings"])
def test_a_good_folder_is_loaded_without_a_write_an_import_or_a_stranger_s_code(found, name):
    assert (found[name]["kind"], found[name]["events"]) == ("NoneType", [])


@pytest.mark.parametrize(
    ("name", "event"),
    [
        ("unpickles", "pickle.find_class"),
        ("writes", "open"),
        ("reads outside", "open"),
        ("connects", "socket.__new__"),
        ("runs", "exec"),
    ],
)
def test_the_watch_sees_what_is_forbidden(found, name, event):
    assert found[name]["kind"] == "RuntimeError"
    assert event in found[name]["events"]


def test_the_watch_sees_time_and_memory(found):
    assert found["allocates"]["megabytes"] > MAX_MEGABYTES
    assert found["waits"]["seconds"] > MAX_SECONDS
    assert found["bombs"]["kind"] == "MemoryError"
