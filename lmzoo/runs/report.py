"""The report of a run: speed, memory, time and energy, as JSON and on a card."""

import json
import statistics

import keras
import tensorflow as tf

import lmzoo
from lmzoo.json_files import write_text
from lmzoo.runs.flops import count_forward_flops, measure_product_rate
from lmzoo.runs.metrics_log import count_tokens, read_lines
from lmzoo.runtime.measuring import read_peak_memory

__all__ = ["list_rows", "make_report", "write_card", "write_report"]

_FACTOR_OF_TRAINING = 3


def make_report(folder, task, batch, timing, energy, num_processors=1):
    """What a run needed and reached.

    Args:
        folder: pathlib.Path. Of the run; its logs are read.
        task: the trained task.
        batch: dict of token batches, one as those of the run.
        timing: dict. `seconds`, `seconds_to_first_step` and `seconds_in_checkpoints` of this start,
            and `devices`.
        energy: dict or None. What `EnergyMeter.stop` gave, of this start.
        num_processors: int. How many processors as the one that is measured train together.
    Returns:
        dict that JSON can hold.
    """
    lines, validation = (
        read_lines(folder / "metrics.jsonl"),
        read_lines(folder / "validation.jsonl"),
    )
    rate = _find_speed(lines)
    positions = count_tokens({name: batch[name] for name in batch if name.endswith("token_ids")})
    per_token = _FACTOR_OF_TRAINING * count_forward_flops(task, batch) / float(positions)
    product_rate = measure_product_rate() * num_processors
    used = None if rate is None else rate * per_token
    return {
        "steps": lines[-1]["step"] if lines else 0,
        "tokens": sum(line["tokens"] for line in lines),
        "loss": lines[-1]["loss"] if lines else None,
        "validation": validation[-1] if validation else None,
        "skipped_steps": lines[-1]["skipped_steps"] if lines else None,
        "parameters": task.count_params(),
        "tokens_per_second": rate,
        "model_flops_per_token": per_token,
        "model_flops_per_second": used,
        "bf16_product_flops_per_second": product_rate,
        "mfu": None if used is None else used / product_rate,
        "peak_memory_bytes": read_peak_memory(),
        "peak_device_memory_bytes": _read_peak_device_memory(),
        **timing,
        "energy": energy,
        "precision": task.dtype_policy.name,
        "versions": {
            "lmzoo": lmzoo.__version__,
            "keras": keras.__version__,
            "tensorflow": tf.__version__,
        },
    }


def _find_speed(lines):
    """Tokens a second over all steps but those that were traced; None without such steps."""
    if len(lines) < 2:
        return None
    usual = statistics.median(line["seconds"] for line in lines)
    # The first step of each start is traced, which takes much longer.
    kept = [line for line in lines[1:] if line["seconds"] < 10 * usual]
    return sum(line["tokens"] for line in kept) / sum(line["seconds"] for line in kept)


def _read_peak_device_memory():
    gpus = tf.config.list_logical_devices("GPU")
    return [tf.config.experimental.get_memory_info(gpu.name)["peak"] for gpu in gpus] or None


def write_report(folder, report):
    """Writes `report.json`, and `report.png` where matplotlib is installed."""
    from lmzoo.runs.plot import draw_report

    write_text(folder / "report.json", json.dumps(report, indent=2) + "\n")
    draw_report(folder, report)


def write_card(folder, recipe, report):
    """Writes the README.md of a saved model: what it is, and what its training took."""
    rows = list_rows(report)
    text = [
        "---",
        "library_name: lmzoo",
        "---",
        "",
        f"# {recipe.name or 'A model'}",
        "",
        f"A {recipe['model.task'] or 'model'} that `lmzoo train` made. "
        "`lmzoo.load(folder)` opens it.",
        "",
        "| | |",
        "|---|---|",
        *(f"| {name} | {value} |" for name, value in rows),
        "",
    ]
    write_text(folder / "README.md", "\n".join(text))


def list_rows(report):
    """The numbers of a report for people: list of (name, str)."""
    speed, mfu, energy = report["tokens_per_second"], report["mfu"], report["energy"]
    rows = [
        ("steps", f"{report['steps']:,}"),
        ("tokens", f"{report['tokens']:,}"),
        ("parameters", f"{report['parameters']:,}"),
        ("loss", _format(report["loss"])),
    ]
    for name, value in (report["validation"] or {}).items():
        if name != "step":
            rows.append((name, _format(value)))
    rows += [
        ("tokens a second", _format(speed)),
        ("model GFLOP/s", _format_giga(report["model_flops_per_second"])),
        (
            "bfloat16 products of this machine, GFLOP/s",
            _format_giga(report["bf16_product_flops_per_second"]),
        ),
        ("share of them (MFU)", "none" if mfu is None else f"{mfu:.1%}"),
        ("peak memory", f"{report['peak_memory_bytes'] / 1e9:.2f} GB"),
        *(
            (name, _format(report[key], " s"))
            for name, key in (
                ("to the first step", "seconds_to_first_step"),
                ("waited for checkpoints", "seconds_in_checkpoints"),
                ("time of this start", "seconds"),
            )
        ),
        (
            "energy",
            "not measured" if energy is None else f"{energy['joules']:,.0f} J ({energy['source']})",
        ),
        ("precision, devices", f"{report['precision']}, {report['devices']}"),
    ]
    return rows


def _format_giga(value):
    return _format(None if value is None else value / 1e9)


def _format(value, unit=""):
    if value is None:
        return "none"
    return (f"{value:.4g}" if abs(value) < 1000 else f"{value:,.0f}") + unit
