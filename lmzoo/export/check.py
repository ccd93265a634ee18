"""Does an artefact say what its model says?"""

import pathlib

import numpy as np
import tensorflow as tf

__all__ = ["check"]

_TEXTS = ("", "The", "def main(", "import os\n\n\nclass", "我喜欢编程。", "naïve café 🙂")


def check(folder, task, texts=_TEXTS, max_new_tokens=16, tolerance=1e-3, verbose=True):
    """Compares an exported SavedModel with the task it came from, on greedy completions.

    Args:
        folder: str or path, as `export_saved_model` wrote it.
        task: the generative task.
        texts: list of str. Prompts.
        max_new_tokens: int.
        tolerance: float. The largest difference of a `log_prob`, in nats, that is accepted.
        verbose: bool. Whether to print the largest difference.
    Returns:
        dict with `largest_difference` of the log-probabilities (float, nats), `different_texts` (list
        of the prompts whose completions differ) and `passed`.
    Raises:
        FileNotFoundError: if `folder` is no SavedModel.
    """

    folder = pathlib.Path(folder)
    if not (folder / "saved_model.pb").is_file():
        raise FileNotFoundError(
            f"`folder` must hold a saved_model.pb. Received: folder={str(folder)!r}."
        )
    texts = list(texts)
    loaded = tf.saved_model.load(str(folder))
    got = loaded.signatures["generate"](
        text=tf.constant(texts),
        max_new_tokens=tf.constant(max_new_tokens),
        temperature=tf.constant(0.0),
        top_k=tf.constant(0),
        top_p=tf.constant(1.0),
        seed=tf.constant(0),
    )
    wanted, log_probs = task.generate(
        texts, max_new_tokens=max_new_tokens, temperature=0.0, return_scores=True
    )
    got_texts = [text.decode("utf-8") for text in got["text"].numpy()]
    different = [
        prompt
        for prompt, one, other in zip(texts, got_texts, wanted, strict=True)
        if one not in (other, other[len(prompt) :])
    ]
    difference = float(np.max(np.abs(got["log_prob"].numpy() - log_probs)))
    passed = not different and difference <= tolerance
    if verbose:
        print(
            f"{len(texts) - len(different)} of {len(texts)} texts are equal; the largest difference "
            f"of a log-probability is {difference:.2g} nats."
        )
    return {"largest_difference": difference, "different_texts": different, "passed": passed}
