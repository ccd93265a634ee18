"""TextClassifier: what it reads, learns, answers and keeps."""

import gc
import itertools
import weakref

import keras
import numpy as np
import pytest
import tensorflow as tf

from lmzoo.data import make_rows, read_table
from lmzoo.tasks import TextClassifier
from lmzoo.tasks.discriminative.text_batches import TruncationReport
from tests.tasks.small_encoders import (
    BAD,
    GOOD,
    NAMES,
    TEXTS,
    byte_pairs,
    make_encoder,
    word_pieces,
)

LONG = "good bad cat dog " * 12


def make_classifier(seed=0, tokenizer=None, **options):
    tokenizer = tokenizer or word_pieces()
    keras.utils.set_random_seed(seed)
    options = {"labels": ["bad", "good"], **options}
    return TextClassifier(make_encoder(tokenizer, seed), tokenizer, **options)


@pytest.fixture(scope="module")
def classifier():
    # A seed whose weights find texts of both classes.
    return make_classifier(seed=1)


@pytest.fixture(scope="module")
def still():
    """A classifier that no training changes."""
    model = make_classifier()
    model.compile(keras.optimizers.SGD(0.0))
    return model


@pytest.fixture(scope="module")
def tagger():
    return make_classifier(labels=["cat", "dog", "film"], multi_label=True)


def sgd(model, rate=0.05):
    model.compile(keras.optimizers.SGD(rate))
    return model


# Reading


@pytest.mark.slow
def test_every_way_to_give_texts_is_read_alike(still, tmp_path):
    path = tmp_path / "train.tsv"
    lines = [f"{text}\t{name}" for text, name in zip(TEXTS, NAMES, strict=True)]
    path.write_text("\n".join(["text\tlabel", *lines]) + "\n")
    numbers = [int(name == "good") for name in NAMES]
    tokens, _ = still.pack_texts(tf.constant(TEXTS))
    names = tf.data.Dataset.from_tensor_slices((TEXTS, NAMES)).batch(4)
    # Labels may well stand before the texts.
    columns = tf.data.Dataset.from_tensor_slices({"label": numbers, "text": TEXTS}).batch(4)
    ways = [
        ((TEXTS, NAMES), {"batch_size": 4}),
        ((np.array(TEXTS), np.array(numbers)), {"batch_size": 4}),
        (({"text": TEXTS}, NAMES), {"batch_size": 4}),
        ((read_table(path, label="label"),), {"batch_size": 4}),
        ((names,), {}),
        ((columns,), {}),
        ((tokens, np.array(numbers)), {"batch_size": 4}),
    ]
    wanted = still.evaluate(*ways[0][0], **ways[0][1], verbose=0)
    for given, options in ways[1:]:
        found = still.evaluate(*given, **options, verbose=0)
        np.testing.assert_allclose(found, wanted, rtol=1e-5)
        logits = still.predict(given[0], verbose=0)
        np.testing.assert_allclose(logits, still(tokens), atol=1e-5)


@pytest.mark.slow
def test_pairs_are_read_alike_from_lists_columns_and_rows(still):
    pairs, model = (GOOD, BAD), still
    wanted = model.predict(pairs, verbose=0)
    inputs, _ = model.pack_texts(tf.constant(GOOD), tf.constant(BAD))
    assert inputs["segment_ids"].numpy().max() == 1
    np.testing.assert_allclose(model(inputs), wanted, atol=1e-6)
    rows = make_rows(text=GOOD, pair=BAD)
    dataset = tf.data.Dataset.from_tensor_slices((pairs, [0, 1, 0, 1])).batch(3)
    for given in ({"text": GOOD, "pair": BAD}, rows, dataset):
        np.testing.assert_allclose(model.predict(given, verbose=0), wanted, atol=1e-6)
    assert np.abs(wanted - model.predict(GOOD, verbose=0)).max() > 1e-3


@pytest.mark.quick("True")
@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("as_dataset", [False, True])
def test_a_classifier_that_is_gone_leaves_nothing_of_its_fit(monkeypatch, as_dataset):
    gone, count = [], TruncationReport.count

    def note(self, *rest):
        gone.append(weakref.ref(self))
        return count(self, *rest)

    monkeypatch.setattr(TruncationReport, "count", note)
    model, rows = make_classifier(), make_rows(text=TEXTS[:4], label=NAMES[:4])
    given = rows.dataset(2) if as_dataset else rows
    model.fit(given, epochs=1, verbose=0, **({} if as_dataset else {"batch_size": 2}))
    assert gone
    gone += [weakref.ref(model), weakref.ref(rows)]
    del model, rows, given
    gc.collect()
    assert [reference() for reference in gone] == [None] * len(gone)


def test_an_empty_text_is_a_text(classifier):
    inputs, _ = classifier.pack_texts(tf.constant([""]))
    logits = classifier(inputs).numpy()[0]
    answer = classifier.classify("")
    assert answer["label"] == ["bad", "good"][logits.argmax()]
    wanted = np.exp(logits.max()) / np.exp(logits).sum()
    assert answer["score"] == pytest.approx(wanted, rel=1e-5)
    classifier.evaluate(["", "good"], [0, 1], verbose=0)


@pytest.mark.slow
def test_validation_reads_raw_text_and_is_not_shuffled(still):
    model = still
    wanted = model.evaluate(TEXTS[2:6], NAMES[2:6], verbose=0)
    numbers = [int(name == "good") for name in NAMES]
    dataset = tf.data.Dataset.from_tensor_slices((TEXTS[2:6], numbers[2:6])).batch(3)
    for held_out in (
        (TEXTS[2:6], NAMES[2:6]),
        make_rows(text=TEXTS[2:6], label=NAMES[2:6]),
        dataset,
    ):
        history = model.fit(TEXTS, NAMES, validation_data=held_out, verbose=0).history
        assert history["val_loss"][0] == pytest.approx(wanted[0], rel=1e-5)
        assert history["val_accuracy"][0] == pytest.approx(wanted[1])


@pytest.mark.slow
def test_a_share_is_held_out_unless_validation_data_is_given(still):
    model, rows = still, make_rows(text=TEXTS, label=NAMES)
    kept, held_out = rows.split(0.25)
    history = model.fit(TEXTS, NAMES, validation_split=0.25, verbose=0).history
    wanted = [model.evaluate(side, verbose=0)[0] for side in (kept, held_out)]
    assert [history["loss"][0], history["val_loss"][0]] == pytest.approx(wanted, rel=1e-5)
    history = model.fit(
        TEXTS, NAMES, validation_split=0.25, validation_data=(GOOD, NAMES[:4]), verbose=0
    ).history
    wanted = [
        model.evaluate(TEXTS, NAMES, verbose=0)[0],
        model.evaluate(GOOD, [1] * 4, verbose=0)[0],
    ]
    assert [history["loss"][0], history["val_loss"][0]] == pytest.approx(wanted, rel=1e-5)


# Weights


def compute_losses(model, texts, numbers):
    """Cross-entropies in NumPy float64 from the model's logits."""
    logits = model.predict(texts, verbose=0).astype("float64")
    logits -= logits.max(-1, keepdims=True)
    return np.log(np.exp(logits).sum(-1)) - logits[np.arange(len(texts)), numbers]


@pytest.mark.slow
def test_classes_are_weighed_by_name_and_texts_by_number(still):
    model = still
    numbers = np.array([int(name == "good") for name in NAMES])
    losses = compute_losses(model, TEXTS, numbers)
    fit = {"verbose": 0, "batch_size": 8}
    for weight in ({"good": 3.0, "bad": 0.5}, {1: 3.0, 0: 0.5}):
        loss = model.fit(TEXTS, NAMES, class_weight=weight, **fit).history["loss"][0]
        assert loss == pytest.approx(np.mean(losses * np.where(numbers, 3.0, 0.5)), rel=1e-5)
    weights = [1, 0.5, 0, 2, 1, 1, 0.25, 3]
    wanted = np.mean(losses * weights)
    rows = make_rows(text=TEXTS, label=NAMES, weight=[float(weight) for weight in weights])
    for given in ({"x": TEXTS, "y": NAMES, "sample_weight": weights}, {"x": rows}):
        loss = model.fit(**given, **fit).history["loss"][0]
        assert loss == pytest.approx(wanted, rel=1e-5)
        assert model.evaluate(**given, batch_size=8, verbose=0)[0] == pytest.approx(
            wanted, rel=1e-5
        )


def test_a_weight_for_no_class_is_refused(classifier, tagger):
    with pytest.raises(ValueError, match="one of 'bad', 'good' or its number. Received: 'fine'"):
        classifier.fit(TEXTS, NAMES, class_weight={"fine": 1.0})
    with pytest.raises(ValueError, match=r"with `multi_label`.*Received: {'cat': 2.0}"):
        tagger.fit(TEXTS, [["cat"]] * 8, class_weight={"cat": 2.0})


# Several labels


@pytest.mark.slow
def test_several_labels_go_by_name_or_by_zeros_and_ones(tagger):
    names = [["film"], ["cat"], [], ["film", "cat", "dog"]]
    dense = np.array([[0, 0, 1], [1, 0, 0], [0, 0, 0], [1, 1, 1]])
    logits = tagger.predict(GOOD, verbose=0).astype("float64")
    wanted = np.mean(np.log1p(np.exp(-logits * (2 * dense - 1))))
    ragged = tf.ragged.constant(names)
    ones = tf.ragged.constant(dense.tolist())
    for labels in (names, dense, dense.tolist(), dense.astype(float)):
        assert tagger.evaluate(GOOD, labels, verbose=0)[0] == pytest.approx(wanted, rel=1e-5)
    for labels in (ragged, dense, ones):
        dataset = tf.data.Dataset.from_tensor_slices((GOOD, labels)).batch(4)
        assert tagger.evaluate(dataset, verbose=0)[0] == pytest.approx(wanted, rel=1e-5)


def test_several_labels_are_answered_from_a_threshold_on(tagger):
    logits = tagger.predict(TEXTS, verbose=0).astype("float64")
    probabilities = 1 / (1 + np.exp(-logits))
    threshold = float(np.median(probabilities))
    for row, answer in zip(probabilities, tagger.classify(TEXTS, threshold=threshold), strict=True):
        order = [index for index in np.argsort(-row) if row[index] >= threshold]
        assert [each["label"] for each in answer] == [("cat", "dog", "film")[i] for i in order]
        assert [each["score"] for each in answer] == pytest.approx(row[order], rel=1e-5)
    assert [len(answer) for answer in tagger.classify(TEXTS, top_k=2)] == [2] * 8


@pytest.mark.parametrize(
    ("labels", "error", "message"),
    [
        ([["cat"], "dog"], TypeError, "is a str"),
        ([["cat"], ["cow"]], ValueError, "index 1: A label must be one of 'cat'.*Received: 'cow'"),
        ([[1, 0, 0], [1, 0]], ValueError, r"index 1: .*or 3 zeros and ones. Received: \[1, 0\]"),
        ([[1, 0, 0], [1, 0, 2]], ValueError, r"index 1: .*Received: \[1, 0, 2\]"),
        (["cat", "dog"], TypeError, "index 0: .*must be a list.*Received: 'cat'"),
    ],
)
def test_wrong_lists_of_labels_are_refused(tagger, labels, error, message):
    with pytest.raises(error, match=message):
        tagger.fit(TEXTS[:2], labels)


@pytest.mark.parametrize(
    ("labels", "error", "message"),
    [
        ([[1, 0, 2]], tf.errors.InvalidArgumentError, "zeros and ones. Received"),
        ([[1, 0]], ValueError, r"of 3 numbers. Received: shape=\(None, 2\)"),
        (tf.ragged.constant([[1, 0]]), tf.errors.InvalidArgumentError, "of 3 numbers"),
        (tf.ragged.constant([["cow"]]), tf.errors.InvalidArgumentError, "cow"),
    ],
)
def test_wrong_lists_in_a_dataset_are_refused(tagger, labels, error, message):
    with pytest.raises(error, match=message):
        tagger.evaluate(tf.data.Dataset.from_tensor_slices((["a"], labels)).batch(1), verbose=0)


# Answers


def test_answers_are_the_softmax_in_any_batch_and_order(classifier):
    texts = [*TEXTS, "", "cat " * 15, "and on and on"]
    logits = classifier.predict(texts, verbose=0).astype("float64")
    wanted = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    alone = [classifier.classify(text, top_k=2) for text in texts]
    draw = np.random.default_rng(0)
    for batch_size in (1, 3, None):
        order = draw.permutation(len(texts))
        found = classifier.classify([texts[i] for i in order], top_k=5, batch_size=batch_size)
        for index, answer in zip(order, found, strict=True):
            scores = {each["label"]: each["score"] for each in answer}
            assert [scores["bad"], scores["good"]] == pytest.approx(wanted[index], abs=1e-5)
            assert [each["label"] for each in answer] == [each["label"] for each in alone[index]]
            assert answer[0]["score"] >= answer[1]["score"]
    best = classifier.classify(texts)
    assert [each["label"] for each in best] == [each[0]["label"] for each in alone]
    assert len({each["label"] for each in best}) == 2
    assert classifier.classify([]) == []


def test_pairs_are_answered_together(classifier):
    logits = classifier.predict((GOOD, BAD), verbose=0)
    found = classifier.classify(GOOD, BAD)
    assert [each["label"] for each in found] == [["bad", "good"][i] for i in logits.argmax(-1)]
    one = classifier.classify(GOOD[0], BAD[0])
    assert one["score"] == pytest.approx(found[0]["score"], abs=1e-5)
    assert one["score"] != pytest.approx(classifier.classify(BAD[0], GOOD[0])["score"], abs=1e-6)


def test_a_special_token_in_a_text_stays_text(eagerly):
    for tokenizer in (word_pieces(), byte_pairs()):
        model = make_classifier(tokenizer=tokenizer)
        texts = [f"good {token} film" for token in tokenizer.special_tokens]
        ids, _ = model.pack_texts(tf.constant(texts))
        # What is left of them, between the tokens at both ends, is ordinary, or unknown.
        inner = ids["token_ids"].numpy()[:, 1:]
        assert tokenizer.mask_token_id not in inner
        assert tokenizer.start_token_id not in inner
        ends = (inner == tokenizer.end_token_id).sum(1)
        np.testing.assert_array_equal(ends, 1)
        assert len(model.classify(texts)) == len(texts)


def test_a_second_call_traces_nothing():
    model, count = make_classifier(), itertools.count()
    call = model.pack_texts
    model.pack_texts = lambda *texts: (next(count), call(*texts))[1]
    model.classify(["good", "bad film"])
    assert next(count) == 1
    model.classify(TEXTS, batch_size=3)
    model.classify("a much longer good text and a cat", top_k=2)
    assert next(count) == 2
    model.classify("a", "b")
    assert next(count) == 4


# Training


@pytest.mark.slow
def test_eight_sentences_are_learned():
    model = make_classifier(head_activation="tanh", dropout=0.0)
    model.compile(keras.optimizers.Adam(0.02))
    history = model.fit(TEXTS, NAMES, batch_size=8, epochs=25, verbose=0).history
    assert history["loss"][-1] < 0.05 < history["loss"][0]
    assert [each["label"] for each in model.classify(TEXTS)] == NAMES


@pytest.mark.slow
def test_the_same_seed_trains_to_the_same_losses():
    runs = []
    for seed in (3, 3, 4):
        model = make_classifier(seed, dropout=0.3)
        runs.append(model.fit(TEXTS, NAMES, batch_size=3, epochs=2, verbose=0).history["loss"])
    assert runs[0] == runs[1] != runs[2]


@pytest.mark.slow
def test_a_fit_that_goes_on_reads_what_the_whole_one_reads():
    whole = sgd(make_classifier())
    losses = whole.fit(TEXTS, NAMES, batch_size=3, epochs=4, verbose=0).history["loss"]
    parts = sgd(make_classifier())
    options = {"batch_size": 3, "verbose": 0}
    found = parts.fit(TEXTS, NAMES, epochs=2, **options).history["loss"]
    found += parts.fit(TEXTS, NAMES, epochs=4, initial_epoch=2, **options).history["loss"]
    assert found == losses
    again = sgd(make_classifier())
    wrong = again.fit(TEXTS, NAMES, epochs=2, **options).history["loss"]
    wrong += again.fit(TEXTS, NAMES, epochs=2, **options).history["loss"]
    assert wrong[:2] == losses[:2] and wrong[2:] != losses[2:]


@pytest.mark.slow
def test_mixed_precision_trains_to_finite_values():
    tokenizer = word_pieces()
    backbone = make_encoder(tokenizer, dtype="mixed_bfloat16")
    model = TextClassifier(backbone, tokenizer, labels=["bad", "good"])
    losses = model.fit(TEXTS, NAMES, batch_size=4, epochs=2, verbose=0).history["loss"]
    assert np.isfinite(losses).all()
    assert model.predict(TEXTS[:1], verbose=0).dtype == "float32"
    assert all(np.isfinite(variable.numpy()).all() for variable in model.variables)
    assert model.head.output_dense.compute_dtype == "bfloat16"


@pytest.mark.parametrize("options", [{"pooler": False}, {"pooler": True}])
def test_a_head_has_a_hidden_layer_where_there_is_no_pooler(options):
    tokenizer = word_pieces()
    backbone = make_encoder(tokenizer, **options)
    model = TextClassifier(backbone, tokenizer, num_classes=np.int64(3))
    inputs, _ = model.pack_texts(tf.constant(TEXTS))
    outputs = backbone(inputs)
    if options["pooler"]:
        features = outputs["pooled_output"].numpy()
    else:
        kernel, bias = (weight.numpy() for weight in model.head.hidden_dense.weights)
        features = np.tanh(outputs["sequence_output"].numpy()[:, 0] @ kernel + bias)
    kernel, bias = (weight.numpy() for weight in model.head.output_dense.weights)
    np.testing.assert_allclose(model(inputs), features @ kernel + bias, atol=1e-5)


# Keeping


@pytest.mark.slow
def test_a_keras_file_brings_back_labels_and_scores(tmp_path):
    model = make_classifier(labels=["schlecht", "gut", "好"], sequence_length=12)
    model.fit(TEXTS, [2, 1, 0, 1] * 2, verbose=0)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert again.labels.names == ("schlecht", "gut", "好")
    assert again.sequence_length == 12
    assert again.classify(TEXTS, top_k=3) == model.classify(TEXTS, top_k=3)
    numbers = [2, 1, 0, 1] * 2
    assert again.evaluate(TEXTS, numbers, verbose=0) == model.evaluate(TEXTS, numbers, verbose=0)
    losses = [each.fit(TEXTS, numbers, verbose=0).history["loss"] for each in (model, again)]
    assert losses[0] == losses[1]


def test_the_config_has_every_argument(tagger):
    options = {"head_activation": "relu", "dropout": 0.25, "sequence_length": 9}
    model = make_classifier(labels=["x", "y"], multi_label=True, **options)
    again = TextClassifier.from_config(model.get_config())
    assert again.labels.names == ("x", "y") and again.multi_label
    assert {name: getattr(again, name) for name in options} == options


# What is refused


def test_a_wrong_label_is_refused_with_its_place(classifier, tmp_path):
    with pytest.raises(ValueError, match="index 1: A label must be one of.*Received: 'fine'"):
        classifier.fit(["a", "b"], ["good", "fine"])
    with pytest.raises(ValueError, match="index 0: .*Received: 2"):
        classifier.evaluate(["a", "b"], [2, 1])
    with pytest.raises(TypeError, match="index 0: A label must be a name or an int.*Received: 0.5"):
        classifier.fit(["a", "b"], [0.5, 1.0])
    path = tmp_path / "train.tsv"
    path.write_text("text\tlabel\nx\tgood\n\ny\tfine\n")
    with pytest.raises(ValueError, match=r"train\.tsv:4: .*Received: 'fine'"):
        classifier.fit(read_table(path, label="label"))
    dataset = tf.data.Dataset.from_tensor_slices((["a"], ["fine"])).batch(1)
    with pytest.raises(tf.errors.InvalidArgumentError, match="fine"):
        classifier.evaluate(dataset, verbose=0)


def test_texts_without_labels_are_refused(classifier):
    with pytest.raises(ValueError, match="Received: rows with columns text. Pass `y`"):
        classifier.fit(["a", "b"])
    dataset = tf.data.Dataset.from_tensor_slices({"text": ["a"]}).batch(1)
    with pytest.raises(ValueError, match="Received: batches with columns text"):
        classifier.fit(dataset)


@pytest.mark.parametrize(
    ("x", "error", "message"),
    [
        ("good", TypeError, r"`x` must be a list of texts. Received: 'good'. Write \[text\]"),
        ([], ValueError, r"at least one text. Received: x=\[\]"),
        ([b"good"], TypeError, "b'good'"),
        (["good", 5], TypeError, "Received: 5 at index 1"),
        ([("a", "b")], TypeError, r"Received: a list that begins with \('a', 'b'\)"),
        ({"text": [["a"]]}, TypeError, r"must hold a string for each row.*shape=\(None, None\)"),
        (make_rows(sentence=["a"]), ValueError, "column `text`. Received: columns sentence"),
        ({"pair": ["a"]}, ValueError, "column `text`. Received: columns pair"),
        ((["a", "b"], ["c"]), ValueError, "'text': 2, 'pair': 1"),
        (tf.data.Dataset.from_tensors("a"), TypeError, r"in batches. Received: .*shape=\(\)"),
    ],
)
def test_what_is_no_list_of_texts_is_refused(classifier, x, error, message):
    with pytest.raises(error, match=message):
        classifier.predict(x, verbose=0)


def test_lists_of_other_lengths_are_refused(classifier):
    with pytest.raises(ValueError, match="'text': 2, 'label': 1"):
        classifier.fit(["a", "b"], ["good"])
    with pytest.raises(ValueError, match="Received: 1 pairs, 2 texts"):
        classifier.classify(["a", "b"], ["c"])
    with pytest.raises(ValueError, match="Received: a str, 1 texts"):
        classifier.classify(["a"], "c")


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"texts": ["a", 3]}, TypeError, "Received: 3 at index 1"),
        ({"texts": 3}, TypeError, "Received: texts=3"),
        ({"texts": b"a"}, TypeError, "Received: texts=b'a'"),
        ({"texts": ["a", "a\ud800"]}, ValueError, "`texts` .* '.ud800' at character 1 of index 1"),
        ({"texts": "\ud800"}, ValueError, "`texts` .* '.ud800' at character 0 of index 0"),
        ({"pairs": ["\udc00"]}, ValueError, "`pairs` .* '.udc00' at character 0 of index 0"),
        ({"pairs": [None]}, TypeError, "`pairs` must be .*Received: None at index 0"),
        ({"top_k": 0}, ValueError, "Received: top_k=0"),
        ({"top_k": 1.5}, ValueError, "Received: top_k=1.5"),
        ({"top_k": True}, ValueError, "Received: top_k=True"),
        ({"threshold": 2}, ValueError, "Received: threshold=2"),
        ({"threshold": "x"}, ValueError, "Received: threshold='x'"),
        ({"batch_size": 0}, ValueError, "Received: batch_size=0"),
        ({"batch_size": 2.0}, TypeError, "Received: batch_size=2.0"),
    ],
)
def test_wrong_questions_are_refused(classifier, options, error, message):
    with pytest.raises(error, match=message):
        classifier.classify(**{"texts": ["a"], **options})


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"num_classes": 1}, ValueError, "Received: num_classes=1"),
        ({"num_classes": -1}, ValueError, "must be at least 2. Received: num_classes=-1"),
        ({"num_classes": 2.0}, TypeError, "Received: num_classes=2.0"),
        ({"num_classes": True}, TypeError, "Received: num_classes=True"),
        ({}, ValueError, "Received: num_classes=None, labels=None"),
        ({"labels": "ab"}, TypeError, "Received: labels='ab'"),
        ({"labels": {"b": 1, "a": 0}}, TypeError, "Received: labels={'b': 1, 'a': 0}"),
        ({"labels": {"a"}}, TypeError, "Received: labels={'a'}"),
        ({"labels": ["a", "b"], "dropout": 1.5}, ValueError, "Received: dropout=1.5"),
        ({"num_classes": 2, "sequence_length": 33}, ValueError, "Received: sequence_length=33"),
        ({"num_classes": 2, "sequence_length": 0}, ValueError, "Received: sequence_length=0"),
        ({"num_classes": 2, "head_activation": "bend"}, ValueError, "bend"),
    ],
)
def test_wrong_arguments_are_refused(options, error, message):
    with pytest.raises(error, match=message):
        TextClassifier(make_encoder(), word_pieces(), **options)


def test_text_without_a_tokenizer_is_refused():
    model = TextClassifier(make_encoder(), num_classes=2)
    for call in (model.classify, model.predict, lambda texts: model.fit(texts, [0])):
        with pytest.raises(ValueError, match="Received: tokenizer=None. Pass token batches"):
            call(["a"])
    assert set(model.serving_functions()) == {"tokens"}
    assert model.predict({"token_ids": np.array([[2, 5, 3]])}, verbose=0).shape == (1, 2)


# Long texts


@pytest.mark.slow
def test_long_texts_are_cut_and_counted_once(still):
    texts, labels = [LONG, "good", LONG, "bad", "cat"], [0, 1, 0, 1, 0]
    words = " ".join(LONG.split()[:30])
    model = still
    for batch_size in (2, 5):
        with pytest.warns(UserWarning, match=r"^2 of 5 texts \(40.0%\) were longer than 32 tokens"):
            model.fit(texts, labels, epochs=3, batch_size=batch_size, verbose=0)
    with pytest.warns(UserWarning, match="^4 of 10 texts"):
        model.fit(texts, labels, validation_data=(texts, labels), verbose=0)
    with pytest.warns(UserWarning, match="^2 of 5 texts") as caught:
        long = model.evaluate(texts, labels, verbose=0)
    assert len(caught) == 1
    assert long == model.evaluate([words, "good", words, "bad", "cat"], labels, verbose=0)
    dataset = tf.data.Dataset.from_tensor_slices((texts, labels)).batch(2)
    for call in (
        lambda: model.predict(texts, verbose=0),
        lambda: model.fit(dataset, epochs=2, verbose=0),
        lambda: model.classify(texts, batch_size=2),
    ):
        with pytest.warns(UserWarning, match="^2 of 5 texts") as caught:
            call()
        assert len(caught) == 1
    with pytest.warns(UserWarning, match="^1 of 1 texts"):
        assert model.classify(LONG) == model.classify(words)


def test_training_moves_every_weight_that_the_scores_depend_on():
    model = sgd(make_classifier())
    tokens, _ = model.pack_texts(tf.constant(TEXTS))
    before = [weight.numpy() for weight in model.backbone.pooler_dense.weights]
    model.fit(tokens, np.array([1, 0] * 4), verbose=0)
    after = [weight.numpy() for weight in model.backbone.pooler_dense.weights]
    assert all((old != new).any() for old, new in zip(before, after, strict=True))
