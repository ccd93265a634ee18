"""Writes tests/golden/{bert,roberta,...}: small encoders and what transformers computes.

Run by hand where torch and transformers are installed, for all families or for some:

    python tests/golden/make_bert_golden.py [bert roberta ...]

No size is square, so that no missing transpose fits, and every tensor is random, so that no bias is
0 and no norm is 1. Each folder holds

- weights.npz: every tensor of the backbone and of all heads as int8; over 64 they are the float32
  numbers of the model;
- folders.json: for each class of transformers the config.json and the tensors' names that
  `save_pretrained` writes, and the SHA-256 of its model.safetensors;
- expected.npz: for three mask patterns and in float64 the hidden states of every layer, the pooled
  output, the last layer's attention weights, each head's logits, and for two heads the loss and two
  projections of every gradient: G of a matrix is kept as G @ u and v @ G for fixed random u and v,
  which no wrong entry leaves as they are, all of them one after another in the order of names.
"""

import contextlib
import hashlib
import json
import pathlib
import sys
import tempfile
import unittest.mock
import zlib

import numpy as np
import torch
import transformers
from projections import project

FOLDER = pathlib.Path(__file__).parent
LABELS = ("bad", "so so", "good")
SIZES = {
    "vocab_size": 101,
    "hidden_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 37,
    "max_position_embeddings": 40,
}
# The prefix of the classes, that of the backbone's tensors, and fields that differ from the
# defaults, as the published checkpoints have them.
FAMILIES = {
    "bert": ("Bert", "bert.", {**SIZES, "layer_norm_eps": 1e-12}),
    "roberta": ("Roberta", "roberta.", {**SIZES, "layer_norm_eps": 1e-5, "type_vocab_size": 1}),
    "distilbert": (
        *("DistilBert", "distilbert."),
        {
            **{"vocab_size": 101, "dim": 48, "n_layers": 3, "n_heads": 4, "hidden_dim": 37},
            "max_position_embeddings": 40,
        },
    ),
    "xlm_roberta": (
        *("XLMRoberta", "roberta."),
        {**SIZES, "layer_norm_eps": 1e-5, "type_vocab_size": 1},
    ),
    "mpnet": ("MPNet", "mpnet.", {**SIZES, "layer_norm_eps": 1e-5}),
    "electra": ("Electra", "electra.", {**SIZES, "embedding_size": 20}),
    "electra_base": ("Electra", "electra.", {**SIZES, "embedding_size": 48}),
    # Blocks 0 and 3 attend to the whole text, the others to one token on each side.
    "modern_bert": (
        *("ModernBert", "model."),
        {
            **{**SIZES, "num_hidden_layers": 4, "local_attention": 2, "pad_token_id": 0},
            **{"bos_token_id": 1, "eos_token_id": 2, "cls_token_id": 1, "sep_token_id": 2},
        },
    ),
}
HEADS = (
    *("Model", "ForMaskedLM", "ForSequenceClassification"),
    *("ForTokenClassification", "ForQuestionAnswering"),
)
# Families whose texts come in pairs.
SEGMENTED = ("bert", "electra", "electra_base")
MASKS = {
    "full": [[1] * 9, [1] * 9],
    "right": [[1] * 9, [1] * 5 + [0] * 4],
    "middle": [[1, 1, 0, 1, 1, 0, 0, 1, 1], [1, 1, 1, 1, 0, 1, 1, 1, 1]],
}


def make_model(family, head):
    prefix, base, fields = FAMILIES[family]
    labels = dict(enumerate(LABELS)) if head.endswith("Classification") else {0: "a", 1: "b"}
    named = {"id2label": labels, "label2id": {name: index for index, name in labels.items()}}
    if not head.endswith("Classification"):
        named = {}
    config = getattr(transformers, f"{prefix}Config")(
        **fields, **named, attn_implementation="eager"
    )
    model = getattr(transformers, prefix + head)(config).eval()
    with torch.no_grad():
        named = model.named_parameters(remove_duplicate=False)
        # Of two names of one tensor, that in the backbone decides.
        for name, parameter in sorted(named, key=lambda pair: pair[0].startswith(base)):
            name = name.removeprefix(base)
            generator = np.random.default_rng(zlib.crc32(name.encode()))
            centre = 64 if "norm" in name.lower() and name.endswith("weight") else 0
            numbers = np.clip(generator.normal(centre, 13, parameter.shape).round(), -128, 127)
            # An int8 knows no -0.
            parameter.copy_(torch.from_numpy(numbers.astype(np.int8) / 64))
    return model


@contextlib.contextmanager
def in_float64(model):
    """A model of transformers in float64, all through: it takes rotary angles in float32."""
    model.double()
    body = getattr(model, "model", model)
    with contextlib.ExitStack() as stack:
        if hasattr(body, "rotary_emb"):
            for place, name, value in (
                (torch, "float32", torch.float64),
                (torch, "float", torch.float64),
                (torch.Tensor, "float", torch.Tensor.double),
            ):
                stack.enter_context(unittest.mock.patch.object(place, name, value))
            # Its frequencies were rounded when they were made.
            body.rotary_emb = type(body.rotary_emb)(model.config)
        yield


def save(model, family, folders, weights):
    """Notes what `save_pretrained` writes, and adds the tensors to `weights`."""
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        written = pathlib.Path(folder, "model.safetensors").read_bytes()
        config = json.loads(pathlib.Path(folder, "config.json").read_text(encoding="utf-8"))
    length = int.from_bytes(written[:8], "little")
    names = sorted(set(json.loads(written[8 : 8 + length])) - {"__metadata__"})
    state = model.state_dict()
    for name in names:
        numbers = (state[name].numpy() * 64).astype(np.int8)
        assert np.array_equal(numbers / 64, state[name].numpy())
        bare = name.removeprefix(FAMILIES[family][1])
        if weights.setdefault(bare, numbers).shape != numbers.shape:
            # A layer of this name in another class has other sizes.
            bare = f"{type(model).__name__}/{bare}"
        assert np.array_equal(weights.setdefault(bare, numbers), numbers), name
    folders[type(model).__name__] = {
        "config": config,
        "tensors": names,
        "sha256": hashlib.sha256(written).hexdigest(),
    }


def make_inputs(family):
    """Token ids, labels of some tokens, segments; the pad token stands at no real place."""
    generator = np.random.default_rng(3)
    token_ids = generator.integers(3, 101, (2, 9))
    segment_ids = generator.integers(0, 2, (2, 9))
    chosen = generator.random((2, 9)) < 0.5
    token_labels = np.where(chosen, generator.integers(3, 101, (2, 9)), -100)
    inputs = {"token_ids": token_ids, "token_labels": token_labels, "labels": np.array([2, 0])}
    return {**inputs, "segment_ids": segment_ids} if family in SEGMENTED else inputs


def call(model, family, inputs, mask, **options):
    pad, right = model.config.pad_token_id, np.cumprod(mask[:, ::-1] == 0, axis=1)[:, ::-1]
    token_ids = np.where(right == 1, pad, inputs["token_ids"])
    if family in SEGMENTED:
        options["token_type_ids"] = torch.from_numpy(inputs["segment_ids"])
    return model(torch.from_numpy(token_ids), attention_mask=torch.from_numpy(mask), **options)


def compute(model, head, family, inputs, mask):
    """dict of what one class computes under one mask."""
    if head == "Model":
        output = call(
            model, family, inputs, mask, output_hidden_states=True, output_attentions=True
        )
        # A last norm comes behind the last block.
        hidden = [*output.hidden_states[:-1], output.last_hidden_state]
        found = {"hidden": torch.stack(hidden), "attention": output.attentions[-1]}
        if getattr(output, "pooler_output", None) is not None:
            found["pooled"] = output.pooler_output
        return {name: value.detach().numpy() for name, value in found.items()}
    if head == "ForQuestionAnswering":
        output = call(model, family, inputs, mask)
        logits = torch.stack([output.start_logits, output.end_logits], dim=-1)
        return {f"{head}/logits": logits.detach().numpy()}
    labels = None
    if head == "ForMaskedLM":
        labels = torch.from_numpy(np.where(mask == 1, inputs["token_labels"], -100))
    elif head == "ForSequenceClassification":
        labels = torch.from_numpy(inputs["labels"])
    output = call(model, family, inputs, mask, labels=labels)
    found = {f"{head}/logits": output.logits.detach().numpy()}
    if labels is not None:
        model.zero_grad()
        output.loss.backward()
        # Of two names of one tensor, that in the backbone.
        named = sorted(
            model.named_parameters(remove_duplicate=False),
            key=lambda pair: pair[0].startswith(FAMILIES[family][1]),
        )
        names = {id(parameter): name for name, parameter in named}
        gradients = {names[id(p)]: p.grad.numpy() for p in model.parameters()}
        found[f"{head}/loss"] = output.loss.item()
        found[f"{head}/gradients"] = project(gradients)
    return found


def main():
    for family in sys.argv[1:] or FAMILIES:
        folder = FOLDER / family
        folder.mkdir(exist_ok=True)
        inputs = make_inputs(family)
        folders, weights, expected = {}, {}, dict(inputs)
        for head in HEADS:
            model = make_model(family, head)
            save(model, family, folders, weights)
            with in_float64(model):
                for pattern, rows in MASKS.items():
                    mask = np.array(rows)
                    found = compute(model, head, family, inputs, mask)
                    expected[f"{pattern}/mask"] = mask == 1
                    expected |= {f"{pattern}/{name}": value for name, value in found.items()}
        np.savez_compressed(folder / "weights.npz", **weights)
        np.savez_compressed(folder / "expected.npz", **expected)
        text = json.dumps(folders, indent=1, sort_keys=True)
        (folder / "folders.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
