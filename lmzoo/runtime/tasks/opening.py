"""The task of an exported file."""

import importlib

from ..container import open_model_file

__all__ = ["load"]

_MODULES = {
    "CausalLM": "causal_lm",
    "Seq2SeqLM": "seq2seq_lm",
    "TextClassifier": "text_classifier",
    "TextRegressor": "text_regressor",
    "TokenClassifier": "token_classifier",
    "QuestionAnswerer": "question_answerer",
    "TextEmbedder": "text_embedder",
    "MaskedLM": "masked_lm",
    "ZeroShotClassifier": "zero_shot_classifier",
}


def load(path, num_threads=None):
    """Opens an exported file.

    Args:
        path: str or path of a .tflite or .litertlm that lmzoo exported.
        num_threads: int or None. How many processors a run uses; None for all that this process may
            use.
    Returns:
        The task of the file, with its methods: `generate` and `stream` of a CausalLM or Seq2SeqLM,
        `classify` of a TextClassifier or ZeroShotClassifier, `score` of a TextRegressor, `tag` of a
        TokenClassifier, `answer` of a QuestionAnswerer, `embed` of a TextEmbedder, `fill` of a
        MaskedLM.
    Raises:
        FileNotFoundError: if the file is not there.
        ImportError: if ai-edge-litert is not installed.
        ValueError: if it is no such file, or LiteRT cannot run it.

    Example:
        model = runtime.load("gpt.litertlm")
        model.generate("def main(", max_new_tokens=32, temperature=0.8, top_p=0.95, seed=1)
    """
    file = open_model_file(path)
    return _find_class(file.manifest.task)(file, num_threads)


def _find_class(task):
    # Each is imported where a file needs it, by the name that the manifest has checked.
    module = importlib.import_module(f".{_MODULES[task]}", __package__)
    return getattr(module, task)
