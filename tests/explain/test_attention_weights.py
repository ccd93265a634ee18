"""`lmzoo.explain.attention` against NumPy, for every family, and what becomes of bad requests."""

import base64

import numpy as np
import pytest

import lmzoo
from lmzoo.explain.attention_weights import Attention, collect_weights
from lmzoo.explain.tokens import Token
from lmzoo.models import BertBackbone, GPTBackbone, ModernBertBackbone, T5Backbone
from lmzoo.tasks import CausalLM, MaskedLM, QuestionAnswerer, Seq2SeqLM, TextClassifier
from tests.encoder_tasks import make_backbone, randomise, train_tokenizer
from tests.evaluation.tiny import make_lm
from tests.layers import reference as layers
from tests.models import reference as models

SIZES = models.SIZES
IDS = np.array([[5, 7, 7, 100, 3, 2, 51, 8, 9, 4], [9, 8, 7, 6, 5, 4, 3, 2, 1, 0]])
MASK = np.array([[True] * 10, [True] * 7 + [False] * 3])


@pytest.fixture
def weights_of_numpy(monkeypatch):
    """The weights that the forward passes in NumPy compute, in the order of their layers."""
    found, attend = [], layers.attend

    def record(query, key, value, mask=None, bias=None, scale=None):
        found.append(layers.attention_weights(query, key, mask, bias, scale))
        return attend(query, key, value, mask, bias, scale)

    monkeypatch.setattr(layers, "attend", record)
    return found


def check(task, inputs, expected):
    """Compares (layers, B, N, T, S) by kind."""
    found = collect_weights(task, inputs)
    assert list(found) == list(expected)
    for kind, weights in expected.items():
        assert found[kind].dtype == np.float32
        np.testing.assert_allclose(found[kind], np.stack(weights), rtol=0, atol=1e-5)
        np.testing.assert_allclose(found[kind].sum(axis=-1), 1, rtol=0, atol=1e-5)
    return found


@pytest.mark.parametrize("relative", [False, True], ids=["bert", "mpnet"])
def test_the_weights_of_a_bert_are_those_of_numpy(relative):
    backbone = randomise(BertBackbone(**SIZES, max_sequence_length=16, relative_attention=relative))
    task = TextClassifier(backbone, num_classes=2)
    expected = models.bert(backbone, IDS, MASK)[2]
    found = check(task, {"token_ids": IDS, "padding_mask": MASK}, {"encoder": expected})
    assert not found["encoder"][:, 1, :, :, 7:].any()


def test_the_weights_of_a_modern_bert_are_those_of_numpy(weights_of_numpy):
    options = {"local_attention": 4, "global_attention_every": 2, "max_sequence_length": 16}
    backbone = randomise(ModernBertBackbone(**SIZES, **options))
    models.modern_bert(backbone, IDS, MASK)
    inputs = {"token_ids": IDS, "padding_mask": MASK}
    # Padding sees none of its neighbours, which is all that a local layer lets it see.
    found = collect_weights(TextClassifier(backbone, num_classes=2), inputs)["encoder"]
    expected = np.stack(weights_of_numpy)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)
    assert not found[1, 0, :, 0, 3:].any()


def test_the_weights_of_a_decoder_are_those_of_numpy(weights_of_numpy):
    backbone = randomise(GPTBackbone(**{**SIZES, **models.EVERYTHING}, max_sequence_length=16))
    models.gpt(backbone, IDS)
    found = check(CausalLM(backbone), {"token_ids": IDS}, {"decoder": weights_of_numpy})
    assert not np.triu(found["decoder"], 1).any()
    # A window of five.
    assert not found["decoder"][..., 9, :5].any()


def test_the_weights_of_an_encoder_decoder_are_those_of_numpy(weights_of_numpy):
    sizes = {**SIZES, "head_dim": 6, "num_layers": 3, "num_decoder_layers": 2}
    backbone = randomise(T5Backbone(**sizes, gated=True, num_buckets=8, max_distance=9))
    target = IDS[:, :6]
    models.t5(backbone, IDS, target, source_mask=MASK)
    inputs = {
        "encoder_token_ids": IDS,
        "encoder_padding_mask": MASK,
        "decoder_token_ids": target,
    }
    expected = {
        "encoder": weights_of_numpy[:3],
        "decoder": weights_of_numpy[3::2],
        "cross": weights_of_numpy[4::2],
    }
    found = check(Seq2SeqLM(backbone), inputs, expected)
    assert not found["cross"][:, 1, :, :, 7:].any()


def test_a_float16_model_gives_rows_that_sum_to_one():
    backbone = randomise(GPTBackbone(**SIZES, max_sequence_length=16, dtype="float16"))
    found = collect_weights(CausalLM(backbone), {"token_ids": IDS})["decoder"]
    np.testing.assert_allclose(found.sum(axis=-1), 1, rtol=0, atol=1e-5)


@pytest.fixture(scope="module")
def classifier():
    tokenizer = train_tokenizer("word_piece")
    backbone = make_backbone(tokenizer, num_layers=2)
    return randomise(TextClassifier(backbone, tokenizer, labels=["bad", "good"]))


def test_the_tokens_of_a_pair_say_where_they_are(classifier):
    text, pair = "Ada wrote.", "编程 don't"
    found = lmzoo.explain.attention(classifier, text, pair)
    assert found.weights["encoder"].shape == (2, 2, *2 * [len(found.tokens)])
    own = {"text": text, "pair": pair}
    parts = [token.part for token in found.tokens]
    assert parts[0] == parts[-1] == "special"
    assert [part for part, before in zip(parts, ["", *parts], strict=False) if part != before] == [
        *("special", "text", "special", "pair", "special")
    ]
    for token in found.tokens:
        if token.part != "special":
            assert token.text == own[token.part][token.start : token.end]
        else:
            assert (token.start, token.end) == (-1, -1)
            assert token.text in classifier.tokenizer.special_tokens
    joined = "".join(token.text for token in found.tokens if token.part == "pair")
    assert joined == pair.replace(" ", "")


def test_padding_is_left_out(classifier):
    inputs, _ = classifier.pack_texts(["Ada wrote."])
    assert not np.asarray(inputs["padding_mask"]).all()
    whole = collect_weights(classifier, inputs)["encoder"][:, 0]
    found = lmzoo.explain.attention(classifier, "Ada wrote.").weights["encoder"]
    length = found.shape[-1]
    assert length == np.asarray(inputs["padding_mask"]).sum()
    np.testing.assert_allclose(found, whole[..., :length, :length], rtol=0, atol=1e-6)


def test_a_decoder_reads_prompt_and_continuation_as_one_text():
    lm = make_lm()
    found = lmzoo.explain.attention(lm, "def main", target="(argument)")
    alone = lmzoo.explain.attention(lm, "def main(argument)")
    np.testing.assert_array_equal(found.weights["decoder"], alone.weights["decoder"])
    last = found.tokens[-1]
    assert last.part == "target" and "(argument)"[last.start : last.end] == last.text
    assert {token.part for token in alone.tokens} - {"special"} == {"text"}


@pytest.fixture(scope="module")
def translator():
    tokenizer = train_tokenizer("byte_pair")
    sizes = {"num_layers": 2, "num_heads": 2, "hidden_dim": 16, "head_dim": 4}
    backbone = T5Backbone(
        tokenizer.vocabulary_size, **sizes, intermediate_dim=24, max_sequence_length=40
    )
    return Seq2SeqLM(randomise(backbone), tokenizer, prefix="to: ")


def test_an_encoder_decoder_has_three_kinds(translator):
    found = lmzoo.explain.attention(translator, "Ada wrote.", target="lamb")
    source, target = len(found.tokens), len(found.target_tokens)
    shapes = {kind: found.weights[kind].shape[2:] for kind in found.kinds}
    assert shapes == {
        "encoder": (source, source),
        "decoder": (target, target),
        "cross": (target, source),
    }
    assert [token.part for token in found.tokens][0] == "prefix"
    text = [token for token in found.tokens if token.part == "text"]
    assert all("Ada wrote."[token.start : token.end] == token.text for token in text)
    assert found.list_queries() == found.target_tokens and found.list_keys() == found.tokens
    assert found.rollout().shape == (source, source)
    with pytest.raises(ValueError, match="Received: kind='cross'"):
        found.rollout("cross")


def test_without_a_target_the_generated_one_is_read(translator, monkeypatch):
    def generate(self, source, max_new_tokens):
        assert (source, max_new_tokens) == ("Ada", 4)
        return "lamb"

    monkeypatch.setattr(Seq2SeqLM, "generate", generate)
    found = lmzoo.explain.attention(translator, "Ada", max_new_tokens=4)
    expected = lmzoo.explain.attention(translator, "Ada", target="lamb")
    np.testing.assert_array_equal(found.weights["cross"], expected.weights["cross"])


def test_a_question_is_read_with_its_context():
    tokenizer = train_tokenizer("word_piece")
    task = QuestionAnswerer(make_backbone(tokenizer), tokenizer)
    found = lmzoo.explain.attention(task, "Who wrote?", "Ada wrote.")
    assert {token.part for token in found.tokens} == {"special", "text", "pair"}
    with pytest.raises(ValueError, match="context of the question. Received: pair=None"):
        lmzoo.explain.attention(task, "Who wrote?")


def test_a_mask_token_is_one_token():
    tokenizer = train_tokenizer("word_piece")
    task = MaskedLM(make_backbone(tokenizer), tokenizer)
    found = lmzoo.explain.attention(task, "Ada [MASK] it.")
    assert [token.text for token in found.tokens].count("[MASK]") == 1


@pytest.mark.parametrize("mode", ["int8", "int4"])
def test_a_quantized_task_is_explained_too(mode):
    tokenizer = train_tokenizer("word_piece")
    sizes = {"hidden_dim": 32, "intermediate_dim": 32}
    task = TextClassifier(make_backbone(tokenizer, scale=0, **sizes), tokenizer, num_classes=2)
    before = lmzoo.explain.attention(task, "Ada wrote.").weights["encoder"]
    task.quantize(mode)
    after = lmzoo.explain.attention(task, "Ada wrote.").weights["encoder"]
    assert 0 < np.abs(after - before).max() < 0.05


# What is made of the weights


@pytest.fixture
def small():
    generator = np.random.default_rng(0)
    weights = generator.random((3, 2, 4, 4)).astype(np.float32)
    weights /= weights.sum(axis=-1, keepdims=True)
    tokens = [Token("[CLS]", -1, -1, "special")]
    tokens += [Token("abc"[n], n, n + 1, "text") for n in range(3)]
    return Attention(tokens, None, {"encoder": weights})


def test_rollout_is_the_formula_of_the_paper(small):
    total = np.eye(4)
    for layer in range(3):
        mixed = np.zeros((4, 4))
        for row in range(4):
            for column in range(4):
                heads = [small.weights["encoder"][layer, head, row, column] for head in range(2)]
                mixed[row, column] = 0.5 * sum(heads) / 2 + (0.5 if row == column else 0)
        total = mixed @ total
    np.testing.assert_allclose(small.rollout(), total, rtol=0, atol=1e-6)
    np.testing.assert_allclose(small.rollout().sum(axis=1), 1, rtol=0, atol=1e-6)


def test_averages_are_over_what_is_not_named(small):
    weights = small.weights["encoder"]
    np.testing.assert_array_equal(small.average(layer=1, head=-1), weights[1, 1])
    np.testing.assert_allclose(small.average(layer=-3), weights[0].mean(axis=0), atol=1e-7)
    np.testing.assert_allclose(small.average(head=0), weights[:, 0].mean(axis=0), atol=1e-7)
    np.testing.assert_allclose(small.average(), weights.mean(axis=(0, 1)), atol=1e-7)


def test_top_pairs_leave_special_tokens_and_oneself_out(small):
    pairs = small.top_pairs(99, layer=0, head=0)
    assert len(pairs) == 6
    weights = small.weights["encoder"][0, 0]
    inner = [weights[r, c] for r in range(1, 4) for c in range(1, 4) if r != c]
    assert [pair.weight for pair in pairs] == pytest.approx(sorted(inner, reverse=True))
    assert len(small.top_pairs(99, special=True)) == 12
    assert small.top_pairs(1)[0] == small.top_pairs(5)[0]


def test_the_dict_holds_the_weights_in_bytes(small):
    kind = small.to_dict()["kinds"][0]
    data = np.frombuffer(base64.b64decode(kind["weights"]), np.uint8).reshape(kind["shape"])
    np.testing.assert_allclose(data / 255, small.weights["encoder"], atol=0.5 / 255 + 1e-6)
    one = small.to_dict(layer=-1)["kinds"][0]
    assert (one["shape"], one["first_layer"]) == ([1, 2, 4, 4], 2)


# Bad requests


@pytest.mark.parametrize(
    ("arguments", "error", "match"),
    [
        ([""], ValueError, "`text` must not be empty. Received: ''"),
        ([" \n"], ValueError, "Received: ' "),
        ([3], TypeError, "Received: 3"),
        (["a", 3], TypeError, "`pair` must be a str. Received: 3"),
        (["a", ""], ValueError, "`pair` must not be empty"),
        (["\ud800"], ValueError, "lone surrogate"),
        (["a " * 80], ValueError, "at most 64 tokens. Received: 82 tokens"),
        (["a", None, "b"], ValueError, "`target` must be None .* Received: 'b'"),
    ],
)
def test_a_bad_text_is_refused(classifier, arguments, error, match):
    with pytest.raises(error, match=match):
        lmzoo.explain.attention(classifier, *arguments)


def test_a_caller_may_allow_fewer_tokens(classifier):
    with pytest.raises(ValueError, match="at most 5 tokens. Received: "):
        lmzoo.explain.attention(classifier, "Ada wrote to nobody.", max_tokens=5)


def test_a_pair_is_refused_where_there_is_one_text():
    with pytest.raises(ValueError, match="`pair` must be None for a CausalLM. Received: 'b'"):
        lmzoo.explain.attention(make_lm(), "a", "b")
    tokenizer = train_tokenizer("word_piece")
    task = MaskedLM(make_backbone(tokenizer), tokenizer)
    with pytest.raises(ValueError, match="`pair` must be None for a MaskedLM. Received: 'b'"):
        lmzoo.explain.attention(task, "a", "b")


@pytest.mark.parametrize(
    ("arguments", "error", "match"),
    [
        ({"kind": "cross"}, ValueError, "one of 'encoder'. Received: kind='cross'"),
        ({"layer": 3}, ValueError, "`layer` must be from -3 to 2. Received: layer=3"),
        ({"head": -3}, ValueError, "`head` must be from -2 to 1. Received: head=-3"),
        ({"layer": True}, TypeError, "Received: layer=True"),
        ({"head": "1"}, TypeError, "Received: head='1'"),
    ],
)
def test_a_layer_that_is_not_there_is_refused(small, arguments, error, match):
    with pytest.raises(error, match=match):
        small.average(**arguments)


def test_what_is_no_task_with_attention_is_refused(classifier):
    with pytest.raises(TypeError, match="on a backbone. Received: a BertBackbone"):
        lmzoo.explain.attention(classifier.backbone, "a")
    task = TextClassifier(classifier.backbone, num_classes=2)
    with pytest.raises(ValueError, match="Received: tokenizer=None, a TextClassifier"):
        lmzoo.explain.attention(task, "a")


def test_weights_that_are_not_finite_are_refused():
    lm = make_lm()
    table = lm.backbone.token_embedding.embeddings
    table.assign(table * np.nan)
    with pytest.raises(ValueError, match="Received: NaN or infinity for the text 'def main'"):
        lmzoo.explain.attention(lm, "def main")
