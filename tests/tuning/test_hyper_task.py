"""Every task as a model of keras-tuner's, on raw text, with each of its tuners."""

import numpy as np
import pytest

import lmzoo
from lmzoo.models import BertBackbone
from lmzoo.runs.schema import TASKS
from lmzoo.tokenizers import WordPieceTokenizer

keras_tuner = pytest.importorskip("keras_tuner", reason="keras-tuner is the extra `tune`")
from lmzoo.tuning import HyperTask  # noqa: E402

pytestmark = [
    pytest.mark.usefixtures("eagerly"),
    # keras-tuner loads the weights of a trial into a model whose optimizer has not begun.
    pytest.mark.filterwarnings("ignore:Skipping variable loading for optimizer:UserWarning"),
    # Few losses are too few for the Gaussian process to find its own width.
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]
TINY = {"num_layers": 1, "hidden_dim": [8, 12], "num_heads": 2, "sequence_length": 16}
TEXTS = ["a good film", "a bad film", "so good", "so bad"] * 3
LABELS = ["good", "bad"] * 6
# The others take as long, and only their data differ.
QUICK = ("CausalLM",)
# What each task learns from, and what it is made with.
DATA = {
    "CausalLM": ((TEXTS,), {}),
    "MaskedLM": ((TEXTS,), {}),
    "Seq2SeqLM": ((TEXTS, LABELS), {}),
    "TextClassifier": ((TEXTS, LABELS), {"labels": ["bad", "good"]}),
    "TextRegressor": ((TEXTS, [float(len(text)) for text in TEXTS]), {}),
    "TokenClassifier": (
        ([text.split() for text in TEXTS], [["O"] * len(text.split()) for text in TEXTS]),
        {"labels": ["O", "B-X"]},
    ),
    "QuestionAnswerer": (((["who?"] * 12, TEXTS), [text.split()[-1] for text in TEXTS]), {}),
    "TextEmbedder": (((TEXTS, TEXTS[::-1]),), {}),
}


@pytest.fixture(scope="module")
def tokenizer():
    return WordPieceTokenizer.train(iter(TEXTS), vocabulary_size=60)


@pytest.mark.parametrize(
    "task", [pytest.param(task, marks=() if task in QUICK else pytest.mark.slow) for task in TASKS]
)
def test_each_task_is_searched_on_raw_text(tmp_path, tokenizer, task):
    data, options = DATA[task]
    hyper_task = HyperTask(task, tokenizer, batch_size=6, **TINY, **options)
    tuner = keras_tuner.RandomSearch(
        hyper_task, hyper_task.objective, max_trials=1, seed=1, directory=tmp_path
    )
    tuner.search(*data, validation_split=0.4, epochs=1, verbose=0)
    (trial,) = tuner.oracle.get_best_trials(1)
    assert trial.status == "COMPLETED" and np.isfinite(trial.score)
    assert type(hyper_task.build(trial.hyperparameters)).__name__ == task


# Each trial traces how its texts are read, which takes most of the time.
@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["RandomSearch", "BayesianOptimization", "Hyperband", "GridSearch"]
)
def test_each_tuner_searches_a_classifier_and_gives_its_best(tmp_path, tokenizer, name):
    hyper_task = HyperTask(
        lmzoo.tasks.TextClassifier,
        tokenizer,
        labels=["bad", "good"],
        pooling="mean",
        dropout=0.0,
        warmup=0.0,
        schedule=["cosine", "constant"],
        batch_size=6,
        learning_rate=[1e-3, 1e-2],
        **TINY,
    )
    options = {
        "Hyperband": {"max_epochs": 2, "factor": 2},
        "BayesianOptimization": {"max_trials": 3, "num_initial_points": 2},
    }
    tuner = getattr(keras_tuner, name)(
        hyper_task,
        keras_tuner.Objective("val_accuracy", "max"),
        seed=1,
        directory=tmp_path,
        **options.get(name, {"max_trials": 2}),
    )
    tuner.search(TEXTS, LABELS, validation_split=0.4, epochs=1, verbose=0)
    trials = tuner.oracle.trials.values()
    assert len(trials) >= 2 and {trial.status for trial in trials} == {"COMPLETED"}
    widths = {trial.hyperparameters.values["hidden_dim"] for trial in trials}
    assert widths <= {8, 12}
    best = tuner.get_best_models(1)[0]
    assert best.classify("so good")["label"] in ("bad", "good")
    assert best.backbone.hidden_dim % best.backbone.num_heads == 0


def test_a_schedule_goes_over_the_steps_of_fit(tokenizer):
    hyper_task = HyperTask(
        "TextClassifier", tokenizer, labels=["bad", "good"], schedule="linear", warmup=0.5,
        learning_rate=0.1, batch_size=6, **TINY,
    )  # fmt: skip
    hp = keras_tuner.HyperParameters()
    task = hyper_task.build(hp)
    rates = []

    class Recorder(lmzoo.training.RichProgress):
        def on_train_batch_end(self, batch, logs=None):
            rates.append(float(self.model.optimizer.learning_rate))

    assert float(task.optimizer.learning_rate) == pytest.approx(0.1)
    hyper_task.fit(hp, task, TEXTS, LABELS, epochs=2, verbose=0, callbacks=[Recorder()])
    # Four steps of six texts: two of warm-up, then down to a tenth of the peak.
    np.testing.assert_allclose(rates, [0.05, 0.1, 0.1, 0.055], rtol=1e-5)


@pytest.mark.filterwarnings("ignore:.*has no weights for head:UserWarning")
def test_a_pretrained_backbone_is_compared_with_a_fresh_one(tmp_path, tokenizer):
    pretrained = lmzoo.tasks.MaskedLM(
        BertBackbone(tokenizer.vocabulary_size, 1, 2, 16, max_sequence_length=16), tokenizer
    )
    pretrained.save_pretrained(tmp_path / "bert")
    source = ["fresh", str(tmp_path / "bert")]
    options = {**TINY, "labels": ["bad", "good"], "learning_rate": 0.01}
    hyper_task = HyperTask("TextClassifier", tokenizer, source=source, **options)
    hp = keras_tuner.HyperParameters()
    fresh = hyper_task.build(hp)
    hp = keras_tuner.HyperParameters()
    hp.values["source"] = source[1]
    other = hyper_task.build(hp)
    assert fresh.backbone.hidden_dim == 8 and other.backbone.hidden_dim == 16
    np.testing.assert_array_equal(
        other.backbone.token_embedding.weights[0], pretrained.backbone.token_embedding.weights[0]
    )
    assert float(other.optimizer.learning_rate) < 1e-3
    # Alone it needs no tokenizer, and its architecture is no dimension.
    alone = HyperTask("TextClassifier", source=source[1], labels=["bad", "good"])
    assert "num_layers" not in alone.space.dimensions
    assert alone.build(keras_tuner.HyperParameters()).tokenizer is not None


def test_precision_and_optimizer_are_dimensions(tokenizer):
    hyper_task = HyperTask(
        "MaskedLM", tokenizer, precision="mixed_bfloat16", optimizer="Lion", weight_decay=0.2,
        space={"optimizer.layer_decay": [0.5, 0.9]}, **TINY,
    )  # fmt: skip
    task = hyper_task.build(keras_tuner.HyperParameters())
    assert task.dtype_policy.name == "mixed_bfloat16"
    assert type(task.optimizer).__name__ == "Lion"
    assert task.optimizer.weight_decay == 0.2 and task.optimizer.layer_decay == 0.5


@pytest.mark.parametrize(
    ("use", "error", "message"),
    [
        (lambda t: HyperTask("TextClasifier", t), ValueError, "Did you mean TextClassifier"),
        (lambda t: HyperTask("ZeroShotClassifier", t), ValueError, "`task` must be a class of"),
        (lambda t: HyperTask("MaskedLM"), ValueError, "`tokenizer` must be given.*Received: None"),
        (lambda t: HyperTask("MaskedLM", t, mask_rat=1), TypeError, "=1. Did you .*mask_rate"),
        (lambda t: HyperTask("MaskedLM", t, num_layers=[]), ValueError, r"`num_layers`.*\[\]"),
        (lambda t: HyperTask("MaskedLM", t, hidden_dim=9), ValueError, "hidden_dim=9"),
    ],
)
def test_what_makes_no_search_is_refused(tokenizer, use, error, message):
    with pytest.raises(error, match=message):
        use(tokenizer)


def test_data_without_a_length_need_the_steps(tokenizer):
    hyper_task = HyperTask("TextClassifier", tokenizer, labels=["bad", "good"], **TINY)
    hp = keras_tuner.HyperParameters()
    task = hyper_task.build(hp)
    batch = task.preprocess(TEXTS, LABELS)
    import tensorflow as tf

    endless = tf.data.Dataset.from_tensors(batch).repeat()
    with pytest.raises(ValueError, match="steps_per_epoch"):
        hyper_task.fit(hp, task, endless.filter(lambda *_: True).take(2), verbose=0)
