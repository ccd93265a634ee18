"""Evaluation: scores with confidence intervals, paired tests, baselines and lm-evaluation-harness.

`evaluate` reads data, asks the model and gives an `Evaluation`; `kinds.py` is the table that says
what each kind of task is evaluated on, `metric_table.py` the table of metrics. `baselines/` has
simple models to stand beside. Public are the names below; `lmzoo.evaluate` is the same function.
"""

from lmzoo.evaluation import baselines
from lmzoo.evaluation.comparison import Comparison, Difference, compare
from lmzoo.evaluation.evaluating import evaluate
from lmzoo.evaluation.evaluation import Evaluation, Score
from lmzoo.evaluation.harness import harness_model

__all__ = [
    "evaluate",
    "Evaluation",
    "Score",
    "compare",
    "Comparison",
    "Difference",
    "baselines",
    "harness_model",
]
