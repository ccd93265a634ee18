"""What a search says at its end: importance, pictures and the page."""

import html.parser
import re

import numpy as np
import pytest

from lmzoo.tuning.report.axes import make_axes
from lmzoo.tuning.report.importance import encode_values, list_names, measure_importance
from lmzoo.tuning.report.page import write_page
from lmzoo.tuning.report.plot import draw_search


def make_trials(count=40, seed=0):
    """Trials whose objective follows from the rate, a little from the kind, and not from noise."""
    random = np.random.default_rng(seed)
    trials = []
    for index in range(count):
        values = {
            "rate": float(10 ** random.uniform(-4, -1)),
            "kind": str(random.choice(["a", "b", "c"])),
            "noise": int(random.integers(0, 9)),
            "fixed": 3,
        }
        objective = float(np.log10(values["rate"]) ** 2 + 0.5 * (values["kind"] == "b"))
        trials.append({"trial": f"{index:04d}", "values": values, "objective": objective})
    return trials


def make_report(trials):
    order = sorted(trials, key=lambda trial: trial["objective"])
    trials = [
        {**trial, "rank": order.index(trial) + 1, "status": "completed", "reason": None,
         "epochs": 2, "seconds": 1.5}
        for trial in trials
    ]  # fmt: skip
    bad = {"trial": "bad", "values": {"rate": 0.1}, "objective": None, "rank": None, "epochs": 0}
    bad |= {"status": "failed", "reason": "<b>OOM</b> & more", "seconds": 0.0}
    return {
        "objective": "val_loss", "direction": "min", "tuner": "RandomSearch", "failed": 1,
        "seconds": 60.0, "importance": measure_importance(trials), "trials": [*trials, bad],
        "best": order[0]["trial"],
    }  # fmt: skip


def test_importance_is_that_of_what_matters():
    found = measure_importance(make_trials())
    assert list(found)[:2] == ["rate", "kind"] and "fixed" not in found
    assert sum(found.values()) == pytest.approx(1) and found["rate"] > 0.8 > 10 * found["noise"]
    assert measure_importance(make_trials(4)) is None
    same = [{**trial, "objective": 1.0} for trial in make_trials()]
    assert measure_importance(same) is None


def test_a_value_that_does_not_apply_is_apart_from_all_others():
    trials = make_trials(20)
    for trial in trials[::2]:
        del trial["values"]["rate"]
        trial["objective"] = 100.0
    assert encode_values(trials, "rate")[0][0] is None
    assert next(iter(measure_importance(trials))) == "rate"


def test_axes_have_places_from_0_to_1_and_the_best_trial_is_last():
    report = make_report(make_trials())
    axes, trials = make_axes(report)
    assert [axis.name for axis in axes] == [*report["importance"], "val_loss"]
    assert trials[-1]["rank"] == 1 and len(trials) == 40
    by_name = {axis.name: axis for axis in axes}
    assert set(by_name["kind"].places) == {0, 0.5, 1}
    assert [text for _, text in by_name["kind"].ticks] == ["a", "b", "c"]
    # Rates over three decades are spread by their logarithm.
    rates = np.array([trial["values"]["rate"] for trial in trials])
    share = np.log(rates / rates.min()) / np.log(rates.max() / rates.min())
    np.testing.assert_allclose(by_name["rate"].places, share, atol=1e-12)
    assert by_name["val_loss"].places[-1] == 0
    assert all(len(axis.ticks) <= 9 for axis in axes)


def test_one_trial_has_a_report_too(tmp_path):
    report = make_report(make_trials(1))
    assert list_names(report["trials"][:1]) == []
    axes, _ = make_axes(report)
    assert [axis.places for axis in axes] == [[0.5]]
    write_page(tmp_path / "report.html", report)
    assert "Too few trials" in (tmp_path / "report.html").read_text()


class Reader(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.open, self.tags, self.links = [], [], []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.links += [value for name, value in attributes if name in ("src", "href", "action")]
        if tag not in ("meta", "line", "rect", "polyline"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)

    def handle_endtag(self, tag):
        if tag not in ("polyline",):
            assert self.open.pop() == tag


def test_the_page_is_one_file_that_asks_nobody(tmp_path):
    report = make_report(make_trials())
    write_page(tmp_path / "report.html", report)
    text = (tmp_path / "report.html").read_text()
    reader = Reader()
    reader.feed(text)
    assert not reader.open and not reader.links and "script" not in reader.tags
    assert not re.search(r"https?:|url\(|@import", text)
    assert reader.tags.count("polyline") == 40 and reader.tags.count("tr") == 42
    assert "&lt;b&gt;OOM&lt;/b&gt; &amp; more" in text and "<b>" not in text


def test_the_picture_is_drawn_where_matplotlib_is(tmp_path, monkeypatch):
    pytest.importorskip("matplotlib")
    assert draw_search(tmp_path / "report.png", make_report(make_trials()))
    assert (tmp_path / "report.png").read_bytes().startswith(b"\x89PNG")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert not draw_search(tmp_path / "other.png", make_report(make_trials(1)))
