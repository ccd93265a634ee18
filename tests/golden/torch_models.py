"""What the scripts that write golden files do to models of transformers."""

import json
import pathlib
import tempfile

import numpy as np
import torch
from projections import project


def draw_int8(parameter, generator, centre, deviation):
    """Fills a parameter with random multiples of 1/64 that int8 holds."""
    numbers = generator.normal(centre, deviation, parameter.shape).round()
    numbers = np.clip(numbers, -128, 127).astype(np.int8)
    # An int8 knows no -0.
    parameter.copy_(torch.from_numpy(numbers / 64))


def save_int8(model, folder):
    """Writes what `save_pretrained` writes, the weights in a quarter of the space."""
    with tempfile.TemporaryDirectory() as saved:
        model.save_pretrained(saved)
        text = pathlib.Path(saved, "config.json").read_text(encoding="utf-8")
        written = pathlib.Path(saved, "model.safetensors").read_bytes()
    (folder / "config.json").write_text(text, encoding="utf-8")
    length = int.from_bytes(written[:8], "little")
    state, weights = model.state_dict(), {}
    for name in sorted(set(json.loads(written[8 : 8 + length])) - {"__metadata__"}):
        weights[name] = (state[name].numpy() * 64).astype(np.int8)
        assert np.array_equal(weights[name] / 64, state[name].numpy()), name
    np.savez_compressed(folder / "weights.npz", **weights)


def make_mask(lengths, width, side):
    """bool (B, width): how many real tokens each row has, on the side that is not padded."""
    place = np.arange(width)
    return np.array([place < n if side == "right" else place >= width - n for n in lengths])


def run_decoder(model, token_ids, mask):
    """The output of a decoder, and its loss over the real tokens."""
    output = model(
        torch.from_numpy(token_ids),
        attention_mask=torch.from_numpy(mask.astype(np.int64)),
        position_ids=torch.from_numpy(np.maximum(np.cumsum(mask, axis=1) - 1, 0)),
        output_hidden_states=True,
    )
    counts = torch.from_numpy(mask[:, :-1] & mask[:, 1:])
    labels = torch.from_numpy(token_ids)[:, 1:][counts]
    return output, torch.nn.functional.cross_entropy(output.logits[:, :-1][counts], labels)


def compute_gradients(model, loss):
    """dict of name -> gradient, NumPy."""
    model.zero_grad()
    loss.backward()
    return {name: parameter.grad.numpy() for name, parameter in model.named_parameters()}


def project_gradients(model, loss):
    """One vector of all G @ u and v @ G, in the order of names."""
    return project(compute_gradients(model, loss))
