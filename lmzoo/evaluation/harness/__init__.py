"""EleutherAI's lm-evaluation-harness on models of lmzoo (`pip install lmzoo[lm-eval]`).

`harness_model` wraps a task, a model's folder or an exported SavedModel for `lm_eval`'s
`simple_evaluate`. `python -m lmzoo.evaluation.harness` is its command line with the model "lmzoo".
`requests.py` answers the three kinds of request, `backends.py` asks the model.
"""

from lmzoo.evaluation.harness.model import harness_model, register

__all__ = ["harness_model", "register"]
