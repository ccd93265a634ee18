"""Writes tests/golden/decoder_heads.npz: what transformers' classifiers on small decoders compute.

Run by hand where torch and transformers are installed, after the scripts of the decoders:

    python tests/golden/make_decoder_heads_golden.py

The backbones are those of tests/golden/{gpt2,llama,qwen2,mistral,qwen3}. For each family the file
holds the weights of the last layer (C, D) and, in float64 and for two mask patterns, the logits
(B, C) of `...ForSequenceClassification`, which scores the last token that is no padding.
"""

import pathlib

import make_llama_golden
import numpy as np
import torch
import transformers

FOLDER = pathlib.Path(__file__).parent
PREFIXES = {
    "gpt2": "GPT2",
    "llama": "Llama",
    "qwen2": "Qwen2",
    "mistral": "Mistral",
    "qwen3": "Qwen3",
}
LABELS = ("bad", "so so", "good")
# How many real tokens each row has; the padding is on the right.
PATTERNS = {"full": (9, 9), "right": (9, 5)}


def read_weights(family):
    """The tensors of a family's golden model, as float32."""
    if family == "gpt2":
        import safetensors.torch

        return safetensors.torch.load_file(FOLDER / family / "model.safetensors")
    with np.load(FOLDER / family / "weights.npz") as file:
        return {name: torch.from_numpy((file[name] / 64).astype(np.float32)) for name in file}


def make_model(family):
    config = transformers.AutoConfig.from_pretrained(FOLDER / family, attn_implementation="eager")
    config.id2label = dict(enumerate(LABELS))
    config.label2id = {name: index for index, name in enumerate(LABELS)}
    config.pad_token_id = 0
    model = getattr(transformers, f"{PREFIXES[family]}ForSequenceClassification")(config).eval()
    weights = {name: value for name, value in read_weights(family).items() if "lm_head" not in name}
    numbers = np.random.default_rng(7).normal(0, 13, model.score.weight.shape).round()
    weights["score.weight"] = torch.from_numpy((numbers / 64).astype(np.float32))
    missing, unexpected = model.load_state_dict(weights, strict=False)
    if [name for name in missing if not name.endswith("attn.bias")] or unexpected:
        raise ValueError(f"{family}: missing {missing}, unexpected {unexpected}")
    return model


def main():
    token_ids = np.random.default_rng(3).integers(1, 100, (2, 9))
    found = {"token_ids": token_ids}
    for family in PREFIXES:
        model = make_model(family)
        found[f"{family}/score"] = model.score.weight.detach().numpy()
        in_float64 = make_llama_golden.in_float64
        with in_float64(model) if family != "gpt2" else torch.no_grad():
            model.double()
            for pattern, lengths in PATTERNS.items():
                mask = np.arange(9) < np.array(lengths)[:, None]
                with torch.no_grad():
                    output = model(
                        torch.from_numpy(np.where(mask, token_ids, 0)),
                        attention_mask=torch.from_numpy(mask.astype(np.int64)),
                    )
                found[f"{pattern}/mask"] = mask
                found[f"{family}/{pattern}/logits"] = output.logits.numpy()
    np.savez_compressed(FOLDER / "decoder_heads.npz", **found)


if __name__ == "__main__":
    main()
