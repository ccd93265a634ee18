"""Which decoder is read and written by which module, and where a model keeps its weights."""

from lmzoo.hub import gpt2, llama, lmzoo_gpt

__all__ = ["ARCHITECTURES", "DECODERS", "family_of", "values_by_path", "variables_by_path"]

# model_type in config.json -> the module that knows its keys and tensors
DECODERS = {"gpt2": gpt2, **dict.fromkeys(llama.MODEL_TYPES, llama), "lmzoo_gpt": lmzoo_gpt}
# model_type -> what config.json calls the class: the one that transformers opens, or else ours.
ARCHITECTURES = {
    "gpt2": "GPT2LMHeadModel",
    "llama": "LlamaForCausalLM",
    "qwen2": "Qwen2ForCausalLM",
    "mistral": "MistralForCausalLM",
    "lmzoo_gpt": "CausalLM",
}


def family_of(backbone):
    """The module that can write a decoder's backbone."""
    return next((family for family in (gpt2, llama) if family.fits(backbone)), lmzoo_gpt)


def variables_by_path(backbone, head=None):
    """dict of path -> Keras variable; the states of dropout are no weights.

    Paths of a backbone's variables are those below it; a head's begin with "head/".
    """
    found = {variable.path.split("/", 1)[1]: variable for variable in backbone.weights}
    for variable in head.weights if head is not None else ():
        below = variable.path.rpartition(f"{head.name}/")[2]
        found[f"head/{below}"] = variable
    return found


def values_by_path(backbone, head=None):
    """dict of path -> what a file keeps: a variable, or a kernel with its low-rank adapter in it.

    What `enable_lora` has added is no weight of a model in anybody's layout, and its product is.
    """
    # `lmzoo info` reads this module's tables and must not wait for Keras.
    from lmzoo.keras_seams import list_layers

    found = variables_by_path(backbone, head)
    paths = {id(variable): path for path, variable in found.items()}
    for model in (backbone, head) if head is not None else (backbone,):
        for layer in list_layers(model):
            if getattr(layer, "lora_enabled", False):
                first, second = (
                    paths[id(part)] for part in (layer.lora_kernel_a, layer.lora_kernel_b)
                )
                del found[first], found[second]
                found[first.replace("lora_kernel_a", "kernel")] = layer.kernel
    return found
