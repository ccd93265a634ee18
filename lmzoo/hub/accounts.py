"""What a file may hold beside a model's weights: the named lists, and the table of what is tied.

Whatever is in a file is used, or tied to what is used, or on a list that has a name here. Anything
else is an error.
"""

import re

__all__ = ["IGNORED", "TIED", "find_ignored"]

_POOLER = {"pooler that the task does not have": r"pooler\.dense\.(weight|bias)"}
_ENCODERS = {
    # Counters that old files carry.
    "position and segment counters": r"embeddings\.(position_ids|token_type_ids)",
    "next-sentence head": r"cls\.seq_relationship\.(weight|bias)",
    **_POOLER,
}
_CROSS_DISTANCES = {
    # A table that old files have and nobody ever read: cross-attention knows no distances.
    "distances of cross-attention": (
        r"decoder\.block\.0\.layer\.1\.EncDecAttention\.relative_attention_bias\.weight"
    ),
}
# Old files carry the frequencies by which rotary positions turn.
_ROTARY = {
    "frequencies of the angles": (r"(model\.)?(layers\.\d+\.self_attn\.)?rotary_emb\.inv_freq"),
}
# model type -> name of a list -> the tensors on it, without the model type before their names
IGNORED = {
    # Old files carry the masks beside the weights.
    "gpt2": {"causal masks": r"(transformer\.)?h\.\d+\.attn\.(masked_)?bias"},
    "bert": _ENCODERS,
    "roberta": _ENCODERS,
    "distilbert": _ENCODERS,
    **dict.fromkeys(("llama", "mistral", "qwen2"), _ROTARY),
    "t5": _CROSS_DISTANCES,
    "mt5": _CROSS_DISTANCES,
}
_EMBEDDINGS = "embeddings.word_embeddings.weight"
_STACKS = dict.fromkeys(
    ("encoder.embed_tokens.weight", "decoder.embed_tokens.weight"), "shared.weight"
)
# model type -> a tensor that may stand beside what it is tied to, or in its place -> that. Where
# `tie_word_embeddings` is false, a decoder's or a T5's head is a weight of its own.
TIED = {
    "gpt2": {"lm_head.weight": "transformer.wte.weight"},
    "bert": {
        "cls.predictions.decoder.weight": _EMBEDDINGS,
        "cls.predictions.decoder.bias": "cls.predictions.bias",
    },
    "roberta": {"lm_head.decoder.weight": _EMBEDDINGS, "lm_head.decoder.bias": "lm_head.bias"},
    "distilbert": {"vocab_projector.weight": _EMBEDDINGS},
    **dict.fromkeys(("llama", "mistral", "qwen2"), {"lm_head.weight": "model.embed_tokens.weight"}),
    "t5": {**_STACKS, "lm_head.weight": "shared.weight"},
    "mt5": _STACKS,
}


def find_ignored(model_type, name):
    """The name of the list that a tensor of a file is on, or None.

    Args:
        model_type: str.
        name: str. As the file has it.
    """
    bare = name.removeprefix(f"{model_type}.")
    lists = IGNORED.get(model_type, {}).items()
    return next((words for words, pattern in lists if re.fullmatch(pattern, bare)), None)
