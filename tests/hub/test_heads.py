"""Which head a config.json asks for."""

import pytest

from lmzoo.hub.checkpoint_spec import find_task
from lmzoo.hub.families import find_family
from lmzoo.hub.heads import read_head, read_labels
from tests.hub.golden_encoders import FAMILIES, HEADS, read_folder
from tests.hub.records import read_arguments

every_family = pytest.mark.parametrize("family", FAMILIES)
LABELS = ["bad", "so so", "good"]


def read(family, head, **fields):
    config = {**read_folder(family, head)[0], **fields}
    return read_head(find_family(family), config, HEADS[head], read_arguments(config))


@every_family
def test_each_class_of_transformers_is_a_task(family):
    for head, task in HEADS.items():
        assert find_task(find_family(family), read_folder(family, head)[0]) == task
        assert find_family(family).class_name(family, task) == FAMILIES[family] + head


def test_what_was_pretrained_is_a_masked_language_model():
    config = {"model_type": "bert", "architectures": ["BertForPreTraining"]}
    assert find_task(find_family("bert"), config) == "MaskedLM"


@pytest.mark.parametrize(
    "names",
    [None, [], ["RobertaForMaskedLM"], ["os.system"], "BertModel", [3], [["BertModel"]], {}],
)
def test_a_class_that_is_not_known_is_refused(names):
    with pytest.raises(ValueError) as caught:
        find_task(find_family("bert"), {"model_type": "bert", "architectures": names})
    assert str(caught.value).startswith("`architectures` must begin with one of BertForMaskedLM, ")
    assert f"Received: architectures={names!r}." in str(caught.value)


@pytest.mark.parametrize(
    ("family", "activation", "dropout"),
    [("bert", None, 0.1), ("roberta", "tanh", 0.1), ("distilbert", "relu", 0.2)],
)
def test_the_head_of_a_texts_classifier_is_that_of_transformers(family, activation, dropout):
    head = {"num_classes": 3, "hidden_activation": activation, "dropout": dropout}
    assert read(family, "ForSequenceClassification") == head
    name = "seq_classif_dropout" if family == "distilbert" else "classifier_dropout"
    changed = read(family, "ForSequenceClassification", **{name: 0.4})
    assert changed == {**head, "dropout": 0.4}


@every_family
def test_the_other_heads_are_those_of_transformers(family):
    epsilon = 1e-5 if family == "roberta" else 1e-12
    masked = {"vocabulary_size": 101, "activation": "gelu", "norm_epsilon": epsilon}
    assert read(family, "ForMaskedLM") == masked
    one_layer = {"num_classes": 3, "hidden_activation": None, "dropout": 0.1}
    assert read(family, "ForTokenClassification") == one_layer
    answers = {**one_layer, "num_classes": 2, "dropout": 0.0}
    assert read(family, "ForQuestionAnswering") == answers
    assert read(family, "Model") is None


@every_family
def test_an_untied_head_is_refused(family):
    with pytest.raises(ValueError, match="Received: tie_word_embeddings=False"):
        read(family, "ForMaskedLM", tie_word_embeddings=False)
    assert read(family, "ForQuestionAnswering", tie_word_embeddings=False)


def test_robertas_head_has_the_exact_gelu_alone():
    with pytest.raises(ValueError, match="`hidden_act` must be one of gelu. .*=.gelu_new"):
        read("roberta", "ForMaskedLM", hidden_act="gelu_new")
    assert read("bert", "ForMaskedLM", hidden_act="gelu_new")["activation"] == "gelu_tanh"


@pytest.mark.parametrize("value", [1.0, -0.1, "much", True])
def test_a_dropout_out_of_its_range_is_refused(value):
    with pytest.raises(ValueError, match=f"`classifier_dropout` must .*={value!r}"):
        read("bert", "ForTokenClassification", classifier_dropout=value)


def test_labels_have_names_or_numbers():
    assert read_labels(read_folder("bert", "ForTokenClassification")[0]) == LABELS
    assert read_labels({}) == ["LABEL_0", "LABEL_1"]
    assert read_labels({"num_labels": 3})[2] == "LABEL_2"
    # In the order of the numbers and not of the file.
    assert read_labels({"id2label": {"1": "b", "0": "a"}}) == ["a", "b"]


@pytest.mark.parametrize(
    "labels",
    [
        {},
        [],
        "ab",
        {"0": "a", "2": "b"},
        {"1": "a"},
        {"0": "a", "1": "a"},
        {"0": 1, "1": 2},
        {"0": None},
        {"0": "a" * 1025},
        {"00": "a"},
    ],
    ids=str,
)
def test_labels_that_are_no_names_are_refused(labels):
    with pytest.raises(ValueError) as caught:
        read_labels({"id2label": labels})
    assert str(caught.value).startswith("`id2label` must give each number")
    assert f"Received: id2label={labels!r:.80}." in str(caught.value)


@pytest.mark.parametrize("count", [0, 2**16 + 1, "2", True])
def test_a_number_of_labels_out_of_range_is_refused(count):
    with pytest.raises(ValueError, match=f"`num_labels` must .*={count!r}"):
        read_labels({"num_labels": count})
