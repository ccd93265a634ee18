"""The record of a model family: everything that lmzoo knows of it, in one place.

Nothing here imports TensorFlow or Keras, so that `describe` and `verify` work without them.
"""

import dataclasses
import importlib
import re
from collections.abc import Callable, Mapping
from typing import NamedTuple

__all__ = [
    "Family",
    "KerasHubClass",
    "PublishedModel",
    "SIZE_KEYS",
    "list_size_keys",
    "find_backbone",
    "place_blocks",
]


# The sizes of a backbone, and the keys that most model types of transformers have for them.
SIZE_KEYS = {
    "num_layers": "num_hidden_layers",
    "num_heads": "num_attention_heads",
    "hidden_dim": "hidden_size",
    "intermediate_dim": "intermediate_size",
    "vocabulary_size": "vocab_size",
    "max_sequence_length": "max_position_embeddings",
}


def list_size_keys(fields):
    """The keys of the sizes in config.json, as `Family.size_keys`.

    Args:
        fields: dict of argument -> Field, those of the sizes among them.
    """
    return {name: fields[name].key for name in SIZE_KEYS}


class PublishedModel(NamedTuple):
    """A published model.

    source: str. "hf://org/name".
    model_type: str. What its config.json says.
    task: str. The class of `lmzoo.tasks` that it opens as.
    num_parameters: int. Those of the backbone, each once; an untied head is counted for T5.
    license: str. As its card names it.
    config: dict. What its config.json says that is not the default of its model type.
    note: str.
    """

    source: str
    model_type: str
    task: str
    num_parameters: int
    license: str
    config: dict
    note: str = ""


@dataclasses.dataclass(frozen=True, kw_only=True)
class KerasHubClass:
    """The class of KerasHub for a family.

    Args:
        name: str. Such as "BertBackbone".
        read_arguments: callable. A backbone of KerasHub -> dict of the arguments of ours.
        make_arguments: callable. A backbone of ours -> dict of arguments of KerasHub's class beside
            the common sizes. Raises ValueError where KerasHub lacks an option.
        fits: callable. A backbone of ours -> bool, whether this is the class to convert to.
        position_rows: int. Rows of our position table that KerasHub's does not have.
    """

    name: str
    read_arguments: Callable
    make_arguments: Callable
    fits: Callable
    position_rows: int = 0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Family:
    """Model types that share a backbone, a config layout and the names of tensors.

    Args:
        name: str. What `describe` calls it, such as "BERT".
        backbone: callable without arguments. Returns the backbone's class.
        classes: dict of model type -> prefix of the names of its classes in transformers, such as
            {"bert": "Bert"}. Where several can express a backbone, the first one is written.
        heads: dict of a task's name in `lmzoo.tasks` -> Head.
        plain_task: str. The task that a model without any head opens as.
        default_task: str or None. The task of a config without `architectures`; None to refuse it.
        read_arguments: callable. config.json as a dict -> dict of the backbone's arguments, but
            `pooler`. Raises ValueError if a field is of the wrong type or out of its range, or asks
            for something that the backbone does not do.
        make_config: callable (backbone, model_type). Returns the config.json of a backbone as a
            dict. It may raise KeyError or ValueError where the model type has no word for an
            option; what does not read back as it was is not written either.
        variable_shapes: callable. Arguments -> dict of a variable's path below the backbone ->
            shape.
        modules: callable. Arguments -> dict of a layer's path -> tuple of module names in the file,
            without `prefix`. The tensors of several modules lie side by side in one variable.
        size_keys: dict of each name of `SIZE_KEYS` -> the key of config.json, by which a config
            that cannot be opened is described.
        prefix: str. What stands before the backbone's tensors in a file with a head.
        transposed: bool. Whether the backbone's kernels are stored (out, in).
        widths: callable. Arguments -> dict of a layer's path -> the widths of its modules, where
            they are not equal.
        parts: callable. Arguments -> dict of a layer's path -> `TensorSources.part`, where one
            module of the file holds several layers.
        renamed: dict of a pattern at the end of a tensor's name -> what it is called today.
        tied: dict of a tensor -> the tensor it always repeats, without the prefix.
        ignored: dict of the name of a list -> pattern of the tensors on it, without the prefix:
            what files hold beside the model's weights.
        output_fallback: str or None. The module whose values an untied output layer takes where a
            file has none for it.
        headless: tuple of str. The tasks that its backbone opens as with a fresh head, which none
            of its classes has.
        has_pooler: bool. Whether the backbone has the argument `pooler`.
        tokenizers: tuple of str. The kinds of tokenizer that its published models have, by the
            names of the classes in `lmzoo.tokenizers`.
        is_native: bool. Whether this is lmzoo's own layout, in which each variable is a tensor
            under its own path.
        complete: callable. Arguments -> arguments in which each default is written out.
        accepts: callable (task, model_type) -> bool. What beside its config must hold for a task
            to be written as a model type.
        initializer: str. The argument that scales the initial weights.
        embedding_stddev: callable. A backbone -> the standard deviation of its initial embeddings.
        masked_lm_head: callable (config, arguments). Returns what `MaskedLMHead` is built with.
        head_options: callable. Arguments -> arguments of `ClassificationHead` that each head on
            this backbone has.
        read_options: callable (config, task, arguments). Returns arguments of a task, given by its
            name, that config.json has under keys of the family's own.
        make_options: callable (task). Returns what `read_options` reads, as a part of config.json.
        keras_hub: KerasHubClass or None.
        published: dict of name -> PublishedModel.
    """

    name: str
    backbone: Callable
    classes: Mapping
    heads: Mapping
    plain_task: str
    read_arguments: Callable
    make_config: Callable
    variable_shapes: Callable
    modules: Callable = lambda arguments: {}
    default_task: str | None = None
    size_keys: Mapping = dataclasses.field(default_factory=lambda: SIZE_KEYS)
    prefix: str = ""
    transposed: bool = True
    widths: Callable = lambda arguments: {}
    parts: Callable = lambda arguments: {}
    renamed: Mapping = dataclasses.field(default_factory=dict)
    tied: Mapping = dataclasses.field(default_factory=dict)
    ignored: Mapping = dataclasses.field(default_factory=dict)
    output_fallback: str | None = None
    headless: tuple = ()
    has_pooler: bool = False
    tokenizers: tuple = ()
    is_native: bool = False
    complete: Callable = lambda arguments: arguments
    accepts: Callable = lambda task, model_type: True
    initializer: str = "initializer_range"
    embedding_stddev: Callable = lambda backbone: backbone.initializer_range or 0.02
    masked_lm_head: Callable = lambda config, arguments: {
        name: arguments[name] for name in ("vocabulary_size", "activation", "norm_epsilon")
    }
    head_options: Callable = lambda arguments: {}
    read_options: Callable = lambda config, task, arguments: {}
    make_options: Callable = lambda task: {}
    keras_hub: KerasHubClass | None = None
    published: Mapping = dataclasses.field(default_factory=dict)

    def list_tasks(self):
        """Tuple of the names of the tasks that the backbone can be opened as."""
        tasks = (*self.heads, *self.headless)
        # Numbers come out of the head that sorts texts.
        return (*tasks, "TextRegressor") if "TextClassifier" in tasks else tasks

    def class_name(self, model_type, task):
        """What config.json calls a task of a model type: the name of a class of transformers."""
        if self.is_native:
            return task
        return self.classes[model_type] + self.heads[task].endings[0]

    def known_classes(self, model_type):
        """dict of class name in `architectures` -> name of the task it opens as."""
        if self.is_native:
            return {task: task for task in self.heads}
        # transformers builds what `model_type` says, whichever of the family's names stands here.
        prefixes = sorted(self.classes.values(), key=lambda each: each != self.classes[model_type])
        known = {
            prefix + ending: task
            for prefix in prefixes
            for task, head in self.heads.items()
            for ending in head.endings
        }
        return {**known, **{f"{prefix}Model": self.plain_task for prefix in prefixes}}

    def is_plain(self, config):
        """Whether config.json names the class of a model without any head."""
        return config.get("architectures") in [[f"{each}Model"] for each in self.classes.values()]

    def find_ignored(self, name):
        """The name of the list of ignored tensors that a tensor of a file is on, or None."""
        bare = name.removeprefix(self.prefix)
        return next((key for key, each in self.ignored.items() if re.fullmatch(each, bare)), None)

    def is_tied(self, name):
        """Whether a tensor of a file may repeat another one."""
        bare = name.removeprefix(self.prefix)
        return any(bare in tied for tied in (self.tied, *(h.tied for h in self.heads.values())))

    def is_head_tensor(self, name):
        """Whether a tensor of a file belongs to one of the family's heads."""
        if self.is_native:
            return name.startswith("head.")
        heads = self.heads.values()
        modules = {each for head in heads for names in head.modules.values() for each in names}
        return any(name in head.tied for head in heads) or name.rpartition(".")[0] in modules

    def rename(self, name):
        """What a tensor of a file is called today, without the prefix."""
        bare = name.removeprefix(self.prefix)
        for old, new in self.renamed.items():
            bare = re.sub(f"{old}$", new, bare)
        return bare


def find_backbone(name):
    """A callable that returns a class of `lmzoo.models`, which is imported at its first use."""
    return lambda: getattr(importlib.import_module("lmzoo.models"), name)


def place_blocks(num_layers, place, block):
    """The modules of all blocks of a backbone: dict of a layer's path -> tuple of names.

    Args:
        num_layers: int.
        place: str. What stands before the number of a block in the file.
        block: dict of a layer of a block -> names, without the place.
    """
    return {
        f"block_{index}/{layer}": tuple(f"{place}.{index}.{name}" for name in names)
        for index in range(num_layers)
        for layer, names in block.items()
    }
