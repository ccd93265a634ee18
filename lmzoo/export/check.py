"""Compares an exported SavedModel with the task it came from."""

import pathlib

import numpy as np
import tensorflow as tf

__all__ = ["check"]

_TEXTS = ("", "The", "def main(", "import os\n\n\nclass", "我喜欢编程。", "naïve café 🙂")


def check(
    folder, task=None, texts=_TEXTS, max_new_tokens=None, tolerance=1e-3, verbose=True, **options
):
    """Compares an exported SavedModel with the task it came from.

    A generative task is compared on greedy completions. A discriminative task is compared on the
    outputs of the signature `serving_default`, of which strings and integers must be equal.

    Args:
        folder: str or path, as `export_saved_model` wrote it.
        task: the task, with its tokenizer; None to run nothing but the self-test that the
            SavedModel has with it.
        texts: list of str, at least one. A second input of a signature, such as contexts, gets the
            same texts in reverse order.
        max_new_tokens: int or None. For a generative task; None for 16.
        tolerance: float. The largest accepted difference of a float output; for a generative task
            that of a `log_prob`, in nats.
        verbose: bool. Whether to print the largest difference.
        **options: for a generative task, the options it was exported with that a request cannot
            choose: beams, penalties, stop strings, bad words.
    Returns:
        dict with `largest_difference` (float; None under beam search, whose scores are normalized
        by length), `different_texts` (list of the texts whose outputs differ), `self_test` (bool,
        or None for a SavedModel without one) and `passed` (bool).
    Raises:
        FileNotFoundError: if `folder` is not a SavedModel.
        TypeError: if a discriminative task gets an option of generation.
        ValueError: if the SavedModel has no signature for text, or `texts` is empty; without a task
            also if it has no self-test.
    """
    if task is None:
        return _check_alone(folder, verbose)
    texts = list(texts)
    if not texts:
        raise ValueError("`texts` must hold a prompt. Received: texts=[].")
    signatures = _open(folder, "generate" if task.is_generative else "serving_default")
    if task.is_generative:
        compared = _compare_completions(
            signatures["generate"], task, texts, max_new_tokens or 16, options
        )
    else:
        if max_new_tokens is not None:
            options["max_new_tokens"] = max_new_tokens
        if options:
            raise TypeError(
                f"{type(task).__name__} does not generate, so it is checked without options. "
                f"Received: {', '.join(options)}."
            )
        compared = _compare_predictions(signatures["serving_default"], task, texts)
    different, difference = compared
    self_test = _run_self_test(signatures)
    passed = not different and (difference is None or difference <= tolerance)
    passed = passed and self_test is not False
    if verbose:
        unit = " of a log-probability" if task.is_generative else ""
        print(f"{len(texts) - len(different)} of {len(texts)} texts are equal.")
        if difference is not None:
            print(f"The largest difference{unit} is {difference:.2g}{' nats' if unit else ''}.")
        if self_test is False:
            print("The self-test failed.")
    return {
        "largest_difference": difference,
        "different_texts": different,
        "self_test": self_test,
        "passed": passed,
    }


def _check_alone(folder, verbose):
    self_test = _run_self_test(_open(folder, "self_test"))
    if verbose:
        print("The self-test passed." if self_test else "The self-test failed.")
    return {
        "largest_difference": None,
        "different_texts": [],
        "self_test": self_test,
        "passed": self_test,
    }


def _run_self_test(signatures):
    """Whether it passes, or None for a SavedModel without one."""
    return bool(signatures["self_test"]()["passed"]) if "self_test" in signatures else None


def _open(folder, signature):
    """The signatures of a SavedModel, of which one must be there."""
    folder = pathlib.Path(folder)
    if not (folder / "saved_model.pb").is_file():
        raise FileNotFoundError(
            f"`folder` must hold a saved_model.pb. Received: folder={str(folder)!r}."
        )
    signatures = tf.saved_model.load(str(folder)).signatures
    if signature not in signatures:
        raise ValueError(
            f"`folder` must have a signature `{signature}`, which a task with a tokenizer exports. "
            f"Received: folder={str(folder)!r} with {', '.join(signatures) or 'none'}."
        )
    return signatures


def _compare_completions(complete, task, texts, max_new_tokens, options):
    """(texts that differ, largest difference of a log-probability or None)."""
    got_texts, got_log_probs = _complete(complete, texts, max_new_tokens)
    wanted, log_probs = task.generate(
        texts, max_new_tokens=max_new_tokens, temperature=0.0, return_scores=True, **options
    )
    # The SavedModel may have been exported with `return_prompt=False`.
    lengths = [0 if task.is_encoder_decoder else len(prompt) for prompt in texts]
    different = [
        prompt
        for prompt, length, got, whole in zip(texts, lengths, got_texts, wanted, strict=True)
        if got not in (whole, whole[length:])
    ]
    if task.make_options(options).num_beams > 1:
        return different, None
    return different, float(np.max(np.abs(got_log_probs - log_probs)))


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


def _compare_predictions(serve, task, texts):
    """(texts that differ, largest difference of a float), each text in a batch with the others."""
    if mask := getattr(task.tokenizer, "mask_token", None):
        # Only a task that fills masks needs it; to the others it is plain text.
        given = [f"{text} {mask}" for text in texts]
    else:
        given = texts
    names = list(serve.structured_input_signature[1])
    wanted_function = task.serving_functions()["serving_default"]
    order = [spec.name for spec in wanted_function.input_signature]
    inputs = {
        name: tf.constant(given if name == order[0] else given[::-1]) for name in sorted(names)
    }
    got = serve(**inputs)
    wanted = wanted_function(*(inputs[name] for name in order))
    different, differences = set(), [0.0]
    for name, values in wanted.items():
        values, others = values.numpy(), got[name].numpy()
        if values.shape != others.shape:
            different.update(range(len(texts)))
        elif np.issubdtype(values.dtype, np.floating):
            differences.append(np.max(np.abs(values - others), initial=0.0))
        else:
            rows = (values != others).reshape(len(texts), -1).any(axis=1)
            different.update(np.flatnonzero(rows).tolist())
    return [texts[index] for index in sorted(different)], float(np.max(differences))
