"""How fast an exported file is on this machine."""

import pathlib
import re
import statistics
import sys
import time

import numpy as np

__all__ = ["measure", "read_peak_memory"]

_ROWS = 8


def measure(model, prompt_tokens=32, new_tokens=64, repeats=3):
    """Times a task: medians of some repeats, after one that is not counted.

    Args:
        model: a task, as `lmzoo.runtime.load` gives it.
        prompt_tokens: int. Tokens of a prompt, or of each of 8 texts of a task that reads.
        new_tokens: int. Tokens that are generated behind it.
        repeats: int.
    Returns:
        dict. Of a task that generates: `prefill_tokens_per_second`, `decode_tokens_per_second` and
        `first_token_seconds`, from the ids of a prompt to its first new token. Of another one:
        `tokens_per_second` and `batch_seconds`.
    Raises:
        ValueError: if the tokens do not fit the context.
    """
    manifest = model.manifest
    ids = np.random.default_rng(0).integers(manifest.vocabulary_size, size=prompt_tokens)
    is_generative = hasattr(model, "begin")
    needed = prompt_tokens
    if is_generative:
        needed = max(prompt_tokens, new_tokens)
        needed = needed if model.is_encoder_decoder else prompt_tokens + new_tokens
    if needed > manifest.max_sequence_length:
        raise ValueError(
            f"The tokens must fit the context of {manifest.max_sequence_length}. Received: "
            f"prompt_tokens={prompt_tokens}, new_tokens={new_tokens}."
        )
    run = _time_generation if is_generative else _time_reading
    runs = [run(model, ids.tolist(), new_tokens) for _ in range(1 + repeats)][1:]
    seconds = {name: statistics.median(each[name] for each in runs) for name in runs[0]}
    counts = {"prompt_tokens": prompt_tokens}
    if not is_generative:
        return {
            **counts,
            "batch": _ROWS,
            "tokens_per_second": _ROWS * prompt_tokens / seconds["batch"],
            "batch_seconds": seconds["batch"],
        }
    return {
        **counts,
        "new_tokens": new_tokens,
        "prefill_tokens_per_second": prompt_tokens / seconds["first"],
        "decode_tokens_per_second": (new_tokens - 1) / seconds["rest"] if new_tokens > 1 else None,
        "first_token_seconds": seconds["first"],
    }


def _time_generation(model, ids, new_tokens):
    start = time.perf_counter()
    text, row = model.begin(ids)
    try:
        token_id = int(text.step(row[-1]).argmax())
        first = time.perf_counter()
        for _ in range(new_tokens - 1):
            token_id = int(text.step(token_id).argmax())
        return {"first": first - start, "rest": time.perf_counter() - first}
    finally:
        text.close()


def _time_reading(model, ids, new_tokens):
    start = time.perf_counter()
    model.predict_tokens([ids] * _ROWS)
    return {"batch": time.perf_counter() - start}


def read_peak_memory():
    """The most memory that this process has ever had resident, int, in bytes."""
    status = pathlib.Path("/proc/self/status")
    if status.exists():
        # Not `ru_maxrss`, which on Linux is at least what the parent had when it started this one.
        return 1024 * int(re.search(r"VmHWM:\s*(\d+)", status.read_text())[1])
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # Bytes on macOS, kilobytes elsewhere.
    return peak if sys.platform == "darwin" else 1024 * peak
