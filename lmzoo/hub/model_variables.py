"""Where a model keeps its weights: paths of variables, and what a file stores of them."""

__all__ = ["values_by_path", "variables_by_path"]


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
