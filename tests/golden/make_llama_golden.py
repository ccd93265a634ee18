"""Writes tests/golden/{llama,qwen2,...}: small models and what transformers computes with them.

Run by hand where torch and transformers are installed:

    python tests/golden/make_llama_golden.py [llama qwen2 ...]

No size is square, so that no missing transpose fits, and every tensor is random, so that no bias is
0 and no norm is 1. Each folder holds

- config.json: as `save_pretrained` writes it;
- weights.npz: every tensor of model.safetensors as int8; over 64 they are the model's float32;
- expected.npz: for three mask patterns and in float64 the hidden states of every layer and the
  logits; for the padded one the loss and two projections of every gradient: G of a matrix is kept
  as G @ u and v @ G for fixed random u and v, which no wrong entry leaves as they are; and what is
  generated in each of `CASES`, one prompt at a time, since transformers counts padding among the
  tokens that its rules have seen.

transformers takes norms, softmax, angles and the logits of generation in float32 whatever the model
is in, else nothing could be compared beyond the seventh digit: `in_float64` makes it mean float64.
"""

import contextlib
import json
import pathlib
import sys
import unittest.mock
import zlib

import numpy as np
import torch
import transformers
from torch_models import draw_int8, make_mask, project_gradients, run_decoder, save_int8

FOLDER = pathlib.Path(__file__).parent
SIZES = {
    **{"vocab_size": 101, "hidden_size": 48, "intermediate_size": 37, "num_attention_heads": 4},
    **{"num_hidden_layers": 2, "num_key_value_heads": 2, "max_position_embeddings": 256},
    **{"bos_token_id": 100, "eos_token_id": 100},
}
# Of the six wavelengths two are left, one is in between, and three are stretched.
LLAMA3 = {
    **{"rope_type": "llama3", "rope_theta": 500.0, "factor": 8.0, "low_freq_factor": 1.0},
    **{"high_freq_factor": 4.0, "original_max_position_embeddings": 128},
}
FAMILIES = {
    "llama": {"rope_parameters": LLAMA3, "rms_norm_eps": 1e-5, "attention_bias": True},
    "qwen2": {
        "rope_parameters": {"rope_type": "linear", "rope_theta": 10000.0, "factor": 2.5},
        "tie_word_embeddings": True,
    },
    # A head's size that is no part of the width, and a window that most sequences exceed.
    "mistral": {"head_dim": 10, "sliding_window": 4, "rms_norm_eps": 1e-5},
    "qwen3": {"head_dim": 10, "tie_word_embeddings": True},
}
CLASSES = {
    "llama": (transformers.LlamaConfig, transformers.LlamaForCausalLM),
    "qwen2": (transformers.Qwen2Config, transformers.Qwen2ForCausalLM),
    "mistral": (transformers.MistralConfig, transformers.MistralForCausalLM),
    "qwen3": (transformers.Qwen3Config, transformers.Qwen3ForCausalLM),
}
LENGTH = 9
# How many real tokens each row of a pattern has, and on which side the padding is.
PATTERNS = {"full": ((9, 9), "right"), "right": ((9, 5), "right"), "left": ((4, 9), "left")}
PROMPTS = [[3, 50, 9], [88, 2, 61, 61, 14, 30, 77], [24]]
# Ends that some of the random texts meet.
ENDS = [9, 44, 52, 83, 84]
CASES = [
    {"num_beams": 1},
    {"num_beams": 1, "repetition_penalty": 1.7},
    {"num_beams": 1, "no_repeat_ngram_size": 2},
    {"num_beams": 4},
    {"num_beams": 4, "length_penalty": 0.0, "early_stopping": True},
    {"num_beams": 4, "repetition_penalty": 1.5, "no_repeat_ngram_size": 2},
]


@contextlib.contextmanager
def in_float64(model):
    """A model of transformers in float64, all through."""
    model = model.double()
    patches = [
        unittest.mock.patch.object(torch, "float32", torch.float64),
        unittest.mock.patch.object(torch, "float", torch.float64),
        unittest.mock.patch.object(torch.Tensor, "float", torch.Tensor.double),
    ]
    with contextlib.ExitStack() as stack:
        for patch in patches:
            stack.enter_context(patch)
        # Its frequencies were rounded when they were made.
        rotary = type(model.model.rotary_emb)(model.config)
        assert rotary.inv_freq.dtype == torch.float64
        model.model.rotary_emb = rotary
        yield model


def make_model(family):
    make_config, make = CLASSES[family]
    config = make_config(**SIZES, **FAMILIES[family], attn_implementation="eager")
    model = make(config).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            generator = np.random.default_rng(zlib.crc32(f"{family} {name}".encode()))
            centre = 64 if "norm" in name else 0
            deviation = 40 if "embed" in name or "bias" in name else 13
            draw_int8(parameter, generator, centre, deviation)
    return model


def compute(model, token_ids, mask):
    output, loss = run_decoder(model, token_ids, mask)
    hidden = torch.stack(output.hidden_states).detach().numpy()
    assert hidden.dtype == np.float64
    return {"mask": mask, "hidden": hidden, "logits": output.logits.detach().numpy()}, loss


def generate(model, options):
    """list of the new ids of each prompt, the end included."""
    rows = []
    for prompt in PROMPTS:
        output = model.generate(
            torch.tensor([prompt]),
            attention_mask=torch.ones(1, len(prompt), dtype=torch.long),
            max_new_tokens=16,
            do_sample=False,
            eos_token_id=ENDS,
            pad_token_id=0,
            **options,
        )
        row = output[0, len(prompt) :].tolist()
        ends = [place for place, token in enumerate(row) if token in ENDS]
        rows.append(row[: ends[0] + 1] if ends else row)
    return rows


def main():
    token_ids = np.random.default_rng(3).integers(0, 100, (2, LENGTH))
    for family in sys.argv[1:] or FAMILIES:
        folder = FOLDER / family
        folder.mkdir(exist_ok=True)
        model = make_model(family)
        save_int8(model, folder)
        expected = {"token_ids": token_ids}
        with in_float64(model) as precise:
            for pattern, (lengths, side) in PATTERNS.items():
                found, loss = compute(precise, token_ids, make_mask(lengths, LENGTH, side))
                if pattern == "right":
                    found |= {"loss": loss.item(), "gradients": project_gradients(precise, loss)}
                expected |= {f"{pattern}/{name}": value for name, value in found.items()}
            cases = [{"options": options, "ids": generate(precise, options)} for options in CASES]
        lengths = sorted({len(row) for case in cases for row in case["ids"]})
        record = {"prompts": PROMPTS, "ends": ENDS, "cases": cases}
        np.savez_compressed(folder / "expected.npz", record=json.dumps(record), **expected)
        sizes = {path.name: path.stat().st_size for path in folder.iterdir()}
        print(family, f"lengths {lengths}", sizes)


if __name__ == "__main__":
    main()
