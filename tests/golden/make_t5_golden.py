"""Writes tests/golden/{t5,flan_t5}: two small T5s and what transformers computes with them.

It also writes mt5_text: config.json of a small mT5, a spiece.model whose sentinels are pieces of
its own, the small files that published folders have beside it, and in expected.json the ids that
transformers gives some texts and how many words its tokenizer has.

Run by hand where torch, transformers and sentencepiece are installed:

    python tests/golden/make_t5_golden.py

No size is square and heads are not a part of the width, so that no missing transpose fits, and
every tensor is random, so that no norm is 1. Each folder holds

- config.json: as `save_pretrained` writes it;
- weights.npz: every tensor of model.safetensors as int8; over 64 they are the model's float32;
- expected.npz: for three mask patterns and in float64 the hidden states of every layer of both
  stacks and the logits; for the padded one the loss and two projections of every gradient: G of a
  matrix is kept as G @ u and v @ G for fixed random u and v, which no wrong entry leaves as they
  are; what is generated in each of `CASES`; and the buckets of all distances from -512 to 512.

The norms of transformers take the mean of squares in float32 whatever the model is in. Here they
take it in float64, else nothing could be compared beyond the seventh digit.
"""

import io
import json
import pathlib
import tempfile
import zlib

import numpy as np
import sentencepiece
import torch
import transformers
from torch_models import draw_int8, make_mask, project_gradients, save_int8
from transformers.models.t5 import modeling_t5

FOLDER = pathlib.Path(__file__).parent
SIZES = {
    **{"vocab_size": 101, "d_model": 48, "d_kv": 10, "d_ff": 37, "num_heads": 4},
    **{"num_layers": 3, "num_decoder_layers": 2, "relative_attention_num_buckets": 12},
    **{"relative_attention_max_distance": 9, "pad_token_id": 0, "eos_token_id": 1},
}
FAMILIES = {
    "t5": {**SIZES, "feed_forward_proj": "relu", "decoder_start_token_id": 0},
    "flan_t5": {
        **SIZES,
        "feed_forward_proj": "gated-gelu",
        "tie_word_embeddings": False,
        # Not the padding, so that whoever takes that is found out.
        "decoder_start_token_id": 5,
    },
}
SOURCE_LENGTH, TARGET_LENGTH = 8, 6
# How many real tokens each row has, of the source and of the target, and where they stand.
PATTERNS = {
    "full": ((8, 8), (6, 6), "right"),
    "right": ((8, 5), (4, 6), "right"),
    "left": ((4, 8), (6, 3), "left"),
}
PROMPTS = [[3, 50, 9, 1], [88, 2, 61, 61, 14, 30, 77, 1], [24, 1]]
# Ends that some of the random texts meet.
ENDS = [1, 7, 9, 30, 44]
CASES = [
    {"num_beams": 1},
    {"num_beams": 1, "repetition_penalty": 1.7},
    {"num_beams": 1, "no_repeat_ngram_size": 2},
    {"num_beams": 2},
    {"num_beams": 4, "length_penalty": 2.0},
    {"num_beams": 4, "length_penalty": 0.0, "early_stopping": True},
    {"num_beams": 2, "repetition_penalty": 1.5, "no_repeat_ngram_size": 2},
]

MT5_TEXTS = [
    "The model reads  text,",
    "a <extra_id_0> b <extra_id_1> c",
    "caf\u00e9 \ufb01 \u2603 \u6211",
    "",
]


def forward_in_float64(self, hidden_states):
    variance = hidden_states.pow(2).mean(-1, keepdim=True)
    return self.weight * hidden_states * torch.rsqrt(variance + self.variance_epsilon)


def make_model(family):
    config = transformers.T5Config(**FAMILIES[family], attn_implementation="eager")
    model = transformers.T5ForConditionalGeneration(config).eval()
    if family == "flan_t5":
        # transformers ties every new model, and unties where a file holds both.
        model.lm_head.weight = torch.nn.Parameter(model.lm_head.weight.detach().clone())
        model.all_tied_weights_keys.pop("lm_head.weight", None)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            generator = np.random.default_rng(zlib.crc32(name.encode()))
            centre = 64 if "norm" in name else 0
            deviation = 40 if "shared" in name or "bias" in name else 13
            if name.endswith(".q.weight"):
                # Small as T5 has them, whose scores are not divided by sqrt(d_kv).
                deviation = 5
            draw_int8(parameter, generator, centre, deviation)
    return model


def compute(model, inputs, source_mask, target_mask):
    labels = torch.from_numpy(np.where(target_mask, inputs["labels"], -100))
    output = model(
        input_ids=torch.from_numpy(inputs["source"]),
        attention_mask=torch.from_numpy(source_mask.astype(np.int64)),
        decoder_input_ids=torch.from_numpy(inputs["target"]),
        decoder_attention_mask=torch.from_numpy(target_mask.astype(np.int64)),
        labels=labels,
        output_hidden_states=True,
    )
    found = {
        "encoder": torch.stack(output.encoder_hidden_states),
        "decoder": torch.stack(output.decoder_hidden_states),
        "logits": output.logits,
    }
    return {name: value.detach().numpy() for name, value in found.items()}, output.loss


def generate(model, options):
    """list of the new ids of each prompt, the end included."""
    width = max(map(len, PROMPTS))
    ids = torch.tensor([row + [0] * (width - len(row)) for row in PROMPTS])
    outputs = model.generate(
        input_ids=ids,
        attention_mask=(ids != 0).long(),
        max_new_tokens=16,
        do_sample=False,
        eos_token_id=ENDS,
        pad_token_id=0,
        decoder_start_token_id=model.config.decoder_start_token_id,
        **options,
    )
    rows = []
    for row in outputs[:, 1:].tolist():
        ends = [place for place, token in enumerate(row) if token in ENDS]
        rows.append(row[: ends[0] + 1] if ends else row)
    return rows


def make_buckets():
    distances = torch.arange(-512, 513)
    find = modeling_t5.T5Attention._relative_position_bucket
    return {
        f"buckets/{kind}/{count}/{longest}": find(distances, two, count, longest).numpy()
        for kind, two in (("both", True), ("behind", False))
        for count, longest in ((32, 128), (12, 9), (64, 300))
    }


def write_mt5():
    folder = FOLDER / "mt5_text"
    folder.mkdir(exist_ok=True)
    written = io.BytesIO()
    lines = (FOLDER.parents[1] / "README.md").read_text(encoding="utf-8").splitlines()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(filter(None, lines)),
        model_writer=written,
        vocab_size=300,
        **{"pad_id": 0, "eos_id": 1, "unk_id": 2, "bos_id": -1},
        user_defined_symbols=["\u2581<extra_id_1>", "\u2581<extra_id_0>"],
        minloglevel=2,
    )
    (folder / "spiece.model").write_bytes(written.getvalue())
    # As in the published folders.
    roles = {"eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}
    config = {"additional_special_tokens": None, "extra_ids": 0, "sp_model_kwargs": {}}
    config |= {**roles, "tokenizer_class": "T5Tokenizer"}
    (folder / "tokenizer_config.json").write_text(json.dumps(config) + "\n")
    (folder / "special_tokens_map.json").write_text(json.dumps(roles) + "\n")
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    sizes = {name: SIZES[name] for name in ("d_model", "d_kv", "d_ff", "num_heads", "num_layers")}
    # The published ones have more rows than words.
    config = transformers.MT5Config(**sizes, vocab_size=len(tokenizer) + 12)
    with tempfile.TemporaryDirectory() as saved:
        transformers.MT5ForConditionalGeneration(config).save_pretrained(saved)
        text = pathlib.Path(saved, "config.json").read_text(encoding="utf-8")
    (folder / "config.json").write_text(text, encoding="utf-8")
    ids = [tokenizer(text).input_ids for text in MT5_TEXTS]
    expected = {"length": len(tokenizer), "texts": MT5_TEXTS, "ids": ids}
    (folder / "expected.json").write_text(json.dumps(expected, indent=1) + "\n", encoding="utf-8")


def main():
    write_mt5()
    modeling_t5.T5LayerNorm.forward = forward_in_float64
    generator = np.random.default_rng(3)
    source = generator.integers(2, 101, (2, SOURCE_LENGTH))
    labels = generator.integers(2, 101, (2, TARGET_LENGTH))
    for family, fields in FAMILIES.items():
        folder = FOLDER / family
        folder.mkdir(exist_ok=True)
        model = make_model(family)
        save_int8(model, folder)
        model = model.double()
        start = np.full((2, 1), fields["decoder_start_token_id"])
        target = np.concatenate([start, labels[:, :-1]], axis=1)
        inputs = {"source": source, "target": target, "labels": labels}
        expected = {**inputs, **make_buckets()}
        for pattern, (sources, targets, side) in PATTERNS.items():
            source_mask = make_mask(sources, SOURCE_LENGTH, side)
            target_mask = make_mask(targets, TARGET_LENGTH, side)
            found, loss = compute(model, inputs, source_mask, target_mask)
            found |= {"source_mask": source_mask, "target_mask": target_mask}
            if pattern == "right":
                found |= {"loss": loss.item(), "gradients": project_gradients(model, loss)}
            expected |= {f"{pattern}/{name}": value for name, value in found.items()}
        cases = [{"options": options, "ids": generate(model, options)} for options in CASES]
        record = {"prompts": PROMPTS, "ends": ENDS, "cases": cases}
        np.savez_compressed(folder / "expected.npz", record=json.dumps(record), **expected)


if __name__ == "__main__":
    main()
