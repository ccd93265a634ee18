import sys

import numpy as np
import pytest
import tensorflow as tf

from lmzoo.export import check
from lmzoo.generation import GenerationOptions
from lmzoo.tasks import CausalLM


def test_an_artefact_says_what_its_model_says(lm, export, capsys):
    report = check(export(), lm)
    assert report["passed"] and report["different_texts"] == []
    assert report["largest_difference"] < 1e-5
    assert "6 of 6 texts are equal" in capsys.readouterr().out


@pytest.mark.slow
def test_an_artefact_without_the_prompt_says_the_same(lm, export, capsys):
    options = {"temperature": 0.8, "top_k": 20, "top_p": 0.95, "seed": 5}
    assert check(export(**options, return_prompt=False), lm, verbose=False)["passed"]
    assert capsys.readouterr().out == ""


def test_an_artefact_of_other_weights_is_found(other_lm, export):
    report = check(export(), other_lm, verbose=False)
    assert not report["passed"]
    assert report["different_texts"] and report["largest_difference"] > 1e-3


def test_a_small_change_of_one_weight_is_found(lm, export):
    bias = lm.backbone.final_norm.beta
    before = bias.numpy()
    try:
        bias.assign(before + 0.05 * np.arange(16))
        assert not check(export(), lm, verbose=False)["passed"]
        bias.assign(np.full(16, np.nan))
        with pytest.raises(ValueError, match="scores must be finite. Received: NaN"):
            check(export(), lm, verbose=False)
    finally:
        bias.assign(before)
    assert check(export(), lm, verbose=False)["passed"]


@pytest.mark.slow
def test_options_that_were_baked_in_are_told(lm, export):
    folder = export(stop_strings=["at"], bad_words=["cat"], repetition_penalty=1.3)
    baked = {"stop_strings": ["at"], "bad_words": ["cat"], "repetition_penalty": 1.3}
    assert check(folder, lm, verbose=False, **baked)["passed"]
    assert not check(folder, lm, verbose=False)["passed"]


@pytest.mark.slow
def test_beams_are_compared_by_their_texts(lm, export):
    folder = export(num_beams=3)
    checked = check(folder, lm, verbose=False, num_beams=3)
    assert checked == {
        "largest_difference": None,
        "different_texts": [],
        "self_test": True,
        "passed": True,
    }
    assert not check(folder, lm, verbose=False)["passed"]


@pytest.mark.parametrize("answer", ["", "an answer"])
def test_an_answer_without_a_prompt_in_it_is_compared_whole(monkeypatch, answer):
    # What stands behind as many characters as the prompt has is nothing here.
    class Task:
        is_generative = is_encoder_decoder = True

        def generate(self, texts, **options):
            return ["an answer"] * len(texts), None

        def make_options(self, options):
            return GenerationOptions(**options)

    def serve(text, **inputs):
        return {"text": tf.fill(tf.shape(text), answer), "log_prob": tf.zeros(tf.shape(text))}

    monkeypatch.setattr(
        sys.modules["lmzoo.export.check"], "_open", lambda *arguments: {"generate": serve}
    )
    report = check("folder", Task(), ["a longer question"], verbose=False, num_beams=2)
    assert report["passed"] == (answer != "")


def test_what_cannot_be_checked_is_refused(tmp_path, lm, export):
    with pytest.raises(FileNotFoundError, match=r"must hold a saved_model.pb.*folder='/.*nothing"):
        check(tmp_path / "nothing", lm)
    with pytest.raises(ValueError, match=r"must hold a prompt. Received: texts=\[\]"):
        check(export(), lm, texts=[])
    ids_only = CausalLM(lm.backbone)
    with pytest.raises(ValueError, match="a signature `generate`.*with tokens"):
        check(export(ids_only), ids_only)
