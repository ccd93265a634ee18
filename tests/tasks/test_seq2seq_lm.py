"""Seq2SeqLM: what it learns from texts, generates, scores and keeps."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from lmzoo.data import make_rows
from lmzoo.tasks import Seq2SeqLM, ZeroShotClassifier
from lmzoo.tokenizers import BytePairTokenizer, SentencePieceTokenizer
from tests.tasks.tiny_t5 import PAIRS, SOURCES, TARGETS, make_tokenizer
from tests.tasks.tiny_t5 import make_lm as make

LONG = "a cat " * 30


@pytest.fixture(scope="module")
def tokenizer():
    return make_tokenizer()


@pytest.fixture(scope="module")
def lm(tokenizer):
    """No test changes it."""
    return make(tokenizer)


def encode_by_hand(tokenizer, texts):
    """Ids with their end token and padding at the right, and the mask."""
    rows = [tokenizer.tokenize(text).numpy().tolist() + [1] for text in texts]
    width = max(map(len, rows))
    ids = np.array([row + [0] * (width - len(row)) for row in rows])
    mask = np.arange(width) < np.array([[len(row)] for row in rows])
    return ids, mask


def batch_by_hand(tokenizer, sources, targets):
    """Inputs, labels and weights as the task must see them."""
    source, source_mask = encode_by_hand(tokenizer, sources)
    labels, mask = encode_by_hand(tokenizer, targets)
    inputs = {
        "encoder_token_ids": source,
        "encoder_padding_mask": source_mask,
        "decoder_token_ids": np.pad(labels[:, :-1], [(0, 0), (1, 0)]),
        "decoder_padding_mask": mask,
    }
    return inputs, labels, mask.astype("float32")


def log_probs_by_hand(lm, source, target):
    """Of each token of a target and its end, in NumPy from the model's logits."""
    inputs, labels, _ = batch_by_hand(lm.tokenizer, [lm.prefix + source], [target])
    logits = lm(inputs).numpy()[0].astype("float64")
    log_probs = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    return log_probs[np.arange(labels.shape[1]), labels[0]]


# Training


def test_texts_become_batches_with_prefix_end_and_shifted_targets(tokenizer):
    lm = make(tokenizer, prefix="count: ")
    columns = {"source": tf.constant(SOURCES), "target": tf.constant(TARGETS)}
    example = lm.encode({**columns, "weight": tf.range(8.0)}, 0)
    inputs, labels, weights = batch_by_hand(tokenizer, [f"count: {x}" for x in SOURCES], TARGETS)
    assert example.inputs.keys() == inputs.keys()
    for name, value in inputs.items():
        np.testing.assert_array_equal(example.inputs[name], value, err_msg=name)
    np.testing.assert_array_equal(example.labels, labels)
    np.testing.assert_array_equal(example.weights, weights * np.arange(8.0)[:, None])
    assert not example.is_truncated.numpy().any()


def test_the_decoder_begins_with_the_padding_or_as_it_is_told(tokenizer):
    assert make(tokenizer).start_token_id == tokenizer.pad_token_id == 0
    lm = make(tokenizer, start_token_id=7)
    inputs = lm.shift_right(tf.constant([[5, 6, 1]]), tf.ones([1, 3], tf.bool))
    assert inputs["decoder_token_ids"].numpy().tolist() == [[7, 5, 6]]


@pytest.mark.slow
def test_lists_rows_datasets_and_token_batches_train_alike(tokenizer):
    inputs, labels, weights = batch_by_hand(tokenizer, SOURCES, TARGETS)
    rows = make_rows(source=SOURCES, target=TARGETS)
    dataset = tf.data.Dataset.from_tensor_slices((SOURCES, TARGETS)).batch(8)
    named = dataset.map(lambda source, target: {"source": source, "target": target})
    tokens = tf.data.Dataset.from_tensors((inputs, labels, weights))
    losses = []
    for arguments in ((SOURCES, TARGETS), (rows,), (dataset,), (named,), (tokens,)):
        lm = make(tokenizer)
        lm.compile(optimizer=keras.optimizers.SGD(0.1), run_eagerly=True)
        history = lm.fit(*arguments, verbose=0).history
        assert set(history) == {"loss"}
        losses.append([*history["loss"], lm.evaluate(tokens, return_dict=True, verbose=0)["loss"]])
    for other in losses[1:]:
        np.testing.assert_allclose(other, losses[0], rtol=1e-5)
    assert losses[0][1] < losses[0][0]


def test_evaluate_gives_the_loss_of_the_options_and_the_perplexity_of_none(tokenizer):
    lm = make(tokenizer, label_smoothing=0.1, z_loss=1e-2)
    lm.compile(run_eagerly=True)
    inputs, labels, weights = batch_by_hand(tokenizer, SOURCES, TARGETS)
    batch = tf.data.Dataset.from_tensors((inputs, labels, weights))
    results = lm.evaluate(batch, return_dict=True, verbose=0)
    logits = lm(inputs).numpy().astype("float64")
    total = np.log(np.exp(logits).sum(-1, keepdims=True))
    target = np.eye(290)[labels]
    smooth = 0.9 * target + 0.1 / 290

    def average(losses):
        return (losses * weights).sum() / weights.sum()

    wanted = average(-(smooth * (logits - total)).sum(-1) + 1e-2 * total[..., 0] ** 2)
    assert results["loss"] == pytest.approx(wanted, rel=1e-5)
    perplexity = np.exp(average(-(target * (logits - total)).sum(-1)))
    assert results["perplexity"] == pytest.approx(perplexity, rel=1e-4)


def test_texts_that_are_cut_are_noted_and_keep_their_end(tokenizer):
    lm = make(tokenizer, sequence_length=6)
    example = lm.encode({"source": tf.constant([LONG, "a"]), "target": tf.constant(["1", LONG])}, 0)
    assert example.is_truncated.numpy().tolist() == [True, True]
    assert example.inputs["encoder_token_ids"].shape == (2, 6)
    assert example.inputs["encoder_token_ids"][0, -1] == example.labels[1, -1] == 1


def test_tokens_of_a_row_follow_those_of_its_texts(tokenizer):
    lm = make(tokenizer, sequence_length=8)
    texts = {"source": tf.constant(["one", ""]), "target": tf.constant(["", "two"])}
    more = {
        "source_token_ids": tf.ragged.constant([[], [7, 9]], dtype=tf.int64),
        "target_token_ids": tf.ragged.constant([[8] * 9, [6]], dtype=tf.int64),
    }
    inputs, labels, weights, is_truncated = lm.encode(texts | more, 0)
    one, two = (tokenizer.tokenize([word]).to_list()[0] for word in ("one", "two"))
    end = tokenizer.end_token_id
    rows = tf.ragged.boolean_mask(inputs["encoder_token_ids"], inputs["encoder_padding_mask"])
    assert rows.to_list() == [[*one, end], [7, 9, end]]
    rows = tf.ragged.boolean_mask(labels, weights > 0).to_list()
    assert rows == [[8] * 7 + [end], [*two, 6, end]]
    assert is_truncated.numpy().tolist() == [True, False]


@pytest.mark.parametrize("ids", [tf.constant([[0.5]]), tf.constant([3])])
def test_tokens_of_a_row_that_are_no_lists_of_integers_are_refused(tokenizer, ids):
    lm = make(tokenizer)
    columns = {"source": tf.constant(["a"]), "target": tf.constant(["b"]), "target_token_ids": ids}
    with pytest.raises(TypeError, match=f"`target_token_ids`.*dtype={ids.dtype.name}, shape="):
        lm.encode(columns, 0)


@pytest.mark.slow
def test_a_warning_says_how_many_texts_were_cut(tokenizer):
    lm = make(tokenizer, sequence_length=6)
    lm.compile(run_eagerly=True)
    with pytest.warns(UserWarning, match=r"1 of 2 texts .* longer than 6 tokens"):
        lm.fit([LONG, "a"], ["1", "1"], verbose=0)


def test_it_learns_eight_pairs_and_greedy_decoding_repeats_them(tokenizer):
    keras.utils.set_random_seed(0)
    lm = make(tokenizer, deviation=0, prefix="count: ")
    lm.compile(optimizer=keras.optimizers.Adam(1e-2))
    rows = lm.encode({"source": tf.constant(SOURCES), "target": tf.constant(TARGETS)}, 0)
    batch = tf.data.Dataset.from_tensors(rows[:3])
    history = lm.fit(batch, epochs=50, verbose=0).history
    assert history["loss"][-1] < 0.1 < 4 < history["loss"][0]
    tf.config.run_functions_eagerly(True)
    try:
        assert lm.generate(SOURCES, max_new_tokens=12) == TARGETS
    finally:
        tf.config.run_functions_eagerly(False)


# Generation


def greedy_by_hand(lm, source, num_tokens):
    ids = [0]
    inputs, _, _ = batch_by_hand(lm.tokenizer, [lm.prefix + source], ["a"])
    inputs = {name: value for name, value in inputs.items() if name.startswith("encoder")}
    while len(ids) <= num_tokens and ids[-1] != 1:
        logits = lm({**inputs, "decoder_token_ids": np.array([ids])})
        ids.append(int(np.argmax(logits[0, -1])))
    return lm.tokenizer.detokenize([token for token in ids[1:] if token != 1]).numpy().decode()


def test_greedy_texts_are_those_of_the_uncached_model_alone_and_together(tokenizer):
    lm = make(tokenizer, prefix="a ")
    wanted = [greedy_by_hand(lm, source, 10) for source in SOURCES[2:6]]
    assert lm.generate(SOURCES[2:6], max_new_tokens=10) == wanted
    assert lm.generate(SOURCES[2], max_new_tokens=10) == wanted[0]
    # A prompt is no part of an answer, whatever is asked.
    assert lm.generate(SOURCES[2], max_new_tokens=10, return_prompt=True) == wanted[0]
    assert len(set(wanted)) == 4
    before = {key: graph.experimental_get_tracing_count() for key, graph in lm._graphs.items()}
    lm.generate(["a cat and a hat"] * 3, max_new_tokens=4)
    after = {key: graph.experimental_get_tracing_count() for key, graph in lm._graphs.items()}
    assert after == before


@pytest.mark.slow
def test_a_stream_gives_the_greedy_text_piece_by_piece(lm):
    pieces = list(lm.stream(SOURCES[2], max_new_tokens=10, return_prompt=True))
    assert "".join(pieces) == greedy_by_hand(lm, SOURCES[2], 10)
    assert len(pieces) > 1


@pytest.mark.slow
def test_a_stream_of_sentence_pieces_has_no_space_before_its_first_word():
    texts = SOURCES + ["\u2047 x y z"]
    pieces = SentencePieceTokenizer.train(iter(texts * 9), 60, "bpe", num_sentinels=0)
    lm = make(pieces, vocabulary_size=pieces.vocabulary_size)
    streamed = ["".join(lm.stream(source, max_new_tokens=10)) for source in SOURCES]
    assert streamed == lm.generate(SOURCES, max_new_tokens=10)
    ids = [pieces.tokenize(text).numpy()[0] for text in streamed if text]
    # Else it would prove nothing.
    assert any(pieces.id_to_token(int(token))[0] == "\u2581" for token in ids)


def test_ids_that_the_tokenizer_does_not_have_stand_for_nothing(eagerly):
    # As in T5, whose backbone has 32128 embeddings for 32100 words.
    pieces = SentencePieceTokenizer.train(iter(SOURCES * 9), 60, "bpe", num_sentinels=0)
    lm = make(pieces)
    source = pieces.tokenize(SOURCES[2]).numpy().tolist() + [1]
    ids = Seq2SeqLM(lm.backbone, start_token_id=0).generate(source, max_new_tokens=8)
    ids = ids[: ids.index(1)] if 1 in ids else ids
    known = [token for token in ids if token < pieces.vocabulary_size]
    assert len(known) < len(ids)
    text = pieces.detokenize(known).numpy().decode()
    assert lm.generate(SOURCES[2], max_new_tokens=8) == text
    assert "".join(lm.stream(SOURCES[2], max_new_tokens=8)) == text


def test_beams_are_ranked_and_scored_as_the_model_scores_them(lm, eagerly):
    texts, scores = lm.generate(
        SOURCES[0], num_beams=3, num_return_sequences=3, max_new_tokens=5, return_scores=True
    )
    assert len(set(texts)) == 3 and (np.diff(scores) <= 0).all()
    _, greedy = lm.generate(SOURCES[0], max_new_tokens=5, return_scores=True)
    assert scores[0] * 5 >= greedy - 1e-4


def test_sampling_depends_on_the_seed_alone(lm, eagerly):
    def draw(sources, seed):
        return lm.generate(sources, max_new_tokens=5, temperature=1.0, seed=seed)

    together = draw(SOURCES[:2], [1, 2])
    assert together == [draw(SOURCES[0], 1), draw(SOURCES[1], 2)]
    assert draw(SOURCES[0], 3) != together[0]


def test_ids_in_ids_out_without_a_tokenizer(lm, eagerly):
    bare = Seq2SeqLM(lm.backbone)
    ids, score = bare.generate([5, 7, 9, 1], max_new_tokens=4, return_scores=True)
    inputs = {
        "encoder_token_ids": np.array([[5, 7, 9, 1]]),
        "decoder_token_ids": np.array([[0, *ids[:-1]]]),
    }
    logits = bare(inputs).numpy()[0].astype("float64")
    log_probs = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    assert ids == logits.argmax(-1).tolist()
    assert score == pytest.approx(log_probs[np.arange(4), ids].sum(), abs=1e-4)
    with pytest.raises(ValueError, match="Received: an empty prompt"):
        bare.generate([[]])


def test_an_empty_source_is_its_end_token_alone(tokenizer, eagerly):
    lm = make(tokenizer)
    example = lm.encode({"source": tf.constant(["", "a"]), "target": tf.constant(["", "1"])}, 0)
    assert example.inputs["encoder_token_ids"][0].numpy().tolist() == [1, 0]
    assert example.inputs["encoder_padding_mask"][0].numpy().tolist() == [True, False]
    assert example.labels[0].numpy().tolist() == [1, 0] and example.weights[0, 1] == 0
    assert lm.generate("", max_new_tokens=5) == greedy_by_hand(lm, "", 5)


def test_a_target_may_fill_its_length_and_a_source_must_not_exceed_it(lm, eagerly):
    bare = Seq2SeqLM(lm.backbone, sequence_length=6)
    # The start token takes one of the six.
    assert len(bare.generate([2] * 6, max_new_tokens=99)) == 5
    with pytest.raises(ValueError, match="context of 6 tokens. Received: prompt 1 of 7 tokens"):
        bare.generate([[2], [2] * 7])
    num_tokens = len(lm.tokenizer.tokenize(LONG)) + 1
    with pytest.raises(ValueError, match=f"24 tokens. Received: prompt 0 of {num_tokens} tokens"):
        lm.generate(LONG)


# Scores


def test_a_score_is_the_log_softmax_of_the_target(tokenizer, eagerly):
    lm = make(tokenizer, prefix="b ")
    scores = lm.score(SOURCES, TARGETS, batch_size=3)
    for source, target, score in zip(SOURCES, TARGETS, scores, strict=True):
        wanted = log_probs_by_hand(lm, source, target)
        np.testing.assert_allclose(score, wanted, rtol=0, atol=1e-4)
    np.testing.assert_allclose(lm.score(*PAIRS[2]), scores[2], rtol=0, atol=1e-4)


def test_a_prefix_that_is_no_text_is_refused(tokenizer):
    lm = make(tokenizer)
    with pytest.raises(ValueError, match="`prefix` must hold valid Unicode. Received: 'a.*ud800'"):
        lm.prefix = "a\ud800"
    with pytest.raises(TypeError, match="`prefix` must be a str. Received: prefix=5"):
        lm.prefix = 5


def test_a_prefix_holds_from_the_next_call_on(tokenizer):
    lm = make(tokenizer, prefix="count: ")
    for lm.prefix in ("count: ", "say: ", "count: "):
        wanted = log_probs_by_hand(lm, "two", "2")
        np.testing.assert_allclose(lm.score("two", "2"), wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "value"), [("prefix", "say: "), ("start_token_id", 5), ("sequence_length", 12)]
)
def test_what_is_assigned_holds_from_the_next_call_on(tokenizer, name, value):
    lm, same = make(tokenizer), make(tokenizer, **{name: value})
    lm.generate("two", max_new_tokens=30)
    lm.score("two", "2")
    setattr(lm, name, value)
    for answer in ("generate", "score"):
        arguments = {"max_new_tokens": 30} if answer == "generate" else {"targets": "2"}
        got, wanted = (getattr(each, answer)("two", **arguments) for each in (lm, same))
        np.testing.assert_array_equal(got, wanted)
    if name == "sequence_length":
        with pytest.raises(ValueError, match="at most 12 tokens"):
            lm.score("two", "2 " * 13)


def test_a_zero_shot_classifier_asks_how_likely_a_label_is(lm, eagerly):
    labels, texts = ["cat", "a hat", "nothing"], ["one cat", "two hats"]
    classifier = ZeroShotClassifier(lm, template=" is {}")
    answers = classifier.classify(texts, labels, top_k=3)
    for text, answer in zip(texts, answers, strict=True):
        # The space belongs to the label, and no end token is asked for.
        sums = [log_probs_by_hand(lm, f"{text} is", f" {label}")[:-1].sum() for label in labels]
        wanted = np.exp(sums) / np.exp(sums).sum()
        got = {each["label"]: each["score"] for each in answer}
        np.testing.assert_allclose([got[label] for label in labels], wanted, rtol=1e-3)


# Keeping


def test_a_saved_task_is_the_same(tokenizer, tmp_path):
    lm = make(tokenizer, prefix="b ", label_smoothing=0.1, z_loss=1e-4, sequence_length=9)
    lm.save(tmp_path / "lm.keras")
    loaded = keras.saving.load_model(tmp_path / "lm.keras")
    assert loaded.get_config() == lm.get_config()
    inputs, _, _ = batch_by_hand(tokenizer, SOURCES, TARGETS)
    np.testing.assert_array_equal(loaded(inputs), lm(inputs))
    assert (loaded.prefix, loaded.sequence_length, loaded.start_token_id) == ("b ", 9, 0)


def test_a_folder_in_transformers_layout_is_the_same_task(tokenizer, tmp_path):
    from lmzoo.hub import load

    lm = make(tokenizer, prefix="b ", z_loss=1e-4)
    lm.save_pretrained(tmp_path / "lm")
    loaded = load(tmp_path / "lm")
    inputs, _, _ = batch_by_hand(tokenizer, SOURCES, TARGETS)
    np.testing.assert_array_equal(loaded(inputs), lm(inputs))
    own = lm.get_config() | {"backbone": None, "name": None}
    assert loaded.get_config() | {"backbone": None, "name": None} == own
    ids = loaded.tokenizer.tokenize(SOURCES[2]).numpy().tolist()
    assert ids == tokenizer.tokenize(SOURCES[2]).numpy().tolist()


# Refusals


@pytest.mark.parametrize(
    ("arguments", "error", "received"),
    [
        ((SOURCES,), ValueError, "Received: columns source, without `target`"),
        (({"target": TARGETS},), ValueError, "Received: columns target, without `source`"),
        ((SOURCES, TARGETS[:3]), ValueError, "8.*3|3.*8"),
        (("a cat", "1"), TypeError, "Received: 'a cat'"),
        (([], []), ValueError, r"Received: x=\[\]"),
    ],
)
def test_texts_that_do_not_fit_together_are_refused(lm, arguments, error, received):
    with pytest.raises(error, match=received):
        lm.fit(*arguments, verbose=0)


def test_weights_for_each_token_are_refused(lm):
    weights = [[1.0, 0.5]] * len(SOURCES)
    refusal = r"index 0: A weight must be a number. Received: \[1.0, 0.5"
    with pytest.raises(TypeError, match=refusal):
        lm.fit(SOURCES, TARGETS, sample_weight=weights, verbose=0)
    batches = tf.data.Dataset.from_tensor_slices((SOURCES, TARGETS, weights)).batch(4)
    with pytest.raises(ValueError, match="a number for each source. Received: shape=.None, 2.,? "):
        lm.fit(batches, verbose=0)


def test_a_dataset_without_targets_is_refused(lm):
    with pytest.raises(ValueError, match="Received: columns source, without `target`"):
        lm.fit(tf.data.Dataset.from_tensor_slices(SOURCES).batch(4), verbose=0)


def test_predict_takes_no_texts(lm):
    with pytest.raises(ValueError, match="`predict` takes token batches. Use `generate`"):
        lm.predict(SOURCES, verbose=0)


def test_texts_without_a_tokenizer_are_refused(lm):
    bare = Seq2SeqLM(lm.backbone)
    for call in (lambda: bare.fit(SOURCES, TARGETS), lambda: bare.score("a", "b")):
        with pytest.raises(ValueError, match="Received: tokenizer=None"):
            call()
    with pytest.raises(ValueError, match="`stream` needs a tokenizer"):
        bare.stream("a")


def test_scores_of_what_does_not_fit_are_refused(lm, eagerly):
    with pytest.raises(ValueError, match="Received: 1 targets, 2 sources"):
        lm.score(["a", "b"], ["1"])
    with pytest.raises(TypeError, match="Received: 3 at index 0"):
        lm.score(["a"], [3])
    for pair in (("a", LONG), (LONG, "a")):
        with pytest.raises(ValueError, match="24 tokens. Received: a longer .* at index 1"):
            lm.score(["a", pair[0]], ["a", pair[1]])


@pytest.mark.parametrize(
    ("options", "received"),
    [
        ({"start_token_id": 290}, "start_token_id=290"),
        ({"start_token_id": -1}, "start_token_id=-1"),
        ({"sequence_length": 25}, "sequence_length=25"),
        ({"label_smoothing": 1.0}, "label_smoothing=1.0"),
        ({"z_loss": -1.0}, "z_loss=-1.0"),
    ],
)
def test_options_out_of_their_range_are_refused(lm, options, received):
    with pytest.raises(ValueError, match=f"Received: {received}"):
        Seq2SeqLM(lm.backbone, **options)


@pytest.mark.parametrize(
    ("options", "received"),
    [
        ({"prefix": 3}, "prefix=3"),
        ({"start_token_id": 1.0}, "start_token_id=1.0"),
        ({"start_token_id": True}, "start_token_id=True"),
        ({"start_token_id": "<pad>"}, "start_token_id='<pad>'"),
    ],
)
def test_options_of_another_type_are_refused(lm, options, received):
    with pytest.raises(TypeError, match=f"Received: {received}"):
        Seq2SeqLM(lm.backbone, **options)


def test_half_precision_alone_is_not_trained_with_the_default_optimizer():
    # Some of its weights stay float32, and a norm over both kinds is not to be had.
    keras.config.set_dtype_policy("float16")
    bare = make(None)
    with pytest.raises(ValueError, match="weights of float16, float32. Make .*'mixed_float16'"):
        bare.fit(tf.data.Dataset.from_tensors(({}, [0])), verbose=0)


def test_a_tokenizer_without_an_end_is_refused(lm, tokenizer):
    vocabulary = {tokenizer.id_to_token(n): n for n in range(tokenizer.vocabulary_size)}
    endless = BytePairTokenizer(vocabulary, tokenizer._vocabulary.merges, ["<pad>"], None)
    with pytest.raises(ValueError, match="must have an end token. Received: end_token_id=None"):
        Seq2SeqLM(lm.backbone, endless)
