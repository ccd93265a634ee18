"""Writes tests/golden/{llama3,qwen2,mistral}_text: small models with tokenizers, and what they say.

Run by hand where torch, transformers and sentencepiece are installed:

    python tests/golden/make_llama_tokenizers_golden.py

Each folder holds what `save_pretrained` writes of a model and its tokenizer, but for the weights,
which are weights.npz: every tensor as int8; over 64 they are the model's float32. Mistral's has the
`tokenizer.model` as well that published folders have. expected.json holds the ids of some texts, as
the tokenizer gives them when it is called, and the greedy continuation of some prompts.
"""

import io
import json
import pathlib
import shutil
import zlib

import numpy as np
import sentencepiece
import tokenizers
import torch
import transformers
from tokenizers import models, pre_tokenizers, processors, trainers

FOLDER = pathlib.Path(__file__).parent
LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
SPECIAL = ["<|begin_of_text|>", "<|end_of_text|>", "<|eot_id|>"]
SPECIAL += [f"<|reserved_special_token_{index}|>" for index in range(5)]
SIZES = {
    **{"hidden_size": 8, "intermediate_size": 12, "num_attention_heads": 2},
    **{"num_hidden_layers": 1, "num_key_value_heads": 1, "max_position_embeddings": 128},
    "tie_word_embeddings": True,
}
CONFIGS = {
    "llama3": transformers.LlamaConfig,
    "qwen2": transformers.Qwen2Config,
    "mistral": transformers.MistralConfig,
}
# No text begins with a space: transformers 5 reads those otherwise than Mistral's own code.
TEXTS = [
    "The quick brown fox doesn't jump over 1234567 lazy dogs.",
    "I'LL say: it\u017f 'S ok, WE'VE done\n\n\n  that!!\n",
    "def main(x):\n\treturn x  # twice\r\n\r\n   \n",
    "caf\u00e9 cafe\u0301 \u1112\u1161\u11ab \u6211\u559c\u6b22",
    "\u0928\u092e\u0938\u094d\u0924\u0947 \u0958 \u212b",
    "\U0001f468\u200d\U0001f469 x\u00a0y\u2028z",
    "",
]
PROMPTS = ["The model", "def main(", "tokens", ""]


def read_corpus():
    return (FOLDER.parents[1] / "README.md").read_text(encoding="utf-8")


def learn_pairs(pattern, size):
    tokenizer = tokenizers.Tokenizer(models.BPE(ignore_merges=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(tokenizers.Regex(pattern), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator([read_corpus()], trainer)
    return tokenizer


def make_llama3():
    tokenizer = learn_pairs(LLAMA3, 400)
    tokenizer.decoder = tokenizers.decoders.ByteLevel()
    tokenizer.add_special_tokens(SPECIAL)
    start = SPECIAL[0]
    template = processors.TemplateProcessing(
        single=f"{start} $A",
        pair=f"{start} $A {start}:1 $B:1",
        special_tokens=[(start, tokenizer.token_to_id(start))],
    )
    byte_level = processors.ByteLevel(trim_offsets=True)
    tokenizer.post_processor = processors.Sequence([byte_level, template])
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token=start, eos_token=SPECIAL[1]
    )


def make_qwen2():
    pattern = transformers.models.qwen2.tokenization_qwen2.PRETOKENIZE_REGEX
    model = json.loads(learn_pairs(pattern, 400).to_str())["model"]
    merges = [tuple(pair) for pair in model["merges"]]
    tokenizer = transformers.Qwen2Tokenizer(model["vocab"], merges)
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|im_start|>", "<|im_end|>"]})
    tokenizer.add_tokens([tokenizers.AddedToken("<tool_call>", special=False, normalized=False)])
    return tokenizer


def make_mistral(folder):
    written = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(filter(None, read_corpus().splitlines())),
        model_writer=written,
        model_type="bpe",
        vocab_size=500,
        byte_fallback=True,
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        allow_whitespace_only_pieces=True,
        split_digits=True,
        minloglevel=2,
    )
    (folder / "tokenizer.model").write_bytes(written.getvalue())
    # As in the published folder.
    config = {"add_bos_token": True, "legacy": True, "tokenizer_class": "LlamaTokenizer"}
    config |= {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": None}
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    return transformers.LlamaTokenizer.from_pretrained(folder)


def make_model(name, tokenizer):
    config = CONFIGS[name](
        **SIZES,
        vocab_size=len(tokenizer) + 3,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    model = transformers.AutoModelForCausalLM.from_config(config).eval()
    weights = {}
    with torch.no_grad():
        for path, parameter in model.named_parameters():
            generator = np.random.default_rng(zlib.crc32(f"{name} {path}".encode()))
            numbers = generator.normal(64 if "norm" in path else 0, 40, parameter.shape).round()
            weights[path] = np.clip(numbers, -128, 127).astype(np.int8)
            parameter.copy_(torch.from_numpy(weights[path].astype(np.float32) / 64))
    return model, weights


def continue_texts(model, tokenizer):
    found = []
    for prompt in PROMPTS:
        inputs = tokenizer(prompt, return_tensors="pt", return_token_type_ids=False)
        if not inputs["input_ids"].shape[1]:
            continue
        ids = model.generate(**inputs, max_new_tokens=12, do_sample=False)[0]
        text = tokenizer.decode(ids, skip_special_tokens=True)
        found.append({"prompt": prompt, "ids": ids.tolist(), "text": text})
    return found


def main():
    for name in CONFIGS:
        folder = FOLDER / f"{name}_text"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        make = {"llama3": make_llama3, "qwen2": make_qwen2}.get(name)
        tokenizer = make() if make else make_mistral(folder)
        model, weights = make_model(name, tokenizer)
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        (folder / "model.safetensors").unlink()
        np.savez_compressed(folder / "weights.npz", **weights)
        special = [token for token in tokenizer.get_added_vocab() if token != "<unk>"]
        texts = [*TEXTS, "a" + "b ".join(special)]
        expected = {
            "texts": texts,
            "ids": [tokenizer(text).input_ids for text in texts],
            "decoded": tokenizer.batch_decode([tokenizer(texts[-1]).input_ids], True),
            "continued": continue_texts(model, tokenizer),
        }
        text = json.dumps(expected, indent=1) + "\n"
        (folder / "expected.json").write_text(text, encoding="utf-8")
        print(name, {path.name: path.stat().st_size for path in folder.iterdir()})


if __name__ == "__main__":
    main()
