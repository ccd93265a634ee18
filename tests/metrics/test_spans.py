"""Spans of tagged texts against seqeval, and against the tables of the published script."""

import itertools

import numpy as np
import pytest

from lmzoo.metrics import find_spans, span_scores
from lmzoo.metrics.spans import is_boundary, is_inside, parse_tag

TAGS = [*(f"{prefix}-{kind}" for prefix in "BIES" for kind in "XY"), "B", "I", "O", ".", "[", "]"]


def ends_by_the_script(previous, tag, previous_type, type_):
    """conlleval's table for the end of a span, with S as its later readers add it."""
    pairs = {"BB", "BO", "IB", "IO", "EE", "EI", "EO", "BS", "IS", "ES", "SB", "SI", "SE", "SS"}
    is_end = previous + tag in pairs | {"SO"}
    is_end |= previous not in ("O", ".") and previous_type != type_
    return is_end or previous in ("[", "]")


def starts_by_the_script(previous, tag, previous_type, type_):
    """conlleval's table for the start of a span, with S as its later readers add it."""
    pairs = {"BB", "IB", "OB", "OI", "EE", "EI", "OE", "BS", "IS", "ES", "SB", "SI", "SE", "SS"}
    is_start = previous + tag in pairs | {"OS"}
    is_start |= tag not in ("O", ".") and previous_type != type_
    return is_start or tag in ("[", "]")


def by_the_script(texts):
    """Counts as the script does, word by word with its flag, over pairs of true and predicted."""
    correct = true_count = predicted_count = 0
    for rows in zip(*texts, strict=True):
        is_open, last = False, [("O", ""), ("O", "")]
        # The script puts an outside word between two texts.
        for words in zip(*([*row, "O"] for row in rows), strict=True):
            now = [(tag.partition("-")[0], tag.partition("-")[2]) for tag in words]
            sides = [(old[0], new[0], old[1], new[1]) for old, new in zip(last, now, strict=True)]
            ends = [ends_by_the_script(*side) for side in sides]
            starts = [starts_by_the_script(*side) for side in sides]
            if is_open:
                if all(ends) and last[0][1] == last[1][1]:
                    is_open, correct = False, correct + 1
                elif ends[0] != ends[1] or now[0][1] != now[1][1]:
                    is_open = False
            if all(starts) and now[0][1] == now[1][1]:
                is_open = True
            true_count += starts[0]
            predicted_count += starts[1]
            last = now
    return correct, true_count, predicted_count


def draw_texts(tags, num_texts, seed):
    generator = np.random.default_rng(seed)
    true, predicted = [], []
    for length in generator.integers(0, 10, num_texts):
        row = generator.choice(tags, length)
        true.append(row.tolist())
        is_kept = generator.random(length) < 0.8
        predicted.append(np.where(is_kept, row, generator.choice(tags, length)).tolist())
    return true, predicted


def test_every_pair_of_tags_is_cut_where_the_script_cuts():
    differing = set()
    for first, second in itertools.product(TAGS, TAGS):
        one, other = parse_tag(first), parse_tag(second)
        row = (first.partition("-")[0], second.partition("-")[0])
        types = (first.partition("-")[2], second.partition("-")[2])
        cut = is_boundary(one, other)
        ends, starts = cut and is_inside(one), cut and is_inside(other)
        if ends != ends_by_the_script(*row, *types) or starts != starts_by_the_script(*row, *types):
            differing.add((first, second))
    mixed = set(itertools.product(["B", "I"], [".", "[", "]"]))
    mixed |= {(second, first) for first, second in mixed}
    assert differing == {("E-X", "B-X"), ("E-Y", "B-Y")} | mixed


@pytest.mark.parametrize("prefixes", ["BI", "I", "BIS", "IE"])
def test_random_texts_have_the_counts_of_the_script(prefixes):
    tags = [*(f"{prefix}-{kind}" for prefix in prefixes for kind in "XY"), "O"]
    texts = draw_texts(tags, 400, seed=len(tags))
    scores = span_scores(*texts)
    counts = (scores["num_correct"], scores["num_true"], scores["num_predicted"])
    assert counts == by_the_script(texts)
    assert counts[0] > 100


@pytest.mark.parametrize("index", range(16))
def test_random_texts_have_the_scores_of_seqeval(golden, index):
    case = golden["spans"][index]
    texts = [
        [[case["tags"][int(digit)] for digit in row] for row in case[side]]
        for side in ("true", "predicted")
    ]
    scores, wanted = span_scores(*texts), case["scores"]
    assert set(scores["types"]) == {"A", "B"}
    for name in ("precision", "recall", "f1"):
        each = [scores["types"][kind][name] for kind in ("A", "B")]
        assert scores[name] == pytest.approx(wanted[f"micro {name}"], abs=1e-12)
        assert each == pytest.approx(wanted[f"None {name}"], abs=1e-12)
        assert np.mean(each) == pytest.approx(wanted[f"macro {name}"], abs=1e-12)


def test_types_may_hold_dashes_and_brackets_are_spans_of_one_word():
    tags = ["B-a-b", "I-a-b", "[", "]", ".", "I"]
    assert find_spans(tags) == [("a-b", 0, 2), ("", 2, 3), ("", 3, 4), ("", 5, 6)]


def test_no_spans_score_zero():
    assert span_scores([], [])["f1"] == 0.0
    assert span_scores([["O"], []], [["O"], []])["precision"] == 0.0
    assert span_scores([["B-A"]], [["O"]])["types"]["A"]["recall"] == 0.0


def test_lists_of_other_lengths_are_refused():
    with pytest.raises(ValueError, match="2 true texts, 1 predicted texts"):
        span_scores([["O"], ["O"]], [["O"]])
    with pytest.raises(ValueError, match="1 true tags, 2 predicted tags in text 1"):
        span_scores([["O"], ["O"]], [["O"], ["O", "O"]])


@pytest.mark.parametrize("tag", ["X-PER", "PER", "B-", "", "O-PER", "[-PER", 3, None])
def test_what_is_no_tag_is_refused(tag):
    with pytest.raises(ValueError, match=f"tag={tag!r}".replace("[", r"\[")):
        find_spans(["O", tag])
