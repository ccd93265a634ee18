"""Mixtures against counting, and rates against the formula of the paper."""

import collections
import math
import re

import numpy as np
import pytest
import tensorflow as tf

from lmzoo.data import compute_rates, make_rows, mix, span_corruption
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


def test_rates_are_those_of_the_paper():
    # Section 3.5.2: min(e, K) / sum of min(e, K), to the power of 1 / T, made to sum to 1.
    sizes = {"a": 100, "b": 5_000, "c": 3_000_000}
    for cap in (None, 100, 2**12, 2**21):
        for temperature in (1.0, 2.0, 4.0, 8.0):
            capped = np.array([min(size, cap or math.inf) for size in sizes.values()])
            wanted = (capped / capped.sum()) ** (1 / temperature)
            wanted /= wanted.sum()
            found = compute_rates(sizes, cap, temperature)
            assert list(found) == list(sizes)
            np.testing.assert_allclose(list(found.values()), wanted, rtol=1e-12)


def test_the_limits_of_temperature_are_in_proportion_and_equal():
    sizes = {"a": 10, "b": 90, "c": 900}
    in_proportion = compute_rates(sizes, temperature=1.0)
    assert in_proportion == pytest.approx({"a": 0.01, "b": 0.09, "c": 0.9})
    assert compute_rates(sizes, temperature=1e9) == pytest.approx(dict.fromkeys(sizes, 1 / 3))
    assert compute_rates(sizes, cap=1) == pytest.approx(dict.fromkeys(sizes, 1 / 3))


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


def test_rates_of_no_task_are_refused():
    with pytest.raises(ValueError, match=r"Received: rates=\{\}"):
        compute_rates({})


def test_a_row_that_is_no_text_is_refused_with_its_place():
    rows = mix({"sum": make_rows(source=["1 + 1"], target=[2])})
    with pytest.raises(TypeError, match="sum, index 0: `target` must be a string. Received: 2"):
        rows[0]


@pytest.mark.slow
def test_rows_and_hidden_spans_take_turns_as_the_text_of_mix_says(tmp_path):
    texts = ["one two three four five six"] * 60
    tokenizer = SentencePieceTokenizer.train(iter(texts), 60, "bpe", num_sentinels=8)
    backbone = T5Backbone(tokenizer.vocabulary_size, 1, 1, 2, 8, 4, 8, 32)
    lm = Seq2SeqLM(backbone, tokenizer)
    (tmp_path / "a.txt").write_text(" ".join(texts))
    rows = mix({"a": make_rows(source=["one two", "six"], target=["three", "one"])})
    tasks = rows.dataset(2, encode=lambda columns, number: lm.encode(columns, number)[:3])
    spans = span_corruption(tmp_path / "a.txt", tokenizer, sequence_length=20, batch_size=2)
    rates = [0.5, 0.5]
    both = tf.data.Dataset.sample_from_datasets([spans.repeat(), tasks.repeat()], rates, seed=0)
    lm.compile(run_eagerly=True)
    assert np.isfinite(lm.fit(both, steps_per_epoch=4, verbose=0).history["loss"]).all()
    has_sentinel = [np.isin(labels, tokenizer.sentinel_ids).any() for _, labels, _ in both.take(20)]
    assert 4 < sum(has_sentinel) < 16
