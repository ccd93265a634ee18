"""Writing a task as a Hugging Face folder."""

import json

from lmzoo.files import atomic_folder, check_new_folder
from lmzoo.hub import bert, bert_heads, families, lmzoo_bert, lmzoo_t5, t5
from lmzoo.hub.files.config import read_config
from lmzoo.hub.files.generation_config import (
    GENERATION_CONFIG,
    make_generation_config,
    read_generation,
)
from lmzoo.hub.files.sentence_transformers import write_embedding
from lmzoo.hub.files.shards import parse_shard_size
from lmzoo.hub.files.task_options import make_task_options, name_task
from lmzoo.hub.files.tokenizers import save_tokenizer
from lmzoo.hub.files.weights import write_weights
from lmzoo.hub.plans import make_plan
from lmzoo.models import BertBackbone, T5Backbone

__all__ = ["save_pretrained"]


def save_pretrained(task, folder, overwrite=False, shard_size="50GB"):
    """Writes config.json, the weights and the tokenizer's files, atomically.

    The same task always gives the same bytes. What GPT-2, Llama, Qwen2, Mistral, BERT, RoBERTa,
    DistilBERT or T5 can express is written in transformers' own names, so that its
    `from_pretrained` opens the folder; other options are written under the model types "lmzoo_gpt",
    "lmzoo_bert" and "lmzoo_t5", which only lmzoo opens. A decoder is written as the
    first of the four that has its options. A pooler that the class of transformers does not have is
    left out. A task that generates has a generation_config.json too, where it has defaults or an
    end token. What `enable_lora` has taught a kernel is written in that kernel.

    Args:
        task: a task of `lmzoo.tasks`. One of the caller's own class is written as the class of
            `lmzoo.tasks` that it is made of.
        folder: str or path. New or empty, unless `overwrite`.
        overwrite: bool. If True, an existing folder is replaced.
        shard_size: int, in bytes, or str such as "500MB" or "5GB". Larger weights are written as
            shards and an index instead of one model.safetensors.
    Raises:
        FileExistsError: if `folder` has files and `overwrite` is False.
        OSError: if the disk is full. `folder` is then as it was.
        TypeError: if `shard_size` is neither, or `task` is another model.
        ValueError: if `shard_size` is no size, if weights are quantized or of layers that are the
            caller's own, if the names of classes take more room than `lmzoo.load` reads, or if the
            backbone has an option that no file expresses, such as a function as its activation.
    """
    check_new_folder(folder, overwrite)
    name = name_task(task)
    limit = parse_shard_size(shard_size)
    is_encoder = isinstance(task.backbone, BertBackbone)
    if isinstance(task.backbone, T5Backbone):
        config = _describe_seq2seq(task)
    else:
        config = _describe_encoder(task) if is_encoder else _describe_decoder(task)
    config["dtype"] = task.backbone.variable_dtype
    # What could not be read again is not written.
    plan = make_plan(config, pooler=task.backbone.pooler if is_encoder else None)
    values = families.values_by_path(task.backbone, getattr(task, "head", None))
    _check_written(task, values, plan)
    generation = make_generation_config(task) if task.is_generative else None
    with atomic_folder(folder, overwrite) as new:
        write_weights(new, plan.recipes, values, limit)
        _write_json(new / "config.json", config)
        if generation is not None:
            _write_json(new / GENERATION_CONFIG, generation)
        _check_readable(new, folder, task)
        save_tokenizer(new, task)
        if name == "TextEmbedder" and config["model_type"] in bert.MODEL_TYPES:
            write_embedding(new, task)


def _check_written(task, values, plan):
    """Nothing that a task computes with may stay behind, but a pooler that it does not use."""
    left = [path for path in values.keys() - plan.recipes if not path.startswith("pooler/")]
    own = [*task.backbone.weights, *getattr(getattr(task, "head", None), "weights", ())]
    known = {id(weight) for weight in own}
    left += [weight.path for weight in task.weights if id(weight) not in known]
    if left:
        raise ValueError(
            "`task` must have no other variables than its layout. Received: "
            f"{', '.join(sorted(left)[:3])}. Save it before its weights are quantized, and layers "
            "of your own beside it."
        )


def _check_readable(new, folder, task):
    """Refuses to write what is over the limits of those who read it."""
    try:
        config = read_config(new)
        start = getattr(task, "start_token_id", None)
        read_generation(new, task.backbone.vocabulary_size, task.tokenizer, start, config)
    except ValueError as error:
        reason = str(error).replace(str(new), str(folder))
        raise ValueError(
            f"`task` must have options that can be read again, names of classes for instance that "
            f"take less room. Received: {reason}"
        ) from error


def _write_json(path, content):
    text = json.dumps(content, indent=2, sort_keys=True, ensure_ascii=False)
    path.write_text(text + "\n", encoding="utf-8")


def _describe_decoder(task):
    config = families.family_of(task.backbone).make_config(task.backbone)
    config["architectures"] = [families.ARCHITECTURES[config["model_type"]]]
    tokenizer = task.tokenizer
    if tokenizer is not None:
        config["bos_token_id"] = tokenizer.start_token_id
        config["eos_token_id"] = tokenizer.end_token_id
        config["pad_token_id"] = tokenizer.pad_token_id
    return config


def _describe_seq2seq(task):
    config = (t5 if t5.fits(task.backbone) else lmzoo_t5).make_config(task.backbone)
    config["decoder_start_token_id"] = task.start_token_id
    if task.tokenizer is not None:
        config["eos_token_id"] = task.tokenizer.end_token_id
        config["pad_token_id"] = task.tokenizer.pad_token_id
    return {**config, **make_task_options(task)}


def _describe_encoder(task):
    model_type, kind = bert.find_model_type(task.backbone), bert_heads.name_head(task)
    fits = model_type is not None and bert_heads.fits_head(model_type, task)
    if fits and _counts_positions(task):
        config = bert.make_config(task.backbone)
        config["architectures"] = [bert_heads.make_architecture(model_type, kind)]
        config |= bert_heads.make_dropout_config(model_type, kind, task)
    else:
        config = lmzoo_bert.make_config(task)
    if task.tokenizer is not None:
        # For a RoBERTa the backbone has said it: its positions begin behind this id.
        config.setdefault("pad_token_id", task.tokenizer.pad_token_id)
    return {**config, **bert_heads.make_label_config(task), **make_task_options(task)}


def _counts_positions(task):
    """Whether the positions of a text are the same in transformers.

    RoBERTa's begin behind the padding's id there, and that id has none, wherever it stands: it must
    be one that no text and no template gives.
    """
    tokenizer, pad = task.tokenizer, task.backbone.position_offset - 1
    if tokenizer is None or not 0 <= pad < tokenizer.vocabulary_size:
        return True
    names = ("unknown_token_id", "start_token_id", "end_token_id", "mask_token_id")
    is_given = pad in [getattr(tokenizer, name, None) for name in names]
    return tokenizer.id_to_token(pad) in tokenizer.special_tokens and not is_given
