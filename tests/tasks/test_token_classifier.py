"""Tags of words and spans of texts."""

import random

import keras
import numpy as np
import pytest
import tensorflow as tf

from lmzoo.data import make_rows, read_conll
from lmzoo.metrics import find_spans, span_scores
from lmzoo.tasks import TokenClassifier
from tests.encoder_tasks import TEXT, make_backbone, randomise, train_tokenizer

LABELS = ["O", "B-ORG", "I-ORG", "B-PER", "I-PER", "B-LOC", "I-LOC"]
SENTENCES = [
    "EU/B-ORG rejects/O German/B-LOC call/O ./O",
    "Peter/B-PER Blackburn/I-PER wrote/O to/O Ada/B-PER Lovelace/I-PER",
    "Ada/B-PER Lovelace/I-PER in/O Paris/B-LOC",
    "nobody/O read/O it/O ./O",
    "The/O naïve/B-ORG café/I-ORG said/O",
    "British/B-LOC lamb/O to/O EU/B-ORG",
    "我/B-ORG 喜/I-ORG 欢/O",
    "don't/O boycott/O Paris/B-LOC !/O",
]
WORDS = [[word.rpartition("/")[0] for word in line.split()] for line in SENTENCES]
TAGS = [[word.rpartition("/")[2] for word in line.split()] for line in SENTENCES]


@pytest.fixture(scope="module")
def text_tokenizer():
    return train_tokenizer("word_piece")


def make_tagger(tokenizer):
    """A tagger of random weights."""
    return randomise(TokenClassifier(make_backbone(tokenizer), tokenizer, LABELS))


@pytest.fixture(scope="module")
def tagger(text_tokenizer):
    return make_tagger(text_tokenizer)


@pytest.fixture(scope="module", params=["word_piece", "byte_pair"])
def any_tagger(request):
    """Where it matters what the pieces are."""
    if request.param == "word_piece":
        return request.getfixturevalue("tagger")
    return make_tagger(train_tokenizer(request.param))


@pytest.fixture(scope="module")
def learned():
    """A tagger that knows the sentences above."""
    keras.utils.set_random_seed(0)
    tokenizer = train_tokenizer("byte_pair")
    backbone = make_backbone(tokenizer, scale=0, hidden_dim=32, intermediate_dim=64)
    tagger = TokenClassifier(backbone, tokenizer, LABELS)
    tagger.compile(optimizer=keras.optimizers.Adam(1e-2))
    words = {"words": tf.ragged.constant(WORDS), "tags": tf.ragged.constant(TAGS)}
    tagger.fit(
        tf.data.Dataset.from_tensors(tuple(tagger.encode(words, 0))[:3]).repeat(60), verbose=0
    )
    return tagger


@pytest.mark.slow
def test_eight_sentences_are_learned(learned):
    found = learned.evaluate(WORDS, TAGS, return_dict=True, verbose=0)
    assert found["loss"] < 0.05 and found["accuracy"] == found["span_f1"] == 1.0
    assert learned.tag(WORDS) == TAGS


@pytest.mark.slow
def test_spans_of_running_text_are_those_of_its_words(learned):
    for text, words, spans in (
        ("EU rejects German call.", ["EU", "rejects", "German", "call", "."], ["EU", "German"]),
        ("Ada Lovelace in Paris", WORDS[2], ["Ada Lovelace", "Paris"]),
        ("The naïve café said", WORDS[4], ["naïve café"]),
    ):
        found = learned.tag(text)
        assert [span["text"] for span in found] == spans
        assert [text[span["start"] : span["end"]] for span in found] == spans
        tags = learned.tag([words])[0]
        assert [span["label"] for span in found] == [kind for kind, _, _ in find_spans(tags)]
        assert all(0.9 < span["score"] <= 1.0 for span in found)


@pytest.mark.quick("byte_pair")
def test_spans_of_words_and_of_text_agree_without_training(any_tagger):
    """Only where each word is what the tokenizer cuts text into as well."""
    generator = random.Random(0)
    vocabulary = ["EU", "rejects", "Ada", "Paris", "call", "lamb", "café", "wrote"]
    rows = [generator.choices(vocabulary, k=generator.randrange(1, 9)) for _ in range(40)]
    texts = [" ".join(words) for words in rows]
    num_spans = 0
    for words, text, tags, spans in zip(
        rows, texts, any_tagger.tag(rows), any_tagger.tag(texts), strict=True
    ):
        starts = np.cumsum([0] + [len(word) + 1 for word in words])
        wanted = [(kind, starts[first], starts[end] - 1) for kind, first, end in find_spans(tags)]
        assert [(s["label"], s["start"], s["end"]) for s in spans] == wanted, text
        num_spans += len(wanted)
    assert num_spans > 20


@pytest.mark.filterwarnings("ignore:.*were truncated")
def test_places_are_characters_of_the_text_as_it_was_given(any_tagger):
    texts = [
        "🙂 EU 👩‍👩‍👧 e\u0301te\u0301 Paris",
        "我喜欢 EU",
        "",
        " ",
        "\u200b\x00",
        "  EU\t\n Paris ",
        "(EU)–Paris!",
        "x" * 200,
        "Paris " * 100,
    ]
    found = any_tagger.tag(texts)
    assert [found[index] for index in (2, 3)] == [[], []]
    for text, spans in zip(texts, found, strict=True):
        last = 0
        for span in spans:
            assert set(span) == {"text", "label", "start", "end", "score"}
            assert last <= span["start"] < span["end"] <= len(text)
            assert span["text"] == text[span["start"] : span["end"]]
            assert not span["text"][0].isspace() and not span["text"][-1].isspace()
            last = span["end"]
    assert sum(map(len, found)) > 3


def find_word_pieces(tagger, words):
    """From the definition: for each word, the places of its pieces among those of the text."""
    ids, starts, ends = tagger.tokenizer.tokenize_with_offsets(" ".join(words))
    begin, pieces = 0, []
    for word in words:
        pieces.append(
            [
                n
                for n, (a, b) in enumerate(zip(starts.numpy(), ends.numpy(), strict=True))
                if begin <= a < begin + len(word) and " ".join(words)[a:b].strip()
            ]
        )
        begin += len(word) + 1
    return ids.numpy(), pieces


AWKWARD = [
    ["EU", "", "rejects", "\x07", "New  York", " Paris", "lamb "],
    ["", "EU"],
    ["", "", ""],
    [],
    ["🙂", "e\u0301te\u0301", "don't", "我喜欢", "..."],
    ["boycott"] * 80,
]


@pytest.mark.filterwarnings("ignore:.*were truncated")
def test_each_given_word_has_the_tag_of_its_first_piece(any_tagger):
    for words, tags in zip(AWKWARD, any_tagger.tag(AWKWARD), strict=True):
        assert len(tags) == len(words)
        ids, pieces = find_word_pieces(any_tagger, words)
        ids = ids[: any_tagger.sequence_length - 2]
        row = [any_tagger.tokenizer.start_token_id, *ids, any_tagger.tokenizer.end_token_id]
        logits = np.array(any_tagger({"token_ids": np.array([row])}))[0]
        wanted = [
            LABELS[logits[places[0] + 1].argmax()] if places and places[0] < len(ids) else "O"
            for places in pieces
        ]
        assert tags == wanted, words
    assert "O" not in any_tagger.tag([["EU"]])[0] or len(set(sum(any_tagger.tag(AWKWARD), []))) > 1


def test_pieces_learn_their_words_tags_and_first_ones_count(any_tagger):
    generator = random.Random(1)
    tags = [generator.choices(LABELS, k=len(words)) for words in AWKWARD]
    columns = {
        "words": tf.ragged.constant(AWKWARD, tf.string, ragged_rank=1),
        "tags": tf.ragged.constant(tags, tf.string, ragged_rank=1),
        "weight": tf.constant([1.0, 2.0, 1.0, 1.0, 0.5, 1.0]),
    }
    example = any_tagger.encode(columns, 0)
    assert example.is_truncated.numpy().tolist() == [False] * 5 + [True]
    for row, (words, row_tags) in enumerate(zip(AWKWARD, tags, strict=True)):
        ids, pieces = find_word_pieces(any_tagger, words)
        length = example.labels.shape[1]
        labels, weights = np.zeros(length), np.zeros(length)
        word_positions = np.full(max(map(len, AWKWARD)), -1)
        for word, (places, tag) in enumerate(zip(pieces, row_tags, strict=True)):
            for n, place in enumerate(places):
                if place < any_tagger.sequence_length - 2:
                    continued = "I" + tag[1:] if tag != "O" else tag
                    labels[place + 1] = LABELS.index(continued if n else tag)
                    weights[place + 1] = columns["weight"][row]
                    word_positions[word] = place + 1 if n == 0 else word_positions[word]
        np.testing.assert_array_equal(example.weights[row], weights)
        np.testing.assert_array_equal(example.labels[row].numpy()[weights > 0], labels[weights > 0])
        np.testing.assert_array_equal(example.inputs["word_positions"][row], word_positions)
        counted = np.arange(len(word_positions)) < len(words)
        weight = columns["weight"][row].numpy()
        np.testing.assert_array_equal(example.inputs["word_weights"][row], weight * counted)
        wanted = [LABELS.index(tag) for tag in row_tags]
        np.testing.assert_array_equal(example.inputs["word_tags"][row][: len(words)], wanted)


@pytest.fixture(scope="module")
def whole(tagger):
    """The scores of all sentences in one batch."""
    return tagger.evaluate(WORDS, TAGS, return_dict=True, verbose=0)


def test_metrics_count_words_and_the_loss_all_pieces(tagger, whole):
    found = tagger.evaluate(WORDS, TAGS, batch_size=3, return_dict=True, verbose=0)
    tags = tagger.tag(WORDS)
    words = sum(map(len, WORDS))
    right = sum(a == b for rows in zip(tags, TAGS, strict=True) for a, b in zip(*rows, strict=True))
    assert found["accuracy"] == pytest.approx(right / words)
    assert found["span_f1"] == pytest.approx(span_scores(TAGS, tags)["f1"])
    tagged = {"words": tf.ragged.constant(WORDS), "tags": tf.ragged.constant(TAGS)}
    example = tagger.encode(tagged, 0)
    log_probs = np.log(keras.ops.softmax(tagger(example.inputs)))
    picked = np.take_along_axis(log_probs, example.labels.numpy()[..., None], -1)[..., 0]
    weights = example.weights.numpy()
    assert whole["loss"] == pytest.approx(-(picked * weights).sum() / weights.sum(), rel=1e-5)
    assert weights.sum() > words


@pytest.mark.filterwarnings("ignore:.* were truncated:UserWarning")
def test_words_that_were_lost_count_as_tag_gives_them(tagger):
    generator = random.Random(3)
    # The last batch has no word.
    rows = [*AWKWARD, ["\x07"], ["EU", "", "\x07", "Paris"], []]
    gold = [generator.choices(LABELS, k=len(words)) for words in rows]
    found = tagger.tag(rows)
    # So that many words are right, and there are spans across the cut.
    gold = [
        [generator.choice(tags) for tags in zip(*pair, strict=True)]
        for pair in zip(found, gold, strict=True)
    ]
    gold[5] = ["B-PER"] + ["I-PER"] * 79
    with pytest.warns(UserWarning, match="1 of 9 texts"):
        scores = tagger.evaluate(rows, gold, 4, return_dict=True, verbose=0)
    pairs = [pair for pairs in zip(gold, found, strict=True) for pair in zip(*pairs, strict=True)]
    assert scores["accuracy"] == pytest.approx(np.mean([a == b for a, b in pairs]))
    assert 0 < scores["span_f1"] == pytest.approx(span_scores(gold, found)["f1"])


@pytest.mark.slow
def test_lost_words_lower_the_scores_of_a_tagger_that_always_finds_a_name(text_tokenizer):
    backbone = make_backbone(text_tokenizer)
    tagger = TokenClassifier(backbone, text_tokenizer, ["O", "B-X"], sequence_length=32)
    kernel, _ = tagger.head.get_weights()
    tagger.head.set_weights([0 * kernel, np.array([-9, 9])])
    words = [["EU"] * 60, ["EU", "\x07"]]
    with pytest.warns(UserWarning, match="1 of 2 texts"):
        scores = tagger.evaluate(
            words, [["B-X"] * len(row) for row in words], return_dict=True, verbose=0
        )
    # 30 of 60 words fit beside two special tokens, and a control character has no piece.
    assert scores["accuracy"] == pytest.approx(31 / 62)
    assert scores["span_f1"] == pytest.approx(2 * 31 / (31 + 62))


def test_token_batches_alone_count_every_token_of_a_weight(tagger):
    tagged = {"words": tf.ragged.constant(WORDS), "tags": tf.ragged.constant(TAGS)}
    inputs, labels, weights, _ = tagger.encode(tagged, 0)
    bare = {name: inputs[name] for name in ("token_ids", "padding_mask", "segment_ids")}
    data = tf.data.Dataset.from_tensors((bare, labels, weights))
    found = tagger.evaluate(data, return_dict=True, verbose=0)
    right = tagger(bare).numpy().argmax(-1) == labels.numpy()
    assert found["accuracy"] == pytest.approx(np.average(right, weights=weights))


def test_a_row_of_weight_nothing_counts_nothing(tagger):
    weights = [1.0] * 4 + [0.0] * 4
    half = tagger.evaluate(WORDS[:4], TAGS[:4], return_dict=True, verbose=0)
    weighed = tagger.evaluate(WORDS, TAGS, sample_weight=weights, return_dict=True, verbose=0)
    assert weighed == pytest.approx(half, rel=1e-5)


@pytest.mark.slow
def test_every_way_in_gives_the_same_loss(tagger, whole, tmp_path):
    file = tmp_path / "train.txt"
    lines = [
        "\n".join(f"{word} {tag}" for word, tag in zip(*pair, strict=True))
        for pair in zip(WORDS, TAGS, strict=True)
    ]
    file.write_text("\n\n".join(lines))
    numbers = [[LABELS.index(tag) for tag in row] for row in TAGS]
    words, tags = tf.ragged.constant(WORDS), tf.ragged.constant(TAGS)
    datasets = tf.data.Dataset.from_tensors
    example = tagger.encode({"words": words, "tags": tags}, 0)
    ways = [
        (read_conll(file),),
        (make_rows(words=WORDS, tags=numbers),),
        (WORDS, numbers),
        (datasets((words, tags)),),
        (datasets({"words": words, "tags": tags}),),
        (datasets((example.inputs, example.labels, example.weights)),),
    ]
    for way in ways:
        assert tagger.evaluate(*way, return_dict=True, verbose=0) == pytest.approx(whole, rel=1e-5)


def test_the_first_row_may_have_no_word(tagger, whole):
    found = tagger.evaluate([[], *WORDS], [[], *TAGS], return_dict=True, verbose=0)
    assert found == pytest.approx(whole, rel=1e-5)
    assert tagger.tag([[], *WORDS]) == [[], *tagger.tag(WORDS)]


def test_words_in_tensors_and_arrays_are_tagged_as_lists_are(tagger):
    wanted = tagger.tag(WORDS)
    assert tagger.tag(tf.ragged.constant(WORDS)) == wanted
    square = [row[:1] for row in WORDS]
    wanted = tagger.tag(square)
    assert tagger.tag(tf.constant(square)) == wanted
    assert tagger.tag(np.array(square)) == wanted


def test_fit_splits_rows_and_says_what_it_cut(text_tokenizer):
    tagger = make_tagger(text_tokenizer)
    rows = make_rows(words=[*WORDS, ["boycott"] * 80], tags=[*TAGS, ["O"] * 80])
    with pytest.warns(UserWarning, match=r"1 of [0-9]+ texts .* were longer than 64 tokens"):
        history = tagger.fit(rows, batch_size=4, validation_split=0.12, verbose=0)
    assert np.isfinite(history.history["val_span_f1"]).all()


@pytest.mark.parametrize(
    ("words", "tags", "message"),
    [
        ([["a", "b"]], [["O"]], r"index 0: `words` and `tags`.*words=\['a', 'b'\], tags=\['O'\]"),
        ([["a"], ["b"]], [["O"], ["B-X"]], "index 1: A label must be one of .*Received: 'B-X'"),
        ([["a"], ["b"]], [["O"]], "one length. Received: {'words': 2, 'tags': 1}"),
        (["a b"], [["O"]], "without `words`"),
        ([["a"]], None, "columns words, without `tags`"),
        ([["a"]], [[7]], "index 0: A label must be one of .*Received: 7"),
    ],
)
def test_words_and_tags_that_do_not_fit_are_refused_with_their_row(tagger, words, tags, message):
    with pytest.raises(ValueError, match=message):
        tagger.fit(words, tags, verbose=0)


def test_batches_of_a_dataset_that_do_not_fit_are_refused(tagger):
    words = tf.ragged.constant([["a", "b"], ["c"]])
    unequal = tf.ragged.constant([["O"], ["O", "O"]])
    with pytest.raises(tf.errors.InvalidArgumentError, match="must be lists of one length"):
        tagger.evaluate(tf.data.Dataset.from_tensors((words, unequal)), verbose=0)
    unknown = tf.ragged.constant([["O", "B-X"], ["O"]])
    with pytest.raises(tf.errors.InvalidArgumentError, match="A label must be one of"):
        tagger.evaluate(tf.data.Dataset.from_tensors((words, unknown)), verbose=0)
    with pytest.raises(ValueError, match="Received: batches of words, without `tags`"):
        tagger.evaluate(tf.data.Dataset.from_tensors({"words": words}), verbose=0)


def test_what_is_no_text_is_refused(tagger):
    with pytest.raises(TypeError, match="list of words each. Received: 'b' at index 1"):
        tagger.tag([["a"], "b"])
    with pytest.raises(TypeError, match="`words` must be .*Received: 5 at index 1"):
        tagger.tag([["a", 5]])
    with pytest.raises(TypeError, match="`texts` must be .*Received: 5 at index 1"):
        tagger.tag(["a", 5])
    bare = TokenClassifier(tagger.backbone, labels=LABELS)
    with pytest.raises(ValueError, match="Received: tokenizer=None"):
        bare.tag("a")
    assert tagger.tag([]) == []


@pytest.mark.filterwarnings("ignore:.*were truncated")
def test_plain_tags_are_words_of_their_own_and_have_no_span_score(text_tokenizer, tagger, eagerly):
    plain = TokenClassifier(tagger.backbone, text_tokenizer, ["NN", "VB", "."])
    plain.set_weights(plain.get_weights())
    found = plain.evaluate([["EU", "call"]], [["NN", "VB"]], return_dict=True, verbose=0)
    assert set(found) == {"loss", "accuracy"}
    spans = plain.tag("EU call, Paris")
    assert [span["text"] for span in spans] == ["EU", "call", ",", "Paris"]
    assert plain.tag([["EU"] + ["boycott"] * 90])[0][-1] == "NN"


def test_batches_and_their_order_change_nothing(tagger):
    texts = [TEXT[start : start + 1 + start % 50] for start in range(40)]
    wanted = [tagger.tag(text) for text in texts]
    for batch_size, order in ((1, 1), (7, -1), (64, 1)):
        found = tagger.tag(texts[::order], batch_size=batch_size)[::order]
        for spans, others in zip(found, wanted, strict=True):
            assert [s["start"] for s in spans] == [s["start"] for s in others]
            assert [s["label"] for s in spans] == [s["label"] for s in others]
            for span, other in zip(spans, others, strict=True):
                assert span["score"] == pytest.approx(other["score"], abs=1e-5)


def test_a_second_call_traces_nothing(tagger):
    tagger.tag(["EU rejects", "Paris"])
    tagger.tag([["EU"]])
    counts = [graph.experimental_get_tracing_count() for graph in tagger._graphs.values()]
    tagger.tag(["EU in Paris " * 9] * 3)
    tagger.tag([["EU", "in"], ["Paris"]])
    assert [graph.experimental_get_tracing_count() for graph in tagger._graphs.values()] == counts
    assert set(counts) == {1}


def encode_words(tagger, rows):
    """The inputs that lists of words are read as."""
    return tagger.encode_inputs({"words": tf.ragged.constant(rows)})[0]


def test_predictions_of_batches_of_other_lengths_are_ragged(tagger):
    rows = [["EU"], ["EU", "rejects", "Paris"] * 4]
    alone = [tagger(encode_words(tagger, [row]))[0] for row in rows]
    found = tagger.predict(rows, batch_size=1, verbose=0)
    assert isinstance(found, tf.RaggedTensor) and len(set(map(len, alone))) == 2
    for row, wanted in zip(found, alone, strict=True):
        np.testing.assert_allclose(row, wanted, atol=1e-5)


def test_logits_have_the_shape_that_is_told(tagger):
    logits = tagger({"token_ids": np.ones((2, 5), "int32")})
    assert tuple(logits.shape) == tagger.compute_output_shape({"token_ids": (2, 5)}) == (2, 5, 7)
    predicted = tagger.predict(["EU rejects", "Paris"], verbose=0)
    assert predicted.shape[::2] == (2, 7)
    same = tagger(encode_words(tagger, [["EU", "rejects"], ["Paris"]]))
    np.testing.assert_allclose(predicted, same, atol=1e-6)


@pytest.mark.slow
def test_bfloat16_stays_finite(text_tokenizer):
    backbone = make_backbone(text_tokenizer, scale=3.0, dtype="mixed_bfloat16")
    tagger = TokenClassifier(backbone, text_tokenizer, LABELS)
    history = tagger.fit(WORDS, TAGS, verbose=0)
    assert np.isfinite(history.history["loss"]).all()
    assert np.isfinite([span["score"] for spans in tagger.tag([TEXT]) for span in spans]).all()
    assert tagger(tagger.encode_inputs({"text": tf.constant(["EU"])})[0]).dtype == "float32"


@pytest.mark.slow
def test_a_keras_file_gives_the_same_tagger(text_tokenizer, tmp_path):
    tagger = make_tagger(text_tokenizer)
    tagger.save(tmp_path / "tagger.keras")
    again = keras.saving.load_model(tmp_path / "tagger.keras")
    assert again.get_config() == tagger.get_config()
    assert again.tag(TEXT) == tagger.tag(TEXT) != []
    assert again.tag(WORDS) == tagger.tag(WORDS)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"labels": ["O"]}, ValueError, "Received: num_classes=1"),
        ({"labels": ["O", "O"]}, ValueError, r"each name once. Received: labels=\['O', 'O'\]"),
        ({"labels": [1, 2]}, TypeError, "Received: 1 in it"),
        ({"labels": LABELS, "sequence_length": 65}, ValueError, "Received: sequence_length=65"),
        ({"labels": LABELS, "dropout": 1.0}, ValueError, "Received: dropout=1.0"),
    ],
)
def test_a_tagger_that_cannot_be_is_refused(tagger, arguments, error, message):
    with pytest.raises(error, match=message):
        TokenClassifier(tagger.backbone, tagger.tokenizer, **arguments)
