"""The class that the harness asks, made when its base class is there."""

import functools
import importlib

from lmzoo.evaluation.harness.backends import open_backend
from lmzoo.evaluation.harness.requests import HarnessRequests
from lmzoo.layers.checks import check_size

__all__ = ["harness_model", "register"]

NAME = "lmzoo"


def harness_model(source, batch_size=8, dtype=None):
    """Wraps a model for EleutherAI's lm-evaluation-harness.

    Args:
        source: a `CausalLM` or `Seq2SeqLM` with a tokenizer; or str or path: a folder of
            `save_pretrained`, `hf://org/name`, a name of `lmzoo.zoo`, or the folder of a SavedModel
            that was exported with `scoring=True`. One without answers only requests to generate.
        batch_size: int or None. Requests that are computed together; None for 8.
        dtype: str or None. A Keras dtype policy, for a source that is opened.
    Returns:
        lm_eval.api.model.LM.
    Raises:
        ImportError: if lm-eval is not installed.
        TypeError: if the task does not generate.
        ValueError: if there is no tokenizer, or `batch_size` is not positive.
        OSError: if there is no such folder.
    Example:
        import lm_eval

        model = lmzoo.evaluation.harness_model("runs/gpt")
        results = lm_eval.simple_evaluate(model, tasks=["lambada_openai"])

    Reference: Gao et al., https://github.com/EleutherAI/lm-evaluation-harness; its interface as
        read in version 0.4.13.
    """
    return _get_class()(source, batch_size=batch_size, dtype=dtype)


def register():
    """Makes the harness know the model "lmzoo", with `source` as its argument.

    Raises:
        ImportError: if lm-eval is not installed.
    """
    _import("lm_eval.api.registry").model_registry.register(NAME, target=_get_class())


def _import(name):
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ImportError(
            "The harness must be installed to be run. Received: no module "
            f"{error.name!r}. Run `pip install lmzoo[lm-eval]`."
        ) from error


@functools.cache
def _get_class():
    base = _import("lm_eval.api.model").LM

    class LmzooModel(HarnessRequests, base):
        """A model of lmzoo, for the harness; see `harness_model`."""

        def __init__(self, source, batch_size=None, dtype=None, max_batch_size=None, device=None):
            # The harness passes the last two to every model. TensorFlow places its operations.
            super().__init__()
            size = 8 if batch_size is None else _read_size(batch_size)
            self.backend = open_backend(source, dtype)
            self.batch_size = size

        @property
        def tokenizer_name(self):
            return self.backend.name

    return LmzooModel


def _read_size(batch_size):
    """The harness's command line gives it as a str, which may be "auto"."""
    if isinstance(batch_size, str) and batch_size.isdigit():
        batch_size = int(batch_size)
    if isinstance(batch_size, str):
        raise ValueError(f"`batch_size` must be an int. Received: batch_size={batch_size!r}.")
    check_size(batch_size=batch_size)
    return batch_size
