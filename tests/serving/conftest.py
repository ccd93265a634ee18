import pytest

import lmzoo
from tests.encoder_tasks import make_backbone, train_tokenizer
from tests.export.tiny_lm import TEXT, make_task
from tests.serving.server_process import run_server


@pytest.fixture(scope="session")
def lm():
    tokenizer = lmzoo.tokenizers.BytePairTokenizer.train(iter([TEXT] * 9), 285)
    return make_task(tokenizer)


@pytest.fixture(scope="session")
def classifier():
    tokenizer = train_tokenizer("word_piece")
    labels = ["bad", "good", "so-so"]
    return lmzoo.tasks.TextClassifier(make_backbone(tokenizer), tokenizer, labels=labels)


@pytest.fixture(scope="session")
def embedder():
    tokenizer = train_tokenizer("word_piece")
    return lmzoo.tasks.TextEmbedder(make_backbone(tokenizer), tokenizer)


@pytest.fixture(scope="session")
def server(tmp_path_factory, lm, classifier):
    """A classifier, and a language model with slots."""
    folder = tmp_path_factory.mktemp("models")
    classifier.export(folder / "films" / "1")
    lm.export(folder / "slots" / "1", max_new_tokens=8, continuous_batching=True)
    with run_server(folder, tmp_path_factory.mktemp("server"), "--num-slots", "3") as server:
        server.wait_until_ready()
        yield server


@pytest.fixture(scope="session")
def other_server(tmp_path_factory, lm, embedder):
    """An embedder, a language model without slots, and one in Hugging Face's layout."""
    folder = tmp_path_factory.mktemp("models")
    embedder.export(folder / "vectors" / "3")
    lm.export(folder / "plain" / "1", max_new_tokens=8)
    lm.save_pretrained(folder / "folder")
    with run_server(folder, tmp_path_factory.mktemp("server"), "--num-slots", "3") as server:
        server.wait_until_ready()
        yield server
