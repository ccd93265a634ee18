import pytest

from lmzoo.hub.files.task_options import make_task_options, name_task, read_task_options
from lmzoo.models import BertBackbone, GPTBackbone, T5Backbone
from lmzoo.tasks import (
    CausalLM,
    MaskedLM,
    QuestionAnswerer,
    Seq2SeqLM,
    TextClassifier,
    TokenClassifier,
)


def make_backbone():
    return BertBackbone(23, 1, 2, 8, 11, 40)


TASKS = [
    lambda: MaskedLM(make_backbone(), mask_rate=0.5, whole_word=True, sequence_length=9),
    lambda: MaskedLM(make_backbone()),
    lambda: TextClassifier(make_backbone(), num_classes=2, sequence_length=7),
    lambda: TokenClassifier(make_backbone(), labels=["O", "B-A"]),
    lambda: QuestionAnswerer(
        make_backbone(), no_answer=True, no_answer_threshold=-2.5, stride=0, max_question_tokens=5
    ),
    lambda: Seq2SeqLM(
        T5Backbone(23, 1, 1, 2, 8, 4, 11, 40),
        prefix="to digits: ",
        label_smoothing=0.1,
        z_loss=1e-4,
        sequence_length=9,
    ),
]


@pytest.mark.parametrize("make", TASKS)
def test_each_option_is_kept(make):
    task = make()
    config, name = make_task_options(task), type(task).__name__
    found = read_task_options(config, name, 40)
    own = task.get_config()
    assert found == {option: own[option] for option in found}
    # Labels and what the head is made of stand elsewhere.
    left = own.keys() - found.keys()
    assert left <= {
        *("backbone", "tokenizer", "name", "labels", "multi_label"),
        *("head_activation", "dropout"),
        # Kept where they say something.
        *("allow_special", "pooling"),
        # T5 has a name of its own for it.
        "start_token_id",
    }


def test_a_decoder_has_none_and_a_file_of_transformers_says_nothing():
    backbone = GPTBackbone(23, num_layers=1, num_heads=2, hidden_dim=8)
    assert make_task_options(CausalLM(backbone)) == {}
    assert read_task_options({}, "MaskedLM", 40) == {}


@pytest.mark.parametrize(
    ("task", "name", "value"),
    [
        ("MaskedLM", "mask_rate", 0),
        ("MaskedLM", "mask_rate", 1.0),
        ("MaskedLM", "whole_word", "yes"),
        ("MaskedLM", "sequence_length", 41),
        ("TextClassifier", "sequence_length", 0),
        ("QuestionAnswerer", "no_answer", 1),
        ("QuestionAnswerer", "no_answer_threshold", float("nan")),
        ("QuestionAnswerer", "stride", -1),
        ("QuestionAnswerer", "max_question_tokens", 0),
        ("QuestionAnswerer", "max_answer_tokens", None),
    ],
)
def test_an_option_that_cannot_be_is_refused_by_its_name(task, name, value):
    with pytest.raises(ValueError) as caught:
        read_task_options({"lmzoo_task": {name: value}}, task, 40)
    assert str(caught.value).startswith(f"`{name}` must be ")
    assert f"Received: {name}={value!r}." in str(caught.value)


@pytest.mark.parametrize("found", [[], None, "x", {"mask_rate": 0.5}, {"backbone": {}}])
def test_what_holds_no_options_of_the_task_is_refused(found):
    with pytest.raises(ValueError) as caught:
        read_task_options({"lmzoo_task": found}, "TextClassifier", 40)
    wanted = "`lmzoo_task` must be an object with options of TextClassifier. Received: "
    assert str(caught.value) == f"{wanted}{found!r}."


def test_a_class_of_the_callers_has_the_name_of_the_task_that_it_is_made_of():
    class Mine(Seq2SeqLM):
        pass

    task = Mine(T5Backbone(23, 1, 1, 2, 8, 4, 11, 40), prefix="to digits: ")
    assert name_task(task) == "Seq2SeqLM"
    assert make_task_options(task)["lmzoo_task"]["prefix"] == "to digits: "


def test_another_model_is_no_task():
    with pytest.raises(TypeError, match="`task` must be one of MaskedLM,.* Received: a BertBack"):
        name_task(make_backbone())
