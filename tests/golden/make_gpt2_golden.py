"""Writes tests/golden/gpt2: a small GPT-2 as transformers saves it, and what transformers computes.

Run by hand where torch and transformers are installed:

    python tests/golden/make_gpt2_golden.py

The folder holds config.json and model.safetensors as `save_pretrained` writes them, with no size
square, so that no missing transpose fits, and every tensor random, so that no bias is 0 and no norm
is 1. expected.npz holds, for three mask patterns and in float64, the hidden states of every layer,
the logits, the loss and two projections of every gradient: a gradient G of a matrix is kept as
G @ u and v @ G for fixed random u and v, which no wrong entry leaves as they are.
"""

import pathlib

import numpy as np
import torch
from projections import project_by_name
from torch_models import compute_gradients, make_mask, run_decoder
from transformers import GPT2Config, GPT2LMHeadModel

FOLDER = pathlib.Path(__file__).with_name("gpt2")
BATCH_SIZE, LENGTH = 2, 9
# How many real tokens each row of a pattern has, and on which side the padding is.
PATTERNS = {"full": ((9, 9), "right"), "right": ((9, 5), "right"), "left": ((4, 9), "left")}


def make_model():
    config = GPT2Config(
        **{"vocab_size": 101, "n_positions": 64, "n_embd": 48, "n_layer": 3, "n_head": 4},
        **{"n_inner": 37, "bos_token_id": 100, "eos_token_id": 100},
        attn_implementation="eager",
    )
    model = GPT2LMHeadModel(config).eval()
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            is_scale = name.endswith(("ln_1.weight", "ln_2.weight", "ln_f.weight"))
            parameter.copy_(1 + 0.3 * noise if is_scale else 0.2 * noise)
    return model


def compute(model, token_ids, mask):
    output, loss = run_decoder(model, token_ids, mask)
    hidden = torch.stack(output.hidden_states).detach().numpy()
    found = {"mask": mask, "hidden": hidden, "logits": output.logits.detach().numpy()}
    columns, rows = project_by_name(compute_gradients(model, loss))
    found |= {"loss": loss.item()}
    found |= {f"columns/{name}": value for name, value in columns.items()}
    return found | {f"rows/{name}": value for name, value in rows.items()}


def main():
    model = make_model()
    model.save_pretrained(FOLDER)
    (FOLDER / "generation_config.json").unlink(missing_ok=True)
    model = model.double()
    token_ids = np.random.default_rng(3).integers(0, 100, (BATCH_SIZE, LENGTH))
    expected = {"token_ids": token_ids}
    for pattern, (lengths, side) in PATTERNS.items():
        found = compute(model, token_ids, make_mask(lengths, LENGTH, side))
        expected |= {f"{pattern}/{name}": value for name, value in found.items()}
    np.savez_compressed(FOLDER / "expected.npz", **expected)


if __name__ == "__main__":
    main()
