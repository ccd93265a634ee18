"""Arguments under the names of transformers and KerasHub: each error has the name that is meant."""

import dataclasses
import inspect

import numpy as np
import pytest

import lmzoo
from lmzoo.keywords import check_keywords, explain_keywords, takes_options
from lmzoo.models import BertBackbone, GPTBackbone, T5Backbone
from lmzoo.tasks import CausalLM, TextClassifier, TextRegressor
from lmzoo.tasks.discriminative.text_input import TextInput
from lmzoo.tokenizers import BytePairTokenizer, SentencePieceTokenizer, WordPieceTokenizer

# callable -> the name of an argument elsewhere -> its name here
NAMES = {
    BertBackbone: {
        **{"hidden_size": "hidden_dim", "num_hidden_layers": "num_layers"},
        **{"num_attention_heads": "num_heads", "intermediate_size": "intermediate_dim"},
        **{"max_position_embeddings": "max_sequence_length", "hidden_act": "activation"},
        **{"layer_norm_eps": "norm_epsilon", "hidden_dropout_prob": "dropout"},
        **{"type_vocab_size": "num_segments", "num_layer": "num_layers"},
    },
    GPTBackbone: {
        **{"n_layer": "num_layers", "n_head": "num_heads", "n_embd": "hidden_dim"},
        **{"n_inner": "intermediate_dim", "n_positions": "max_sequence_length"},
        **{"rope_theta": "max_wavelength", "tie_word_embeddings": "tied"},
    },
    T5Backbone: {"d_model": "hidden_dim", "d_ff": "intermediate_dim", "d_kv": "head_dim"},
    CausalLM: {"preprocessor": "tokenizer", "eos_token_id": "end_token_ids"},
    TextClassifier: {
        **{"num_labels": "num_classes", "id2label": "labels", "max_length": "sequence_length"},
        "pooling_mode": "pooling",
    },
    TextRegressor: {"num_labels": "num_targets"},
    **dict.fromkeys(
        (BytePairTokenizer.train, WordPieceTokenizer.train, SentencePieceTokenizer.train),
        {"vocab_size": "vocabulary_size", "files": "files_or_iterator"},
    ),
}
CASES = [
    pytest.param(call, theirs, ours, id=f"{call.__qualname__}-{theirs}")
    for call, names in NAMES.items()
    for theirs, ours in names.items()
]


@pytest.fixture(scope="module")
def lm():
    tokenizer = BytePairTokenizer.train(iter(["a cat, a hat"]), 262)
    return CausalLM(
        GPTBackbone(tokenizer.vocabulary_size, 1, 1, 4, max_sequence_length=8), tokenizer
    )


@pytest.mark.parametrize(("call", "theirs", "ours"), CASES)
def test_the_name_that_is_meant_is_said(lm, call, theirs, ours):
    first = {"vocabulary_size": 9} if call in (BertBackbone, GPTBackbone, T5Backbone) else {}
    if call in (CausalLM, TextClassifier, TextRegressor):
        first = {"backbone": lm.backbone}
        first |= {"num_classes": 2} if call is TextClassifier and ours != "num_classes" else {}
    message = rf"takes no argument `{theirs}`. Received: {theirs}=7. (Use|Did you mean) `{ours}`"
    if ours == "num_classes":
        first["labels"] = ["a", "b"]
    with pytest.raises(TypeError, match=message):
        call(**first, **{theirs: 7})


IDS = np.ones((1, 4), "int32")


@pytest.mark.parametrize(
    ("use", "error", "message"),
    [
        (lambda lm: lm.generate("a", max_length=9), TypeError, "Use `max_new_tokens`"),
        (lambda lm: lm.generate("a", do_sample=True), TypeError, "Use `temperature`"),
        (lambda lm: lm.generate("a", eos_token_id=3), TypeError, "`end_token_ids`"),
        (lambda lm: lm.generate("a", stop_token_ids=[3]), TypeError, "`end_token_ids`"),
        (lambda lm: lm({"input_ids": IDS}), ValueError, "Rename it to `token_ids`"),
        (
            lambda lm: lm({"token_ids": IDS, "attention_mask": IDS}),
            ValueError,
            "Rename it to `padding_mask`",
        ),
        (lambda lm: lm.backbone({"input_ids": IDS}), ValueError, "Rename it to `token_ids`"),
        (lambda lm: lm(IDS), TypeError, "must be a dict of token batches.*`generate`"),
        (lambda lm: lm.tokenizer.encode("a"), AttributeError, "Use `tokenize"),
        (lambda lm: lm.tokenizer.decode([1]), AttributeError, "Use `detokenize"),
        (lambda lm: lm.tokenizer.bos_token_id, AttributeError, "Use `start_token_id`"),
        (lambda lm: lm.tokenizer("a", return_tensors="tf"), TypeError, "`.to_tensor"),
        (
            lambda lm: lm.tokenizer.tokenize("a", max_length=3),
            TypeError,
            "takes no argument `max_length`. Received: max_length=3. It takes text, allow_special",
        ),
        (
            lambda lm: lm.tokenizer.detokenize([1], skip_special_tokens=False),
            TypeError,
            "Received: skip_special_tokens=False. Use `skip_special`",
        ),
        (lambda lm: BertBackbone(vocab_size=9), TypeError, "argument: 'vocabulary_size'"),
    ],
)
def test_each_word_of_the_first_hour_leads_to_ours(lm, use, error, message):
    with pytest.raises(error, match=message):
        use(lm)


def test_what_other_libraries_name_alike_works(lm, tmp_path):
    assert len(lm.tokenizer) == lm.tokenizer.vocabulary_size
    lm.save_pretrained(tmp_path)
    for name in ("from_pretrained", "from_preset"):
        assert getattr(CausalLM, name)(tmp_path)(  # the task, its backbone and its tokenizer
            {"token_ids": IDS}
        ).shape == (1, 4, lm.backbone.vocabulary_size)
        assert getattr(GPTBackbone, name)(tmp_path).hidden_dim == 4
        assert len(getattr(BytePairTokenizer, name)(tmp_path)) == len(lm.tokenizer)


def test_what_keras_takes_is_let_through(lm):
    backbone = BertBackbone(9, 1, 1, 4, name="mine", dtype="mixed_bfloat16", trainable=False)
    assert (backbone.name, backbone.compute_dtype) == ("mine", "bfloat16")
    check_keywords(BertBackbone, {"name": "a"})
    again = type(lm.backbone).from_config(lm.backbone.get_config())
    assert again.get_config() == lm.backbone.get_config()


def test_a_decorated_function_is_called_as_before():
    @explain_keywords
    def add(first, second=2):
        return first + second

    assert (add(1), add(1, second=5), add.__name__) == (3, 6, "add")
    with pytest.raises(TypeError, match="takes no argument `secnd`.* Did you mean `second`"):
        add(1, secnd=3)
    assert lmzoo.tokenizers.BytePairTokenizer.train.__doc__.startswith("Trains a tokenizer")


@dataclasses.dataclass
class Options:
    seed: int = 0
    shuffle: bool = True


class Reader:
    @takes_options(Options)
    def read(self, path, *, options, limit=None, **further):
        """Reads."""
        return path, options, limit, further


def test_fields_are_keywords_and_the_rest_stays():
    read = Reader().read
    assert read("a", seed=3, limit=2, more=1) == ("a", Options(seed=3), 2, {"more": 1})
    assert read("a")[1] == Options()


def test_help_shows_each_field_with_its_default():
    wanted = "(path, *, limit=None, seed=0, shuffle=True, **further)"
    assert str(inspect.signature(Reader().read)) == wanted
    assert Reader.read.__doc__ == "Reads." and Reader.read.__name__ == "read"


def test_a_keyword_that_is_no_field_is_refused():
    @takes_options(Options)
    def read(*, options):
        return options

    with pytest.raises(
        TypeError, match="takes no argument `sed`. Received: sed=1. Did you mean `seed`"
    ):
        read(sed=1)
    with pytest.raises(TypeError, match="too many positional arguments"):
        read(1)


@pytest.mark.parametrize("kind", [CausalLM, TextInput])
def test_fit_shows_the_arguments_that_it_documents(kind):
    parameters = inspect.signature(kind.fit).parameters
    text = kind.fit.__doc__.partition("Args:")[2].partition("Returns:")[0]
    assert all(name in text for name in parameters if name != "self")
    assert parameters["validation_split"].default == 0.0 and parameters["shuffle"].default is True
