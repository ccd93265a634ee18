"""Writes generation.npz: a tiny GPT-2 with random weights, and what transformers generates with it.

Run once by hand, where torch and transformers are installed.
"""

import itertools
import json
from pathlib import Path

import numpy as np
import torch
from transformers import GPT2Config, GPT2LMHeadModel

SIZES = {"n_embd": 48, "n_head": 4, "n_layer": 2, "n_inner": 37, "vocab_size": 101}
PROMPTS = [[3, 50, 9], [88, 2, 61, 61, 14, 30, 77], [24]]
NO_END, ONE_END, THREE_ENDS = [], [72], [72, 89, 10]


def main():
    model = make_model()
    cases = [run(model, options) for options in list_cases()]
    lengths = [len(ids) for case in cases for row in case["expected"] for ids in row["token_ids"]]
    print(f"{len(cases)} cases, lengths {sorted(set(lengths))}")
    path = Path(__file__).with_name("generation.npz")
    weights = {name: value.numpy() for name, value in model.state_dict().items()}
    del weights["lm_head.weight"]  # tied
    # Every weight was rounded to float16 first, so nothing is lost here.
    weights = {name: value.astype(np.float16) for name, value in weights.items()}
    record = json.dumps({"sizes": SIZES, "prompts": PROMPTS, "cases": cases})
    np.savez_compressed(path, record=np.array(record), **weights)
    print(path.name, path.stat().st_size, "bytes")


def make_model():
    torch.manual_seed(8)
    config = GPT2Config(**SIZES, n_positions=64, bos_token_id=0, eos_token_id=0)
    model = GPT2LMHeadModel(config).double().eval()
    # The usual initialisation has biases 0 and norms 1, which hides swapped ones, and so little
    # spread that a model says one word for ever.
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            values = torch.randn(parameter.shape, dtype=torch.float64)
            if "ln_" in name and name.endswith("weight"):
                values = 1.0 + 0.2 * values
            elif parameter.ndim == 1:
                values *= 0.05
            else:
                values *= {"wte": 0.3, "wpe": 1.0}.get(name.split(".")[1], 0.5)
            parameter.copy_(values.half().double())
    return model


def list_cases():
    yield {"ends": NO_END, "max_new_tokens": 24}
    yield {"ends": THREE_ENDS, "max_new_tokens": 24}
    rules = [
        {"repetition_penalty": 1.3},
        {"no_repeat_ngram_size": 1},
        {"no_repeat_ngram_size": 2},
        {"no_repeat_ngram_size": 3},
        {"min_new_tokens": 12},
        {"bad_words": [[28], [21, 21], [73, 83, 67]]},
        {"repetition_penalty": 0.8, "no_repeat_ngram_size": 2, "min_new_tokens": 9},
        {"max_new_tokens": 1},
    ]
    for rule in rules:
        yield {"ends": THREE_ENDS, "max_new_tokens": 24, **rule}
        for beams in (2, 4):
            yield {"ends": THREE_ENDS, "max_new_tokens": 24, "num_beams": beams, **rule}
    penalties, stops = (-1.0, 0.0, 0.6, 1.0, 2.0), (False, True, "never")
    for beams, penalty, stop in itertools.product((2, 4), penalties, stops):
        yield {
            "ends": THREE_ENDS if penalty != 0.6 else ONE_END,
            "max_new_tokens": 20,
            "num_beams": beams,
            "length_penalty": penalty,
            "early_stopping": stop,
        }
    yield {"ends": NO_END, "max_new_tokens": 16, "num_beams": 4}


def run(model, options):
    """`options` with `expected`: of each prompt, the new ids and the score of each result."""
    arguments = dict(options)
    ends, beams = arguments.pop("ends"), options.get("num_beams", 1)
    if "bad_words" in arguments:
        arguments["bad_words_ids"] = arguments.pop("bad_words")
    expected = []
    # One prompt at a time: transformers counts padding among the tokens that its rules have seen.
    for prompt in PROMPTS:
        output = model.generate(
            torch.tensor([prompt]),
            attention_mask=torch.ones(1, len(prompt), dtype=torch.long),
            do_sample=False,
            eos_token_id=ends or None,
            pad_token_id=0,
            num_return_sequences=beams,
            return_dict_in_generate=True,
            output_scores=True,
            **arguments,
        )
        new = [cut(row[len(prompt) :].tolist(), ends) for row in output.sequences]
        scores = output.sequences_scores.tolist() if beams > 1 else None
        expected.append({"token_ids": new, "scores": scores})
    return {**options, "expected": expected}


def cut(ids, ends):
    """`ids` up to the first end token, that included."""
    places = [place for place, token in enumerate(ids) if token in ends]
    return ids[: places[0] + 1] if places else ids


if __name__ == "__main__":
    main()
