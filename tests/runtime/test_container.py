import time
import tracemalloc

import numpy as np
import pytest

from lmzoo.runtime import open_model_file
from lmzoo.runtime.container import MANIFEST_NAME, TOKENIZER_NAME
from tests.runtime.making_files import (
    compress,
    make_litertlm,
    make_manifest,
    make_task_file,
    make_tflite,
    make_tokenizer_spec,
)
from tests.speed import scale_limit

_PIECES = {"kind": "sentence_piece", "file": "spiece.model"}


def write(folder, content, name="a.tflite"):
    (folder / name).write_bytes(content)
    return folder / name


def without_tokenizer(manifest=None):
    return make_task_file(manifest, tokenizer=None)


def test_a_tflite_gives_its_parts(tmp_path):
    path = write(tmp_path, make_task_file(tokenizer=b'{"a": 1}'))
    file = open_model_file(path)
    assert (file.kind, file.manifest, file.tokenizer) == ("tflite", make_manifest(), b'{"a": 1}')
    assert bytes(file.model) == path.read_bytes()
    inputs, outputs = file.signatures["decode"]
    assert (inputs["tokens"].dtype, inputs["tokens"].shape) == ("float32", (-1, 4))
    assert list(outputs) == ["logits"]


@pytest.mark.parametrize(
    ("kind", "tokenizer", "spec"),
    [(6, compress(b"{}" * 50), {}), (4, b"{}" * 50, _PIECES)],
)
def test_a_litertlm_gives_the_same_parts(tmp_path, kind, tokenizer, spec):
    manifest = make_manifest(tokenizer=make_tokenizer_spec(**spec))
    model = without_tokenizer(manifest)
    path = write(tmp_path, make_litertlm([(5, b"x"), (kind, tokenizer), (3, model)]), "a.litertlm")
    file = open_model_file(str(path))
    assert (file.kind, file.manifest, file.tokenizer) == ("litertlm", manifest, b"{}" * 50)
    assert bytes(file.model) == model


def test_the_content_says_the_kind_and_not_the_name(tmp_path):
    assert open_model_file(write(tmp_path, make_task_file(), "a.litertlm")).kind == "tflite"


def test_a_task_without_tokenizer_has_none(tmp_path):
    content = without_tokenizer(make_manifest(tokenizer=None))
    assert open_model_file(write(tmp_path, content)).tokenizer is None


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="b.tflite"):
        open_model_file(tmp_path / "b.tflite")


MODEL = without_tokenizer()
BROKEN = {
    "empty": (b"", "has 0 bytes"),
    "text": (b"no model at all, but a text that is longer", "Received: b'odel'"),
    "no metadata": (make_tflite({}), "Received: no metadata"),
    "other metadata": (make_tflite({"min_runtime_version": b"2"}), "min_runtime_version"),
    "other manifest": (make_tflite({MANIFEST_NAME: b"{}"}), "Received: b'{}'"),
    "no tokenizer": (MODEL, f"{TOKENIZER_NAME}'. Received: none"),
    "large manifest": (make_tflite({MANIFEST_NAME: b" " * (1 << 20) + b"x"}), "1048577"),
    "version": (make_litertlm([(3, MODEL)], version=2), "version 2.5.0"),
    "no model": (make_litertlm([(5, b"x")]), r"sections \[5\]"),
    "two models": (make_litertlm([(3, MODEL), (3, MODEL)]), "a second one"),
    "no section": (make_litertlm([(3, MODEL)]), r"tokenizer.json. Received: sections \[3\]"),
    "reversed": (make_litertlm([(3, MODEL)], move=1 << 40), "bytes 1099511644160 to"),
    "bomb": (make_litertlm([(3, MODEL), (6, compress(b"x", 1 << 40))]), "1099511627776"),
    "too much": (make_litertlm([(3, MODEL), (6, compress(bytes(9999), 5))]), "announces.*: 6"),
    "too little": (make_litertlm([(3, MODEL), (6, compress(b"x", 500))]), "500 bytes.*: 1"),
    "no size": (make_litertlm([(3, MODEL), (6, b"abc")]), "Received: 3 bytes"),
    "no zlib": (make_litertlm([(3, MODEL), (6, b"abcdefghijkl" * 9)]), "has.*64 MiB|67108864"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file_is_refused_in_words_and_at_once(tmp_path, name):
    content, message = BROKEN[name]
    path = write(tmp_path, content)
    tracemalloc.start()
    start = time.perf_counter()
    with pytest.raises(ValueError, match=message):
        open_model_file(path)
    seconds = time.perf_counter() - start
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert seconds < scale_limit(1) and peak < 20 << 20


@pytest.mark.parametrize("end", [0, 31, 2**63, 17 << 20])
def test_a_header_ends_within_the_file(tmp_path, end):
    content = bytearray(make_litertlm([(3, MODEL)]))
    content[24:32] = end.to_bytes(8, "little")
    with pytest.raises(ValueError, match=f"Received: byte {end}"):
        open_model_file(write(tmp_path, bytes(content)))


@pytest.mark.parametrize("is_litertlm", [False, True])
def test_any_change_of_the_bytes_gives_a_file_or_a_value_error(tmp_path, is_litertlm):
    content = make_task_file()
    if is_litertlm:
        content = make_litertlm([(6, compress(b"{}")), (3, MODEL)])
    # What decides lies where bytes are not zero.
    places = np.flatnonzero(np.frombuffer(content, np.uint8))
    generator, refused = np.random.default_rng(0), 0
    for _ in range(500):
        changed = bytearray(content)
        for place in generator.choice(places, generator.integers(1, 4)):
            changed[place] = generator.choice([0, 1, 127, 255, generator.integers(256)])
        if generator.random() < 0.2:
            changed = changed[: generator.integers(len(changed))]
        try:
            open_model_file(write(tmp_path, bytes(changed)))
        except ValueError:
            refused += 1
    assert refused > 100


@pytest.mark.parametrize("size", range(0, 1100, 37))
def test_a_truncated_file_is_refused(tmp_path, size):
    with pytest.raises(ValueError, match="Received: .*a.tflite"):
        open_model_file(write(tmp_path, make_task_file()[:size]))
