"""Mixtures against counting, and against the objectives that are mixed."""

import collections
import math
import re

import numpy as np
import pytest
import tensorflow as tf

from lmzoo.data import Corpus, SpanCorruptionExamples, make_rows, mix, stream_tokens
from lmzoo.models import T5Backbone
from lmzoo.tasks import Seq2SeqLM
from lmzoo.tokenizers import SentencePieceTokenizer


def make_task(name, size):
    numbers = range(size)
    return make_rows(
        source=[f"{name} {n}" for n in numbers], target=[f"{n} {name}" for n in numbers]
    )


def make_tasks(**sizes):
    return {name: make_task(name, size) for name, size in sizes.items()}


def tasks_of(rows):
    return [row["task"] for row in rows]


@pytest.mark.parametrize("num_rows", [1, 50, 999])
def test_a_mixture_has_the_rates_to_within_one_row(num_rows):
    rates = {"a": 150, "b": 200, "c": 613, "d": 37}
    rows = mix(make_tasks(a=3, b=5, c=7, d=2), rates=rates, num_rows=num_rows)
    counts = collections.Counter(tasks_of(rows))
    assert counts.total() == num_rows
    assert all(abs(counts[name] - num_rows * rate / 1000) < 1 for name, rate in rates.items())


def test_every_beginning_has_about_the_rates():
    rates = {"a": 0.1, "b": 0.6, "c": 0.05, "d": 0.25}
    counts = collections.Counter()
    for index, row in enumerate(mix(make_tasks(a=3, b=5, c=7, d=2), rates=rates, num_rows=900)):
        counts[row["task"]] += 1
        # Each share of a rest is rounded down, so by less than one, and it adds up over four tasks.
        assert all(abs(counts[name] - (index + 1) * rate) < 4 for name, rate in rates.items())


def test_every_row_is_used_once_before_any_is_used_twice():
    sizes = {"a": 13, "b": 40}
    rows = mix(make_tasks(**sizes), rates={"a": 3, "b": 2}, num_rows=700, prefix=False)
    uses = {name: [row for row in rows if row["task"] == name] for name in sizes}
    assert len(uses["a"]) > 400
    for name, size in sizes.items():
        passes = []
        for start in range(0, len(uses[name]) - size, size):
            numbers = [int(row["source"].split()[1]) for row in uses[name][start : start + size]]
            assert sorted(numbers) == list(range(size))
            passes.append(tuple(numbers))
        assert len(set(passes)) == len(passes) > 5


def test_tasks_of_one_size_do_not_go_in_step():
    rows = mix(make_tasks(a=30, b=30), prefix=False)
    orders = {
        name: [row["source"].split()[1] for row in rows if row["task"] == name] for name in "ab"
    }
    assert orders["a"] != orders["b"]


def test_without_rates_or_length_every_row_is_there_once():
    sizes = {"a": 30, "b": 7, "c": 200}
    rows = mix(make_tasks(**sizes))
    assert len(rows) == 237
    found = sorted(row["source"] for row in rows)
    assert found == sorted(f"{name}: {name} {n}" for name in sizes for n in range(sizes[name]))


def test_a_row_keeps_its_source_target_and_task_together():
    for row in mix(make_tasks(a=4, b=3), prefix={"b": "please "}):
        name, number = row["source"].removeprefix("please ").split()
        assert row["task"] == name and row["target"] == f"{number} {name}"
        assert row["source"].startswith("please ") == (name == "b")


def test_a_row_is_known_from_its_index_alone():
    tasks = make_tasks(a=4, b=300)
    rows = list(mix(tasks, seed=3, num_rows=500, temperature=2.0))
    again = mix(tasks, seed=3, num_rows=500, temperature=2.0)
    assert [again[index] for index in (499, 0, 250)] == [rows[499], rows[0], rows[250]]
    assert list(mix(tasks, seed=4, num_rows=500, temperature=2.0)) != rows


def test_any_size_costs_nothing():
    size = 10**18
    rows = mix(make_tasks(a=4, b=3, c=5), rates={"a": 1e-6, "b": 0.1, "c": 0.7}, num_rows=size)
    assert len(rows) == size
    assert {rows[index]["task"] for index in range(size - 9, size)} == {"a", "b", "c"}


def test_a_rate_of_zero_leaves_a_task_out():
    rows = mix(make_tasks(a=4, b=3), rates={"a": 0, "b": np.float32(2)})
    assert tasks_of(rows) == ["b", "b", "b"]


def test_a_mixture_is_read_in_batches_and_says_where_a_row_is_from():
    rows = mix(make_tasks(a=4, b=3))
    (batch,) = rows.dataset(7)
    assert sorted(batch["source"].numpy().tolist()) == sorted(
        row["source"].encode() for row in rows
    )
    name, number = rows[2]["source"].split(": ")[1].split()
    assert rows.place(2) == f"{name}, index {number}"


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"rates": {"a": 1, "c": 1}}, ValueError, "['a', 'b']. Received: rates={'a': 1, 'c': 1}"),
        ({"rates": {"a": 1}}, ValueError, "['a', 'b']. Received: rates={'a': 1}"),
        ({"rates": [1, 2]}, ValueError, "Received: rates=[1, 2]"),
        ({"rates": {"a": 0, "b": 0.0}}, ValueError, "Received: rates={'a': 0, 'b': 0.0}"),
        ({"rates": {"a": -1, "b": 2}}, ValueError, "Received: rates={'a': -1, 'b': 2}"),
        ({"rates": {"a": math.nan, "b": 2}}, ValueError, "Received: rates={'a': nan, 'b': 2}"),
        ({"rates": {"a": math.inf, "b": 2}}, ValueError, "Received: rates={'a': inf, 'b': 2}"),
        ({"rates": {"a": "x", "b": 2}}, ValueError, "Received: rates={'a': 'x', 'b': 2}"),
        ({"rates": {"a": 1, "b": 2}, "cap": 5}, ValueError, "rates={'a': 1, 'b': 2}, cap=5"),
        ({"rates": {"a": 1, "b": 2}, "temperature": 2.0}, ValueError, "temperature=2.0"),
        ({"cap": "2"}, ValueError, "Received: cap='2'"),
        ({"temperature": "2"}, ValueError, "Received: temperature='2'"),
        ({"num_rows": "2"}, ValueError, "Received: num_rows='2'"),
        ({"cap": 0}, ValueError, "Received: cap=0"),
        ({"temperature": 0.5}, ValueError, "Received: temperature=0.5"),
        ({"temperature": math.inf}, ValueError, "Received: temperature=inf"),
        ({"num_rows": 0}, ValueError, "Received: num_rows=0"),
        ({"num_rows": 1.5}, ValueError, "Received: num_rows=1.5"),
        ({"seed": 0.5}, TypeError, "Received: seed=0.5"),
        ({"prefix": {"x": "?"}}, ValueError, "['a', 'b']. Received: unknown names ['x']"),
        ({"prefix": {"a": 3}}, TypeError, "Received: 3"),
        ({"prefix": "a: "}, TypeError, "Received: prefix='a: '"),
        ({"tasks": {}}, TypeError, "Received: tasks={}"),
        ({"tasks": [1]}, TypeError, "Received: tasks=[1]"),
        ({"tasks": {"a": ["x"]}}, TypeError, "Received: 'a' with list"),
        (
            {"tasks": {"a": make_rows(text=["x"])}},
            ValueError,
            "Received: 'a' with Rows(1 rows, columns=('text',))",
        ),
    ],
)
def test_what_makes_no_mixture_is_refused(options, error, message):
    with pytest.raises(error, match=re.escape(message)):
        mix(**{"tasks": make_tasks(a=4, b=3), **options})


def test_a_row_that_is_no_text_is_refused_with_its_place():
    rows = mix({"sum": make_rows(source=["1 + 1"], target=[2])})
    with pytest.raises(TypeError, match="sum, index 0: `target` must be a string. Received: 2"):
        rows[0]


WORDS = "one two three four five six seven eight nine ten".split()
TEXT = " ".join(np.random.default_rng(0).choice(WORDS, 600))


@pytest.fixture(scope="module")
def tokenizer():
    return SentencePieceTokenizer.train(iter([TEXT]), 60, "bpe", num_sentinels=8)


@pytest.fixture
def spans(tokenizer, tmp_path):
    """Windows with corrupted spans, and the tokens of the corpus that they are made of."""
    (tmp_path / "a.txt").write_text(TEXT)
    stream = stream_tokens(Corpus(tmp_path / "a.txt"), tokenizer, tmp_path, verbose=False)
    return SpanCorruptionExamples(stream, tokenizer, sequence_length=40, batch_size=1)


def fill_spans(source, target, sentinels):
    """The window that was corrupted, put together of its input and its target."""
    spans, window = {}, []
    for token in target:
        if token in sentinels:
            spans[token] = []
            last = token
        else:
            spans[last].append(token)
    for token in source:
        window += spans.get(token, [token])
    return tuple(window)


def test_windows_are_interleaved_and_corrupt_other_spans_each_time(spans, tokenizer):
    sentinels = set(tokenizer.sentinel_ids.tolist())
    tasks = {"text": make_task("text", 3), "spans": spans}
    size = spans.num_examples
    rows = list(mix(tasks, rates={"text": 1, "spans": 2}, num_rows=6 * size))
    assert tasks_of(rows).count("text") == 2 * size
    for row in rows:
        is_window = row["task"] == "spans"
        assert bool(row["source_token_ids"]) == bool(row["target_token_ids"]) == is_window
        assert row["source"].startswith("text: text") != is_window
        assert (row["source"] == row["target"] == "") == is_window
    found = [
        (tuple(row["source_token_ids"]), tuple(row["target_token_ids"]))
        for row in rows
        if row["task"] == "spans"
    ]
    passes = [found[start : start + size] for start in range(0, 4 * size, size)]
    windows = [sorted(fill_spans(*pair, sentinels) for pair in used) for used in passes]
    assert windows[0] == windows[1] == windows[2] == windows[3]
    # Of all windows some have the same of their few places corrupted twice.
    assert size > 10 and len(set(found)) > 3 * size


def test_a_window_of_a_mixture_is_known_from_its_index_alone(spans):
    tasks = {"a": make_task("a", 5), "spans": spans}
    rows = list(mix(tasks, num_rows=200))
    again = mix(tasks, num_rows=200)
    assert [again[index] for index in (199, 0, 63)] == [rows[199], rows[0], rows[63]]
    first = tasks_of(rows).index("spans")
    assert again.place(first) == "spans, example 0 of epoch 0"


def test_windows_have_a_prefix_if_one_is_given(spans):
    rows = mix({"spans": spans}, prefix={"spans": "fill: "})
    assert {row["source"] for row in rows} == {"fill: "}


def test_windows_that_no_row_uses_leave_no_columns(spans):
    rows = mix({"a": make_task("a", 5), "spans": spans}, rates={"a": 9, "spans": 1}, num_rows=3)
    assert rows.columns == ("source", "target", "task")


@pytest.mark.slow
def test_a_model_learns_windows_as_the_objective_alone_gives_them(spans, tokenizer):
    lm = Seq2SeqLM(T5Backbone(tokenizer.vocabulary_size, 1, 1, 2, 8, 4, 8, 64), tokenizer)
    mixture = mix({"spans": spans, "a": make_rows(source=["one two"], target=["three"])})
    encode = {"encode": lambda columns, number: lm.encode(columns, number)[:3]}
    batches = mixture.dataset(len(mixture), shuffle=False, **encode)
    inputs, labels, weights = next(iter(batches))
    (text,) = [index for index, row in enumerate(mixture) if row["task"] == "a"]
    columns = {"source": tf.constant(["a: one two"]), "target": tf.constant(["three"])}
    alone = lm.encode(columns, 0)
    ids = inputs["encoder_token_ids"][text].numpy()
    assert ids[ids != 0].tolist() == alone.inputs["encoder_token_ids"][0].numpy().tolist()
    for row, index in enumerate(index for index in range(len(mixture)) if index != text):
        wanted_inputs, wanted_labels, wanted_weights = spans.example(0, row)
        for name, values in wanted_inputs.items():
            assert inputs[name][index].numpy().tolist() == values.tolist()
        assert labels[index].numpy().tolist() == wanted_labels.tolist()
        assert weights[index].numpy().tolist() == wanted_weights.tolist()
    history = lm.fit(mixture, batch_size=4, epochs=2, verbose=0).history
    assert np.isfinite(history["loss"]).all()
