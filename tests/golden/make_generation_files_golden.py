"""Writes generation_files.json: files of defaults, and what transformers generates with each alone.

Run by hand where torch and transformers are installed, after make_llama_golden.py and
make_t5_golden.py, whose models it takes:

    python tests/golden/make_generation_files_golden.py

Each case has the family of its model, the content of generation_config.json, and the new ids of
each prompt, generated with nothing but that file, one prompt at a time and in float64.
"""

import contextlib
import json
import pathlib
import tempfile

import numpy as np
import torch
import transformers
from transformers.models.t5 import modeling_t5

from tests.golden.make_llama_golden import CLASSES, PROMPTS, in_float64
from tests.golden.make_t5_golden import forward_in_float64

FOLDER = pathlib.Path(__file__).parent
ENDS = [9, 44, 52, 83, 84]
CASES = [
    # Nothing of the first four is meant: nobody has asked for samples.
    (
        "llama",
        {
            **{"do_sample": False, "temperature": 0.6, "top_k": 20, "top_p": 0.9},
            **{"max_new_tokens": 14, "repetition_penalty": 1.3, "eos_token_id": ENDS},
        },
    ),
    (
        "qwen2",
        {
            **{"num_beams": 4, "length_penalty": 0.0, "early_stopping": True},
            **{"no_repeat_ngram_size": 2, "max_new_tokens": 12, "eos_token_id": ENDS},
        },
    ),
    ("mistral", {"eos_token_id": 83, "min_new_tokens": 6, "max_new_tokens": 13}),
    ("mistral", {"eos_token_id": 83, "max_new_tokens": 13}),
    # These two count the token that the decoder begins with.
    (
        "t5",
        {
            **{"eos_token_id": [1, 82, 29, 26], "max_length": 9, "min_length": 5, "num_beams": 2},
            "decoder_start_token_id": 0,
        },
    ),
    ("flan_t5", {"eos_token_id": 72, "max_new_tokens": 7, "decoder_start_token_id": 5}),
]
T5 = (transformers.T5Config, transformers.T5ForConditionalGeneration)


def make_model(family):
    make_config, make = CLASSES.get(family, T5)
    config = make_config.from_pretrained(FOLDER / family, attn_implementation="eager")
    model = make(config).eval()
    if family == "flan_t5":
        # transformers ties every new model, and unties where a file holds both.
        model.lm_head.weight = torch.nn.Parameter(model.lm_head.weight.detach().clone())
        model.all_tied_weights_keys.pop("lm_head.weight", None)
    with np.load(FOLDER / family / "weights.npz") as file:
        state = {name: torch.from_numpy(file[name] / 64) for name in file.files}
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(state[name])
    return model


def generate(model, content, skipped):
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "generation_config.json")
        path.write_text(json.dumps({"pad_token_id": 0, **content}), encoding="utf-8")
        model.generation_config = transformers.GenerationConfig.from_pretrained(folder)
    ends = content["eos_token_id"]
    ends, rows = ends if isinstance(ends, list) else [ends], []
    for prompt in PROMPTS:
        ids = torch.tensor([prompt])
        output = model.generate(ids, attention_mask=torch.ones_like(ids))[0].tolist()
        row = output[1 if skipped else len(prompt) :]
        places = [place for place, token in enumerate(row) if token in ends]
        rows.append(row[: places[0] + 1] if places else row)
    return rows


def main():
    modeling_t5.T5LayerNorm.forward = forward_in_float64
    found = []
    for family, content in CASES:
        model, is_t5 = make_model(family), family not in CLASSES
        in_precision = contextlib.nullcontext(model.double()) if is_t5 else in_float64(model)
        with in_precision as precise:
            rows = generate(precise, content, is_t5)
        print(family, [len(row) for row in rows])
        found.append({"family": family, "file": content, "ids": rows})
    text = json.dumps({"prompts": PROMPTS, "cases": found})
    (FOLDER / "generation_files.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
