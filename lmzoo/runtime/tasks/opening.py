"""The task of an exported file."""

from ..container import open_model_file

__all__ = ["load"]


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
    # Imported here: a process needs one of them.
    if task == "CausalLM":
        from .causal_lm import CausalLM

        return CausalLM
    raise ValueError(f"The runtime has no {task} yet. Received: a file of that task.")
