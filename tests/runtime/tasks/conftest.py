"""Tasks, exported once and opened by the runtime."""

import pytest

import lmzoo
from lmzoo import runtime
from lmzoo.export.litert import conversion
from tests.export.litert.shared_converter import SharedConverter
from tests.export.tiny_lm import TEXT, make_task


@pytest.fixture(scope="package", autouse=True)
def convert_here():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(conversion, "ConverterProcess", SharedConverter)
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
