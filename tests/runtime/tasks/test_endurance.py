"""Threads, and many runs."""

import concurrent.futures

import numpy as np
import psutil
import pytest

from lmzoo import runtime, tasks
from tests.encoder_tasks import make_backbone, randomise, train_tokenizer

PROMPTS = ["the cat", "a", "that hat, then", "rat ate the", "mat", "on"]


def run_together(calls):
    with concurrent.futures.ThreadPoolExecutor(len(calls)) as pool:
        futures = [pool.submit(call) for call in calls]
        return [future.result(timeout=300) for future in futures]


@pytest.mark.parametrize("shared", [False, True])
def test_threads_do_not_disturb_each_other(model, shared):
    options = {"max_new_tokens": 12, "temperature": 1.0}
    wanted = [model.generate(prompt, seed=i, **options) for i, prompt in enumerate(PROMPTS)]
    models = [model if shared else runtime.load(model.file.path, 1) for _ in range(2)]

    def work(own):
        found = []
        for _ in range(8):
            found.append([own.generate(p, seed=i, **options) for i, p in enumerate(PROMPTS)])
            text = "".join(own.stream(PROMPTS[0], seed=0, **options))
            assert PROMPTS[0] + text == wanted[0]
        return found

    for found in run_together([lambda own=own: work(own) for own in models]):
        assert found == [wanted] * 8


@pytest.fixture(scope="module")
def classifier(export):
    tokenizer = train_tokenizer("word_piece")
    task = tasks.TextClassifier(make_backbone(tokenizer), tokenizer, 3)
    return export(randomise(task))


def test_threads_share_a_classifier(classifier):
    texts = ["EU rejects", "a", "British lamb. Peter Blackburn", "x" * 40]
    wanted = [classifier.classify(text) for text in texts]

    def work():
        return [[classifier.classify(text) for text in texts] for _ in range(20)]

    for found in run_together([work] * 3):
        assert found == [wanted] * 20


def count_growth(call, warm, count):
    """MB by which this process grows over `count` calls, after `warm` ones."""
    process = psutil.Process()
    for number in range(warm):
        call(number)
    before = process.memory_info().rss
    for number in range(count):
        call(number)
    return (process.memory_info().rss - before) / 1e6


@pytest.mark.parametrize("count", [300, pytest.param(10_000, marks=pytest.mark.slow)])
def test_memory_does_not_grow_with_the_number_of_runs(model, classifier, count):
    generator = np.random.default_rng(0)

    def generate(number):
        prompt = PROMPTS[number % len(PROMPTS)]
        model.generate(prompt, max_new_tokens=1, temperature=1.0, top_p=0.9, seed=number)

    def classify(number):
        classifier.classify("a " * int(generator.integers(1, 30)))

    assert count_growth(generate, 100, count) < 10
    assert count_growth(classify, 300, count) < 10


@pytest.mark.slow
def test_memory_does_not_grow_with_the_number_of_loads(model):
    def load(number):
        runtime.load(model.file.path, 1).generate("the", max_new_tokens=2)

    assert count_growth(load, 20, 200) < 20
