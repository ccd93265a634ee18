import functools
import importlib

import pytest

import lmzoo
from tests.export.graph_files import list_unrestored
from tests.export.serving_process import serve
from tests.export.tiny_lm import TEXT, make_task


@pytest.fixture(scope="session", autouse=True)
def opened_once():
    """`check` opens a SavedModel once: no test changes one, and TensorFlow takes a second."""
    module = importlib.import_module("lmzoo.export.check")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_open", functools.lru_cache(8)(module._open))
        yield


@pytest.fixture(scope="module", autouse=True)
def filled_variables():
    """No test of this room exports what only Python can open."""
    module = importlib.import_module("lmzoo.export.saved_model")
    write = module.compact_graph

    def compact(folder):
        write(folder)
        assert list_unrestored(folder) == []

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "compact_graph", compact)
        yield


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    with serve(tmp_path_factory.mktemp("server")) as server:
        yield server


@pytest.fixture(scope="session")
def text_server(tmp_path_factory):
    """The same with the ops of tensorflow-text."""
    with serve(tmp_path_factory.mktemp("text_server"), "tensorflow_text") as server:
        yield server


@pytest.fixture(scope="session")
def tokenizer():
    return lmzoo.tokenizers.BytePairTokenizer.train(iter([TEXT] * 9), 285)


@pytest.fixture(scope="session")
def lm(tokenizer):
    """A model of random weights: it writes nonsense, but no two prompts get the same."""
    return make_task(tokenizer)


@pytest.fixture(scope="session")
def other_lm(tokenizer):
    return make_task(tokenizer, seed=1)


@pytest.fixture(scope="session")
def export(tmp_path_factory, lm):
    """Exports the model with some options, each set of them once."""
    folders = {}

    def export(task=lm, **options):
        key = (id(task), repr(sorted(options.items())))
        if key not in folders:
            folder = tmp_path_factory.mktemp("artefact") / "1"
            task.export(folder, **{"max_new_tokens": 8, **options})
            folders[key] = folder
        return folders[key]

    return export
