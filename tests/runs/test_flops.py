"""The arithmetic of models against formulas."""

import itertools
import time

import numpy as np
import pytest

from lmzoo.models import BertBackbone, GPTBackbone, T5Backbone
from lmzoo.runs.flops import count_forward_flops, measure_product_rate
from lmzoo.tasks import CausalLM, Seq2SeqLM, TextClassifier

B, T, S, D, F, V, L = 2, 12, 8, 16, 40, 50, 3


def make_batch(length, prefix=""):
    ids = np.ones((B, length), "int32")
    return {f"{prefix}token_ids": ids, f"{prefix}padding_mask": ids > 0}


def test_a_decoder_has_the_flops_of_its_matrices_and_of_attention():
    sizes = {"num_layers": L, "num_heads": 4, "hidden_dim": D, "intermediate_dim": F}
    lm = CausalLM(GPTBackbone(V, max_sequence_length=T, **sizes))
    matrices = L * (4 * D * D + 2 * D * F) + D * V
    # Scores and mixing, each of T x T for each of D channels.
    expected = 2 * B * T * matrices + L * 2 * 2 * B * T * T * D
    assert count_forward_flops(lm, make_batch(T)) == expected


def test_grouped_queries_and_gates_are_counted_as_they_are():
    lm = CausalLM(
        GPTBackbone(
            V, L, 4, D, F, T, num_key_value_heads=2, positions="rotary", gated=True,
            norm="rms_norm", use_bias=False, tied=False,
        )
    )  # fmt: skip
    matrices = L * (2 * D * D + 2 * D * D // 2 + 3 * D * F) + D * V
    expected = 2 * B * T * matrices + L * 2 * 2 * B * T * T * D
    found = count_forward_flops(lm, make_batch(T))
    # The table of rotary angles may be a product too.
    assert expected <= found <= 1.01 * expected


def test_a_head_counts_once_for_a_row():
    backbone = BertBackbone(V, L, 4, D, F, T, pooler=False)
    task = TextClassifier(backbone, num_classes=3, head_activation=None)
    batch = make_batch(T)
    # The first position is picked by a product over all of them.
    head = 3 * D + T * D
    expected = 2 * B * (T * L * (4 * D * D + 2 * D * F) + head) + L * 2 * 2 * B * T * T * D
    assert count_forward_flops(task, {**batch, "segment_ids": 0 * batch["token_ids"]}) == expected


def test_an_encoder_and_a_decoder_have_their_own_lengths():
    backbone = T5Backbone(
        V, L, num_heads=4, hidden_dim=D, head_dim=4, intermediate_dim=F, max_sequence_length=T
    )
    batch = make_batch(T, "encoder_") | make_batch(S, "decoder_")
    encoder = L * (T * (4 * D * D + 2 * D * F) + 2 * T * T * D)
    decoder = L * (S * (2 * 2 * D * D + 2 * D * F + 2 * D * D) + 2 * S * S * D)
    cross = L * (T * 2 * D * D + 2 * S * T * D)
    expected = 2 * B * (encoder + decoder + cross + S * D * V)
    assert count_forward_flops(Seq2SeqLM(backbone), batch) == expected


def test_the_rate_is_the_arithmetic_of_a_product_over_its_time(monkeypatch):
    # Each reading of the clock is a hundredth of a second after the one before.
    readings = itertools.count()
    monkeypatch.setattr(time, "perf_counter", lambda: next(readings) / 100)
    assert measure_product_rate(64, seconds=0.1) == pytest.approx(2 * 64**3 / 0.01)
