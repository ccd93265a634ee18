"""The published models by name: where each lies, what it opens as, and how large it is."""

from typing import NamedTuple

from lmzoo.hub import bert, gpt2, t5

__all__ = ["ENTRIES", "ZooEntry", "find_arguments"]

# Then the name gives a size and no weights.
_PICKLED = "its weights may be pickled, which lmzoo does not open"


class ZooEntry(NamedTuple):
    """A published model.

    source: str. "hf://org/name".
    model_type: str. What its config.json says.
    task: str. The class of `lmzoo.tasks` that it opens as.
    num_parameters: int. Those of the backbone, each once; a head of its own is counted for T5.
    licence: str. As its card names it.
    config: dict. What its config.json says that is not the default of its model type.
    note: str.
    """

    source: str
    model_type: str
    task: str
    num_parameters: int
    licence: str
    config: dict
    note: str = ""


def _bert(place, num_parameters, note="", **config):
    config = {"layer_norm_eps": 1e-12, **config}
    return ZooEntry(f"hf://{place}", "bert", "MaskedLM", num_parameters, "apache-2.0", config, note)


def _small_bert(layers, width, num_parameters):
    """The sizes of Turc et al. 2019, https://arxiv.org/abs/1908.08962: heads are 64 wide."""
    heads = width // 64
    place = f"google/bert_uncased_L-{layers}_H-{width}_A-{heads}"
    sizes = {"hidden_size": width, "intermediate_size": 4 * width}
    depths = {"num_hidden_layers": layers, "num_attention_heads": heads}
    return _bert(place, num_parameters, _PICKLED, **sizes, **depths)


def _roberta(place, num_parameters, **config):
    # Two positions lie before the first token's.
    fixed = {"max_position_embeddings": 514, "type_vocab_size": 1, "layer_norm_eps": 1e-5}
    config = {**fixed, **config}
    return ZooEntry(f"hf://{place}", "roberta", "MaskedLM", num_parameters, "mit", config)


def _gpt2(place, num_parameters, layers, heads, width, licence="mit"):
    config = {"n_layer": layers, "n_head": heads, "n_embd": width}
    return ZooEntry(f"hf://{place}", "gpt2", "CausalLM", num_parameters, licence, config)


def _t5(place, num_parameters, layers, heads, width, wide, model_type="t5", note="", **config):
    sizes = {"num_layers": layers, "num_heads": heads, "d_model": width, "d_ff": wide}
    config = {**sizes, **config}
    values = (f"hf://{place}", model_type, "Seq2SeqLM", num_parameters, "apache-2.0", config, note)
    return ZooEntry(*values)


_LARGE = {
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "hidden_size": 1024,
    "intermediate_size": 4096,
}
# T5 1.1: a gate in the feed-forward and a head of its own.
_FLAN = {"feed_forward_proj": "gated-gelu", "tie_word_embeddings": False}
_MT5 = {"model_type": "mt5", "note": _PICKLED, "tie_word_embeddings": False}

ENTRIES = {
    "bert-tiny": _small_bert(2, 128, 4_385_920),
    "bert-mini": _small_bert(4, 256, 11_170_560),
    "bert-small": _small_bert(4, 512, 28_763_648),
    "bert-medium": _small_bert(8, 512, 41_373_184),
    "bert-base-uncased": _bert("google-bert/bert-base-uncased", 109_482_240),
    "bert-base-cased": _bert("google-bert/bert-base-cased", 108_310_272, vocab_size=28996),
    "bert-large-uncased": _bert("google-bert/bert-large-uncased", 335_141_888, **_LARGE),
    "bert-large-cased": _bert(
        "google-bert/bert-large-cased", 333_579_264, vocab_size=28996, **_LARGE
    ),
    "roberta-base": _roberta("FacebookAI/roberta-base", 124_055_040),
    "roberta-large": _roberta("FacebookAI/roberta-large", 354_310_144, **_LARGE),
    "distilbert-base-uncased": ZooEntry(
        "hf://distilbert/distilbert-base-uncased",
        *("distilbert", "MaskedLM", 66_362_880, "apache-2.0", {}),
    ),
    "distilgpt2": _gpt2("distilbert/distilgpt2", 81_912_576, 6, 12, 768, "apache-2.0"),
    "gpt2": _gpt2("openai-community/gpt2", 124_439_808, 12, 12, 768),
    "gpt2-medium": _gpt2("openai-community/gpt2-medium", 354_823_168, 24, 16, 1024),
    "gpt2-large": _gpt2("openai-community/gpt2-large", 774_030_080, 36, 20, 1280),
    "gpt2-xl": _gpt2("openai-community/gpt2-xl", 1_557_611_200, 48, 25, 1600),
    "t5-small": _t5("google-t5/t5-small", 60_506_624, 6, 8, 512, 2048),
    "t5-base": _t5("google-t5/t5-base", 222_903_552, 12, 12, 768, 3072),
    "t5-large": _t5("google-t5/t5-large", 737_668_096, 24, 16, 1024, 4096),
    "t5-xl": _t5(
        *("google-t5/t5-3b", 2_851_598_336, 24, 32, 1024, 16384),
        note="published as t5-3b",
        d_kv=128,
    ),
    "flan-t5-small": _t5("google/flan-t5-small", 76_961_152, 8, 6, 512, 1024, **_FLAN),
    "flan-t5-base": _t5("google/flan-t5-base", 247_577_856, 12, 12, 768, 2048, **_FLAN),
    "flan-t5-large": _t5("google/flan-t5-large", 783_150_080, 24, 16, 1024, 2816, **_FLAN),
    "flan-t5-xl": _t5("google/flan-t5-xl", 2_849_757_184, 24, 32, 2048, 5120, **_FLAN),
    "mt5-small": _t5("google/mt5-small", 300_176_768, 8, 6, 512, 1024, **_MT5),
    "mt5-base": _t5("google/mt5-base", 582_401_280, 12, 12, 768, 2048, **_MT5),
    "mt5-large": _t5("google/mt5-large", 1_229_581_312, 24, 16, 1024, 2816, **_MT5),
    "mt5-xl": _t5("google/mt5-xl", 3_742_619_648, 24, 32, 2048, 5120, **_MT5),
}


def find_arguments(entry):
    """The arguments of the backbone of a `ZooEntry`, as a dict."""
    config = {"model_type": entry.model_type, **entry.config}
    if entry.model_type == "gpt2":
        return gpt2.make_arguments(config)
    if entry.model_type in t5.MODEL_TYPES:
        return t5.make_arguments(config)
    # Only BERT was published with a pooler.
    return {**bert.make_arguments(config), "pooler": entry.model_type == "bert"}
