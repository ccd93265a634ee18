"""A search with keras-tuner over a function that builds and compiles a task."""

import configparser
import pathlib

import keras
import numpy as np
import pytest

from lmzoo.models import GPTBackbone
from lmzoo.tasks import CausalLM

keras_tuner = pytest.importorskip("keras_tuner", reason="keras-tuner is the extra `tune`")


@pytest.mark.slow
# keras-tuner loads the weights of a trial into a model whose optimizer has not begun.
@pytest.mark.filterwarnings("ignore:Skipping variable loading for optimizer:UserWarning")
def test_a_random_search_runs_through_fit_and_loads_its_best_model(tmp_path, batches):
    def build(hyperparameters):
        width = hyperparameters.Choice("hidden_dim", [8, 16])
        backbone = GPTBackbone(400, 1, 2, width, max_sequence_length=16)
        lm = CausalLM(backbone)
        rate = hyperparameters.Float("rate", 1e-4, 1e-2)
        # Two trials of six steps are over before a graph is traced.
        lm.compile(optimizer=keras.optimizers.Adam(rate), run_eagerly=True)
        return lm

    tuner = keras_tuner.RandomSearch(
        build,
        objective=keras_tuner.Objective("val_perplexity", "min"),
        max_trials=2,
        seed=0,
        directory=tmp_path,
    )
    tuner.search(batches.take(4), validation_data=batches.take(2), epochs=1, verbose=0)
    best = tuner.get_best_models(1)[0]
    evaluated = best.evaluate(batches.take(2), return_dict=True, verbose=0)
    assert evaluated["perplexity"] == pytest.approx(
        tuner.oracle.get_best_trials(1)[0].score, rel=1e-5
    )
    logits = best({"token_ids": np.zeros((1, 4), "int32")})
    assert logits.shape == (1, 4, 400)


# Three losses are too few for the Gaussian process to find its own width.
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_bayesian_search_has_all_that_the_extra_brings(tmp_path):
    oracle = keras_tuner.BayesianOptimization(
        lambda hyperparameters: hyperparameters.Float("rate", 1e-4, 1e-2) and None,
        objective=keras_tuner.Objective("loss", "min"),
        max_trials=4,
        num_initial_points=2,
        directory=tmp_path,
    ).oracle
    for loss in (1.0, 0.5, 0.7):
        trial = oracle.create_trial("worker")
        oracle.update_trial(trial.trial_id, {"loss": loss})
        trial.status = "COMPLETED"
        oracle.end_trial(trial)
    # The third one comes from a Gaussian process, which scikit-learn and SciPy fit.
    assert len(oracle.trials) == 3
    setup = configparser.ConfigParser()
    setup.read(pathlib.Path(__file__).parents[2] / "setup.cfg", encoding="utf-8")
    assert "keras-tuner[bayesian]" in setup.get("options.extras_require", "tune", raw=True)
