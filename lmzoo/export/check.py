"""Does an artefact say what its model says?"""

import pathlib

import numpy as np
import tensorflow as tf

__all__ = ["check"]

_TEXTS = ("", "The", "def main(", "import os\n\n\nclass", "我喜欢编程。", "naïve café 🙂")


def check(folder, task, texts=_TEXTS, max_new_tokens=16, tolerance=1e-3, verbose=True, **options):
    """Compares an exported SavedModel with the task it came from, on greedy completions.

    Args:
        folder: str or path, as `export_saved_model` wrote it.
        task: the generative task, with its tokenizer.
        texts: list of str. Prompts, at least one.
        max_new_tokens: int.
        tolerance: float. The largest difference of a `log_prob`, in nats, that is accepted.
        verbose: bool. Whether to print the largest difference.
        **options: those that the artefact was exported with and that a request cannot choose:
            beams, penalties, stop strings, bad words.
    Returns:
        dict with `largest_difference` of the log-probabilities (float, nats; None under beam
        search, whose scores are weighed by length), `different_texts` (list of the prompts whose
        completions differ) and `passed`.
    Raises:
        FileNotFoundError: if `folder` is no SavedModel.
        ValueError: if the artefact has no signature `generate`, or `texts` are empty.
    """
    texts = list(texts)
    if not texts:
        raise ValueError("`texts` must hold a prompt. Received: texts=[].")
    got_texts, got_log_probs = _complete(_open(folder), texts, max_new_tokens)
    wanted, log_probs = task.generate(
        texts, max_new_tokens=max_new_tokens, temperature=0.0, return_scores=True, **options
    )
    different = [
        prompt
        for prompt, got, whole in zip(texts, got_texts, wanted, strict=True)
        # The artefact may have been exported to leave the prompt out.
        if got not in (whole, whole[len(prompt) :])
    ]
    difference = None
    if options.get("num_beams", 1) == 1:
        difference = float(np.max(np.abs(got_log_probs - log_probs)))
    passed = not different and (difference is None or difference <= tolerance)
    if verbose:
        print(f"{len(texts) - len(different)} of {len(texts)} texts are equal.")
        if difference is not None:
            print(f"The largest difference of a log-probability is {difference:.2g} nats.")
    return {"largest_difference": difference, "different_texts": different, "passed": passed}


def _open(folder):
    folder = pathlib.Path(folder)
    if not (folder / "saved_model.pb").is_file():
        raise FileNotFoundError(
            f"`folder` must hold a saved_model.pb. Received: folder={str(folder)!r}."
        )
    signatures = tf.saved_model.load(str(folder)).signatures
    if "generate" not in signatures:
        raise ValueError(
            "`folder` must have a signature `generate`, which a task with a tokenizer exports. "
            f"Received: folder={str(folder)!r} with {', '.join(signatures) or 'none'}."
        )
    return signatures["generate"]


def _complete(generate, texts, max_new_tokens):
    outputs = generate(
        text=tf.constant(texts),
        max_new_tokens=tf.constant(max_new_tokens),
        temperature=tf.constant(0.0),
        top_k=tf.constant(0),
        top_p=tf.constant(1.0),
        seed=tf.constant(0),
    )
    texts = [text.decode("utf-8", "replace") for text in outputs["text"].numpy()]
    return texts, outputs["log_prob"].numpy()
