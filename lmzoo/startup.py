"""What lmzoo does when TensorFlow and Keras are imported, which `import lmzoo` itself does not do.

- TensorFlow's C++ start-up messages are left out, as the command line does it. With
  `TF_CPP_MIN_LOG_LEVEL=0` in the environment they are shown.
- Keras learns the names of lmzoo's classes, so that `keras.saving.load_model` opens .keras files of
  lmzoo's tasks. A class itself is imported when a file needs it.

A finder in `sys.meta_path` waits for the first import of either package, from anywhere. If Keras is
imported before lmzoo, it learns the names at once.
"""

import contextlib
import importlib
import os
import sys

__all__ = ["CLASSES", "silent_stderr", "watch_imports"]

# The modules that import all that register classes with Keras, and the classes.
_MODULES = ("layers", "models", "metrics", "tasks", "tokenizers.layer", "training")
CLASSES = tuple(
    # layers
    "ClassificationHead CrossAttention Dense FeedForward MaskedLMHead PositionEmbedding "
    "RelativePositionBias SelfAttention SinePositionEncoding TokenEmbedding TransformerBlock "
    "_Range "
    # models
    "BertBackbone GPTBackbone ModernBertBackbone T5Backbone "
    # metrics
    "Accuracy ExactMatch F1 MatthewsCorrelation PearsonCorrelation Perplexity SpanF1 "
    "SpearmanCorrelation SquadF1 "
    # tokenizers
    "TokenizerLayer "
    # training
    "Adafactor AdamW Lion LossScaleOptimizer Muon "
    "WarmupCosine WarmupInverseSquareRoot WarmupLinear WarmupStableDecay "
    # tasks and their losses
    "CausalLM MaskedLM QuestionAnswerer Seq2SeqLM TextClassifier TextEmbedder TextRegressor "
    "TokenClassifier AnswerLoss SimilarityLoss TokenCrossentropy".split()
)


def watch_imports():
    """Arranges what is to happen when TensorFlow and Keras are imported."""
    if "keras" in sys.modules:
        _register_names()
    if not {"tensorflow", "keras"} <= sys.modules.keys():
        sys.meta_path.insert(0, _Finder())


class _Finder:
    """Finds TensorFlow and Keras as the other finders do, and acts when they are executed."""

    def find_spec(self, name, path=None, target=None):
        if name not in ("tensorflow", "keras"):
            return None
        others = [finder for finder in sys.meta_path if finder is not self]
        specs = (finder.find_spec(name, path, target) for finder in others)
        spec = next((spec for spec in specs if spec is not None), None)
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module
            act = _execute_tensorflow if name == "tensorflow" else _execute_keras
            spec.loader.exec_module = lambda module: self._execute(act, execute, module)
        return spec

    def _execute(self, act, execute, module):
        act(execute, module)
        # Nothing is left to wait for: no later import asks it.
        if {"tensorflow", "keras"} <= sys.modules.keys() and self in sys.meta_path:
            sys.meta_path.remove(self)


def _execute_tensorflow(execute, module):
    shown = os.environ.get("TF_CPP_MIN_LOG_LEVEL") == "0"
    with contextlib.nullcontext() if shown else silent_stderr():
        execute(module)


def _execute_keras(execute, module):
    execute(module)
    _register_names()


def _register_names():
    known = sys.modules["keras"].saving.get_custom_objects()
    for name in CLASSES:
        known.setdefault(f"lmzoo>{name}", _DeferredClass(name))


class _DeferredClass:
    """Stands for a class in Keras's registry until the class itself is registered there."""

    def __init__(self, name):
        self._name = name

    def from_config(self, config, **options):
        """Imports the class and makes an object of it."""
        for module in _MODULES:
            importlib.import_module(f"lmzoo.{module}")
        # Not `get_registered_object`: while Keras loads a file, that finds an older copy of names.
        found = sys.modules["keras"].saving.get_custom_objects()[f"lmzoo>{self._name}"]
        return found.from_config(config, **options)


@contextlib.contextmanager
def silent_stderr():
    """Leaves out log lines of C++ code, which go to file descriptor 2 past `sys.stderr`.

    TensorFlow writes some before it reads any setting. They are shown if the block raises. All
    other lines, such as those of another thread, are shown at the end of the block.
    """
    import re
    import tempfile

    try:
        saved = os.dup(2)
    except OSError:
        # The process has no stderr.
        yield
        return
    # The forms of absl and of TensorFlow's own logging, and the lines that belong to them.
    log_line = re.compile(
        rb"[IWE]\d{4} [\d:.]+ +\d+ \S+:\d+\] |[\d-]{10} [\d:.]+: [IWE] \S+:\d+\] |"
        rb"WARNING: All log messages before absl|To enable the following instructions: "
    )
    failed = True
    with tempfile.TemporaryFile() as kept:
        _flush_stderr()
        os.dup2(kept.fileno(), 2)
        try:
            yield
            failed = False
        finally:
            _flush_stderr()
            os.dup2(saved, 2)
            os.close(saved)
            kept.seek(0)
            for line in kept:
                if failed or not log_line.match(line):
                    os.write(2, line)


def _flush_stderr():
    if sys.stderr is not None:
        sys.stderr.flush()
