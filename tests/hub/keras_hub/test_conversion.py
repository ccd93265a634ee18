"""KerasHub's models as tasks and back: the same hidden states, the same ids."""

import functools
import warnings

import numpy as np
import pytest

import lmzoo
from lmzoo.hub.keras_hub.tokenizers import make_tokenizer
from lmzoo.models import BertBackbone, GPTBackbone, T5Backbone
from lmzoo.tasks import CausalLM, Seq2SeqLM, TextEmbedder
from lmzoo.tokenizers import BytePairTokenizer

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    keras_hub = pytest.importorskip("keras_hub", reason="keras-hub is not installed")

# Its T5 is built so that Keras warns.
pytestmark = [
    pytest.mark.filterwarnings("ignore:Layer '.*' looks like it has unbuilt state"),
    pytest.mark.filterwarnings("ignore:Layer '.*attention' .* was passed an input with a mask"),
]
IDS = np.array([[5, 7, 9, 3, 11, 2], [4, 6, 8, 10, 0, 0]], "int32")
MASK = np.array([[1, 1, 1, 1, 1, 1], [1, 1, 1, 1, 0, 0]], "bool")
SIZES = {
    "vocabulary_size": 31,
    "num_layers": 2,
    "num_heads": 2,
    "hidden_dim": 8,
    "intermediate_dim": 11,
}
LENGTH = {"max_sequence_length": 12}
FAMILIES = {
    "BertBackbone": {**LENGTH, "num_segments": 2},
    "RobertaBackbone": LENGTH,
    "DistilBertBackbone": LENGTH,
    "GPT2Backbone": LENGTH,
    "T5Backbone": {"key_value_dim": 6, "use_gated_activation": False},
    "T5Backbone gated": {
        "key_value_dim": 6,
        "activation": "gelu",
        "tie_embedding_weights": False,
    },
}
every_family = pytest.mark.parametrize("family", FAMILIES)


@functools.cache
def make_theirs(family):
    options = {**SIZES, **FAMILIES[family]}
    backbone = getattr(keras_hub.models, family.split()[0])(**options)
    random = np.random.default_rng(0)
    for variable in backbone.weights:
        shift = 1.0 if variable.path.endswith(("gamma", "weight")) else 0.0
        variable.assign(shift + 0.3 * random.normal(size=variable.shape))
    return backbone


def run_theirs(backbone):
    mask = MASK.astype("int32")
    if isinstance(backbone, keras_hub.models.T5Backbone):
        inputs = {"encoder_token_ids": IDS, "encoder_padding_mask": mask}
        inputs |= {"decoder_token_ids": IDS[:, ::-1], "decoder_padding_mask": np.ones_like(mask)}
        return np.asarray(backbone(inputs)["decoder_sequence_output"])
    inputs = {"token_ids": IDS, "padding_mask": mask}
    if isinstance(backbone, keras_hub.models.BertBackbone):
        inputs["segment_ids"] = (IDS % 2).astype("int32")
    outputs = backbone(inputs)
    outputs = outputs["sequence_output"] if isinstance(outputs, dict) else outputs
    return np.asarray(outputs)[MASK]


def run_ours(backbone):
    if isinstance(backbone, T5Backbone):
        inputs = {"encoder_token_ids": IDS, "encoder_padding_mask": MASK}
        outputs = backbone({**inputs, "decoder_token_ids": IDS[:, ::-1]})
        return outputs["decoder_sequence_output"].numpy()
    inputs = {"token_ids": IDS, "padding_mask": MASK}
    if isinstance(backbone, BertBackbone) and backbone.num_segments > 1:
        inputs["segment_ids"] = IDS % 2
    outputs = backbone(inputs)
    outputs = outputs["sequence_output"] if isinstance(outputs, dict) else outputs
    return outputs.numpy()[MASK]


@pytest.mark.quick(
    "T5Backbone gated", "GPT2Backbone", "RobertaBackbone", "DistilBertBackbone", "BertBackbone"
)
@every_family
def test_their_hidden_states_come_out_of_the_task(family):
    theirs = make_theirs(family)
    task = lmzoo.from_keras_hub(theirs)
    kinds = {"GPT2Backbone": CausalLM, "T5Backbone": Seq2SeqLM}
    assert type(task) is kinds.get(family.split()[0], TextEmbedder)
    assert task.tokenizer is None
    np.testing.assert_allclose(run_ours(task.backbone), run_theirs(theirs), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    "family", [pytest.param(f, marks=[pytest.mark.slow] * (f == "T5Backbone")) for f in FAMILIES]
)
def test_there_and_back_gives_the_same_weights(family):
    theirs = make_theirs(family)
    again, tokenizer = lmzoo.to_keras_hub(lmzoo.from_keras_hub(theirs))
    assert type(again) is type(theirs) and tokenizer is None
    for ours, variable in zip(again.weights, theirs.weights, strict=True):
        assert ours.shape == variable.shape
        np.testing.assert_array_equal(ours.numpy(), variable.numpy())
    np.testing.assert_array_equal(run_theirs(again), run_theirs(theirs))


@pytest.mark.quick("RobertaBackbone", "GPT2Backbone")
@pytest.mark.parametrize("family", ["RobertaBackbone", "T5Backbone", "GPT2Backbone"])
def test_what_was_taken_over_is_saved_as_its_family(family, tmp_path):
    task = lmzoo.from_keras_hub(make_theirs(family))
    task.save_pretrained(tmp_path / "a")
    name = {"RobertaBackbone": "roberta", "T5Backbone": "t5", "GPT2Backbone": "gpt2"}[family]
    assert f'"model_type": "{name}"' in (tmp_path / "a" / "config.json").read_text()
    again = lmzoo.load(tmp_path / "a")
    np.testing.assert_array_equal(run_ours(again.backbone), run_ours(task.backbone))


def test_what_lora_has_learnt_is_handed_over():
    ours = CausalLM(GPTBackbone(**SIZES, **LENGTH))
    layer = ours.backbone.blocks[0].feed_forward.intermediate
    layer.enable_lora(2)
    layer.lora_kernel_b.assign(np.ones(layer.lora_kernel_b.shape))
    theirs, _ = lmzoo.to_keras_hub(ours)
    np.testing.assert_allclose(run_theirs(theirs), run_ours(ours.backbone), rtol=1e-5, atol=1e-5)


def disturb(backbone):
    random = np.random.default_rng(1)
    for variable in backbone.weights:
        shift = 1.0 if variable.path.endswith(("gamma", "scale")) else 0.0
        variable.assign(shift + 0.3 * random.normal(size=variable.shape))
    return backbone


def test_roberta_with_a_segment_gives_its_hidden_states():
    ours = BertBackbone(
        **{**SIZES, **LENGTH}, num_segments=1, position_offset=2, norm_epsilon=1e-5, pooler=False
    )
    theirs, _ = lmzoo.to_keras_hub(TextEmbedder(disturb(ours)))
    np.testing.assert_allclose(run_theirs(theirs), run_ours(ours), rtol=1e-5, atol=1e-5)


def test_a_gated_t5_gives_its_hidden_states():
    ours = disturb(T5Backbone(**SIZES, head_dim=6, activation="gelu_tanh", gated=True, tied=False))
    theirs, _ = lmzoo.to_keras_hub(Seq2SeqLM(ours))
    np.testing.assert_allclose(run_theirs(theirs), run_ours(ours), rtol=1e-5, atol=1e-5)
    assert lmzoo.from_keras_hub(theirs).backbone.activation == "gelu_tanh"


def test_berts_other_gelu_is_said():
    ours = disturb(BertBackbone(**{**SIZES, **LENGTH}))
    with pytest.warns(UserWarning, match="tanh form of gelu .* differ"):
        theirs, _ = lmzoo.to_keras_hub(TextEmbedder(ours))
    difference = np.abs(run_theirs(theirs) - run_ours(ours)).max()
    assert 1e-6 < difference < 0.02


def test_a_fresh_head_goes_on_top():
    task = lmzoo.from_keras_hub(make_theirs("BertBackbone"), task="TextClassifier", num_classes=3)
    assert task({"token_ids": IDS, "padding_mask": MASK}).shape == (2, 3)


TEXTS = ["a cat, a hat!", "Hello  world", "naïve 我", ""]


def byte_pairs(special):
    ours = lmzoo.tokenizers.BytePairTokenizer.train(
        iter(["a cat, a hat, a cat Hello world"] * 9), 290, special_tokens=special
    )
    return ours


def test_gpt2_keeps_its_ids_and_its_text():
    ours = byte_pairs(["<|endoftext|>"])
    backbone = GPTBackbone(ours.vocabulary_size, 1, 2, 8, max_sequence_length=12)
    theirs, tokenizer = lmzoo.to_keras_hub(CausalLM(backbone, ours))
    preprocessor = keras_hub.models.GPT2CausalLMPreprocessor(tokenizer, sequence_length=8)
    task = keras_hub.models.GPT2CausalLM(theirs, preprocessor)
    again = lmzoo.from_keras_hub(task)
    for text in TEXTS[:3]:
        ids = ours.tokenize(text).numpy().tolist()
        assert np.asarray(tokenizer(text)).tolist() == ids
        assert again.tokenizer.tokenize(text).numpy().tolist() == ids
    assert again.tokenizer.end_token_id == ours.end_token_id
    lm = CausalLM(backbone, ours)
    assert again.generate("a cat", max_new_tokens=4) == lm.generate("a cat", max_new_tokens=4)


def test_word_pieces_keep_their_ids():
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "cat", "##s", "hat", ",", "!"]
    ours = lmzoo.tokenizers.WordPieceTokenizer(words)
    backbone = BertBackbone(len(words), 1, 2, 8, 11, num_segments=0, pooler=False)
    _, tokenizer = lmzoo.to_keras_hub(TextEmbedder(backbone, ours))
    assert type(tokenizer).__name__ == "DistilBertTokenizer" and tokenizer.lowercase
    for text in ("A cats, a hat!", "dog"):
        ids = ours.tokenize(text).numpy().tolist()
        assert np.asarray(tokenizer(text)).tolist() == ids
    theirs = keras_hub.models.BertTokenizer(vocabulary=words, lowercase=False)
    task = lmzoo.from_keras_hub(make_theirs("DistilBertBackbone"), tokenizer=theirs)
    assert not task.tokenizer.lowercase
    assert task.tokenizer.tokenize("a cats").numpy().tolist() == [5, 6, 7]


def test_robertas_tokens_have_their_roles(tmp_path):
    ours = byte_pairs(["<s>", "<pad>", "</s>", "<mask>"])
    ours.save(tmp_path)
    theirs = keras_hub.models.RobertaTokenizer(
        vocabulary=str(tmp_path / "vocab.json"), merges=str(tmp_path / "merges.txt")
    )
    sizes = {**SIZES, "vocabulary_size": ours.vocabulary_size}
    backbone = keras_hub.models.RobertaBackbone(**sizes, **LENGTH)
    found = lmzoo.from_keras_hub(backbone, tokenizer=theirs).tokenizer
    names = (found.start_token, found.end_token, found.pad_token, found.mask_token)
    assert names == ("<s>", "</s>", "<pad>", "<mask>")
    for text in TEXTS[:3]:
        assert found.tokenize(text).numpy().tolist() == ours.tokenize(text).numpy().tolist()


def test_t5_keeps_its_pieces_and_gains_sentinels():
    train = lmzoo.tokenizers.SentencePieceTokenizer.train
    ours = train(iter(["a cat and a hat on the mat", "the cat sat"] * 9), 40, num_sentinels=5)
    backbone = T5Backbone(ours.vocabulary_size + 3, 1, num_heads=2, hidden_dim=8)
    theirs, tokenizer = lmzoo.to_keras_hub(Seq2SeqLM(backbone, ours))
    again = lmzoo.from_keras_hub(theirs, tokenizer=tokenizer)
    text = "the hat and a cat"
    ids = ours.tokenize(text).numpy().tolist()
    assert np.asarray(tokenizer(text)).tolist() == ids
    assert again.tokenizer.tokenize(text).numpy().tolist() == ids
    assert len(again.tokenizer.sentinel_ids) == 8


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"positions": "rotary"},
            "must have a backbone with the options of KerasHub's GPT2Backbone",
        ),
        ({"tied": False}, "must have a backbone with the options of KerasHub's GPT2Backbone"),
        ({"norm_epsilon": 1e-6}, "`norm_epsilon` must be 1e-05 .* Received: norm_epsilon=1e-06"),
    ],
    ids=str,
)
def test_a_decoder_that_keras_hub_lacks_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        lmzoo.to_keras_hub(CausalLM(GPTBackbone(31, 1, 2, 8, **options)))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"norm_epsilon": 1e-3}, "`norm_epsilon` must be 1e-12 .* norm_epsilon=0.001"),
        (
            {"pooler": False},
            "`pooler` must be True .* Received: pooler=False. .*task='TextEmbedder'",
        ),
        (
            {"position_offset": 2, "num_segments": 1, "norm_epsilon": 1e-5},
            "`pooler` must be False .* Received: pooler=True. .*task='MaskedLM'",
        ),
        ({"activation": "relu"}, "`activation` must be gelu_tanh .* activation='relu'"),
        ({"position_offset": 2}, "`num_segments` must be 1 .* num_segments=2"),
    ],
    ids=str,
)
def test_an_encoder_that_keras_hub_lacks_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        lmzoo.to_keras_hub(TextEmbedder(BertBackbone(31, 1, 2, 8, 11, **options)))


def test_a_t5_that_keras_hub_lacks_is_refused():
    backbone = T5Backbone(31, 1, num_decoder_layers=2, num_heads=2, hidden_dim=8)
    with pytest.raises(ValueError, match="`num_decoder_layers` must be 1 .* num_decoder_layers=2"):
        lmzoo.to_keras_hub(Seq2SeqLM(backbone))


def test_another_model_is_refused():
    with pytest.raises(ValueError, match="must be one of BertBackbone, .* Received: int"):
        lmzoo.from_keras_hub(3)
    with pytest.raises(ValueError, match="`task` must be CausalLM .* Received: task='MaskedLM'"):
        lmzoo.from_keras_hub(make_theirs("GPT2Backbone"), task="MaskedLM")
    for task in ("CausalLM", "Foo"):
        message = f"`task` must be MaskedLM or .* a BertBackbone. Received: task='{task}'"
        with pytest.raises(ValueError, match=message):
            lmzoo.from_keras_hub(make_theirs("BertBackbone"), task=task)
    with pytest.raises(ValueError, match="`tokenizer` must be a BertTokenizer.* Received: int"):
        lmzoo.from_keras_hub(make_theirs("GPT2Backbone"), tokenizer=3)


def test_a_tokenizer_that_keras_hub_lacks_is_refused():
    learned = BytePairTokenizer.train(iter(["a cat"]), 260)._vocabulary
    tokenizer = BytePairTokenizer(learned.ids, learned.merges, pattern="llama3")
    with pytest.raises(ValueError, match="must split text as .* Received: pattern='llama3'"):
        make_tokenizer(keras_hub, "GPT2Backbone", tokenizer)
