"""Limits on time that mean the same on any machine."""

import json
import time

# What `_work` takes on one core of an AMD EPYC 9005, on which the limits were set.
_NOMINAL_SECONDS = 0.0046


def _work():
    """What a refusal does: reads JSON, fills dicts, formats text."""
    rows = {f"layer.{number}.weight": {"shape": [number, 48]} for number in range(2000)}
    for _ in range(2):
        found = json.loads(json.dumps(rows))
        names = {name: tuple(entry["shape"]) for name, entry in found.items()}
        sorted(f"{name}: {shape}" for name, shape in names.items())


def scale_limit(seconds, clock=time.perf_counter):
    """The seconds that this machine may take now for what takes `seconds` on a free, fast one.

    Args:
        seconds: float. The limit of the law.
        clock: callable. What the test measures with: `time.process_time` leaves out what other
            processes take.
    Returns:
        float, never less than `seconds`.
    """
    tries = []
    for _ in range(3):
        start = clock()
        _work()
        tries.append(clock() - start)
    return seconds * max(1.0, min(tries) / _NOMINAL_SECONDS)
