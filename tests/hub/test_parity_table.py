"""The parity table: what lmzoo computes beside transformers, measured and written down.

`pytest -m slow tests/hub/test_parity_table.py` measures it anew and writes tests/golden/PARITY.md.
"""

import math
import shutil

import keras
import numpy as np
import pytest
import tensorflow as tf

import lmzoo
from lmzoo.hub.families import list_model_types
from tests.hub import golden_encoders, golden_t5
from tests.hub.golden_encoders import GOLDEN, HEADS

TABLE = GOLDEN / "PARITY.md"
ENCODERS = (*golden_encoders.FAMILIES, *golden_encoders.ADDED)
DECODERS = ("gpt2", "llama", "qwen2", "mistral", "qwen3")
SEQ2SEQ = golden_t5.FAMILIES
ROWS = [(family, head) for family in ENCODERS for head in HEADS]
ROWS += [(family, "ForCausalLM") for family in DECODERS]
ROWS += [(family, "ForConditionalGeneration") for family in SEQ2SEQ]
# The most that a logit may differ.
BARS = {"float64": 1e-10, "float32": 1e-5}
TITLE = """# Parity with transformers

Small models of each family with every tensor random, opened by lmzoo and computed by transformers
(tests/golden). Differences are the largest over all logits (last hidden states where there is no
head) at real tokens and three patterns of padding, rounded up to a power of ten; float32 is
measured relative to 1 + |logit|. Generation counts the settings (greedy, four beams with length
penalty, repetition penalty, no repeated n-grams, lengths) in which every id is the same; those of
GPT-2 are in tests/generation.

`pytest -m slow tests/hub/test_parity_table.py` writes this file.

| family | class of transformers | task | float64 | float32 | generation |
|---|---|---|---|---|---|
"""


def write_folder(folder, family, head):
    if family in ENCODERS:
        return golden_encoders.write_folder(folder, family, head)
    if family == "gpt2":
        return shutil.copytree(GOLDEN / "gpt2", folder)
    return golden_t5.write_folder(folder, family)


def read_expected(family):
    if family in ENCODERS:
        return golden_encoders.read_expected(family)
    with np.load(GOLDEN / family / "expected.npz") as file:
        return dict(file)


def compare(task, family, head, expected, pattern):
    """Pairs of what is computed and what transformers computed, at real tokens."""
    if family in SEQ2SEQ:
        source, target = (expected[f"{pattern}/{side}_mask"] for side in ("source", "target"))
        inputs = {"encoder_token_ids": expected["source"], "encoder_padding_mask": source}
        inputs |= {"decoder_token_ids": expected["target"], "decoder_padding_mask": target}
        return [(task(inputs).numpy()[target], expected[f"{pattern}/logits"][target])]
    mask = expected[f"{pattern}/mask"]
    names = [name for name in ("token_ids", "segment_ids") if name in expected]
    inputs = {**{name: expected[name] for name in names}, "padding_mask": mask}
    if head == "ForCausalLM":
        return [(task(inputs).numpy()[mask], expected[f"{pattern}/logits"][mask])]
    if head == "Model":
        outputs = task.backbone(inputs)
        hidden = expected[f"{pattern}/hidden"][-1]
        return [(outputs["sequence_output"].numpy()[mask], hidden[mask])]
    got, wanted = task(inputs).numpy(), expected[f"{pattern}/{head}/logits"]
    if wanted.ndim == 3:
        got, wanted = got[mask], wanted[mask]
    return [(got, wanted)]


def measure(folder, family, head, dtype):
    task, expected = lmzoo.load(folder, dtype=dtype), read_expected(family)
    patterns = ("full", "right", "middle" if family in ENCODERS else "left")
    differences = []
    for pattern in patterns:
        for got, wanted in compare(task, family, head, expected, pattern):
            assert got.shape == wanted.shape and got.size
            size = 1 + np.abs(wanted) if dtype == "float32" else 1
            differences.append(np.max(np.abs(got - wanted) / size))
    return max(differences), task


def count_generations(folder, family):
    """In how many settings all ids are those of transformers, and how many there are."""
    expected = read_expected(family)
    if "record" not in expected:
        return None
    record = golden_t5.read_expected(family)["record"]
    lm = lmzoo.load(folder, dtype="float64")
    lm.end_token_ids = record["ends"]
    same = 0
    tf.config.run_functions_eagerly(True)
    try:
        for case in record["cases"]:
            options = {**case["options"], "max_new_tokens": 16, "return_prompt": False}
            same += lm.generate(record["prompts"], **options) == case["ids"]
    finally:
        tf.config.run_functions_eagerly(False)
    return same, len(record["cases"])


def round_up(difference):
    return f"1e{math.ceil(math.log10(difference)):03d}" if difference else "0"


@pytest.mark.slow
def test_every_family_and_head_is_within_the_bars(tmp_path):
    lines = []
    for family, head in ROWS:
        folder = write_folder(tmp_path / f"{family}{head}", family, head)
        cells = []
        for dtype, bar in BARS.items():
            difference, task = measure(folder, family, head, dtype)
            assert difference <= bar, (family, head, dtype)
            cells.append(round_up(difference))
        counts = count_generations(folder, family)
        assert counts is None or counts[0] == counts[1], (family, counts)
        cells.append("" if counts is None else f"{counts[0]} of {counts[1]}")
        cells[:0] = [family, head, type(task).__name__]
        lines.append(f"| {' | '.join(cells)} |")
        keras.backend.clear_session()
    TABLE.write_text(TITLE + "\n".join(lines) + "\n", encoding="utf-8")


def test_a_mutant_is_out_of_the_bars(tmp_path):
    def spoil(tensors):
        tensors["bert.encoder.layer.1.output.LayerNorm.bias"][3] += 1e-4

    folder = golden_encoders.write_folder(tmp_path / "a", "bert", "ForMaskedLM", spoil)
    for dtype, bar in BARS.items():
        assert measure(folder, "bert", "ForMaskedLM", dtype)[0] > bar


def test_the_table_has_every_family_and_head_within_the_bars():
    text = TABLE.read_text(encoding="utf-8")
    assert text.startswith(TITLE)
    rows = [line.strip("| ").split(" | ") for line in text[len(TITLE) :].splitlines()]
    assert [tuple(row[:2]) for row in rows] == ROWS
    for row in rows:
        assert float(row[3]) <= BARS["float64"] and float(row[4]) <= BARS["float32"]
    own = {"lmzoo_gpt", "lmzoo_bert", "lmzoo_t5"}
    # An mT5 is a Flan-T5 by another name, and an ELECTRA may have narrower embeddings or not.
    types = {name.replace("-", "_") for name in list_model_types()} - own - {"mt5"}
    found = {row[0] for row in rows} - {"flan_t5", "electra_base"}
    assert types == {name.replace("modern_bert", "modernbert") for name in found}
