"""Tasks, exported once in the process of the tests, and opened by the runtime."""

import numpy as np
import pytest

import lmzoo
from lmzoo import runtime
from lmzoo.export.litert import conversion
from tests.export.litert.conftest import ThisProcess
from tests.export.tiny_lm import TEXT, make_task

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


@pytest.fixture(scope="package", autouse=True)
def convert_here():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(conversion, "ConverterProcess", ThisProcess)
        yield


@pytest.fixture(scope="package")
def export(tmp_path_factory):
    """Exports a task and opens the file: `export(task, suffix, **options)`."""

    def export(task, suffix=".tflite", **options):
        path = tmp_path_factory.mktemp("exported") / f"task{suffix}"
        task.export(path, verbose=False, **options)
        return runtime.load(path)

    return export


@pytest.fixture(scope="package")
def lm():
    tokenizer = lmzoo.tokenizers.BytePairTokenizer.train(
        iter([TEXT * 20]), 280, special_tokens=["<|endoftext|>", "<pad>"]
    )
    return make_task(tokenizer)


@pytest.fixture(scope="package")
def model(lm, export):
    """The runtime's form of `lm`."""
    return export(lm, prefill_lengths=(4, 8))


@pytest.fixture(scope="package")
def word_piece():
    words = sorted(set(TEXT.replace(",", " ").replace(".", " ").replace("'", " ").split()))
    pieces = [*"abcdefghijklmnopqrstuvwxyz0123456789.,'?", "##s", "##at", "##e", "##n"]
    return lmzoo.tokenizers.WordPieceTokenizer(
        [*SPECIAL, *dict.fromkeys([*words, *pieces, *(f"##{c}" for c in "abcdefghij")])]
    )


def randomise(task, seed=0, scale=0.4):
    generator = np.random.default_rng(seed)
    for weight in task.weights:
        if weight.dtype == "float32":
            weight.assign(generator.normal(size=weight.shape, scale=scale))
    return task
