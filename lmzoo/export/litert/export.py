"""One .tflite or .litertlm file out of a task."""

import pathlib

from lmzoo.export.litert.conversion import convert
from lmzoo.export.litert.flatbuffer import (
    add_metadata,
    open_model,
    pack_model,
    rewrite_lookups,
    share_buffers,
)
from lmzoo.export.litert.litertlm import pack_litertlm
from lmzoo.export.litert.manifest import make_manifest
from lmzoo.export.litert.signatures import make_decoder_signatures, make_token_signatures
from lmzoo.json_files import write_bytes
from lmzoo.runtime.container import MANIFEST_NAME, TOKENIZER_NAME
from lmzoo.runtime.generation.merging import check_defaults, merge_options

__all__ = ["SUFFIXES", "export_litert"]

SUFFIXES = (".tflite", ".litertlm")
# Where nobody chooses: the longest cache, in tokens, and the lengths of prefills.
_LONGEST, _PREFILLS = 2048, (8, 32, 128)


def export_litert(
    task,
    path,
    quantization=None,
    overwrite=False,
    batch_size=None,
    sequence_length=None,
    max_sequence_length=None,
    prefill_lengths=None,
    verbose=True,
    **options,
):
    """Writes a task as one file for LiteRT, atomically.

    A .tflite holds functions on token ids, the tokenizer, labels and defaults; `lmzoo.runtime`
    runs it without TensorFlow, as does any program with LiteRT that tokenizes itself. A .litertlm
    is the same for LiteRT-LM, text in and text out. Signatures:
        of a discriminative task, `tokens`: as that of its SavedModel.
        of a `CausalLM`, `prefill_N` and `decode`: see `make_decoder_signatures`.

    Args:
        task: a task of `lmzoo.tasks`.
        path: str or path, ending in .tflite or, for a `CausalLM` with a tokenizer, in .litertlm.
        quantization: None for float32.
        overwrite: bool. If True, an existing file is replaced.
        batch_size: int or None. Of a discriminative task, the texts in one call; None for any.
        sequence_length: int or None. Of a discriminative task, the tokens of a text with padding;
            None for any up to the context.
        max_sequence_length: int or None. Of a generative task, the tokens of prompt and completion;
            None for the model's context or 2,048, whichever is less.
        prefill_lengths: ints or None. Of a generative task, how many tokens of a prompt are read at
            once; None for 8, 32 and 128.
        verbose: bool. Whether to show progress on a terminal.
        **options: of a generative task, of `lmzoo.generation.GenerationOptions`: the defaults of
            the file.
    Raises:
        FileExistsError: if the file exists and `overwrite` is False.
        ImportError: if a package of the extra `litert` is needed and not installed.
        ValueError: if the path or a size is not as said here, or an op has no kernel in LiteRT.
    """
    path = _check_path(path, overwrite)
    if task.is_generative:
        max_sequence_length, prefill_lengths = _choose_sizes(
            task, max_sequence_length, prefill_lengths
        )
        defaults = merge_options(task.generation_defaults, check_defaults(options))
        num_slots = max_sequence_length + max(prefill_lengths)
        signatures = make_decoder_signatures(task, num_slots, prefill_lengths)
    else:
        defaults = {}
        signatures = make_token_signatures(task, batch_size, sequence_length)
        max_sequence_length = sequence_length or task.backbone.max_sequence_length
    manifest, tokenizer = make_manifest(task, quantization, max_sequence_length, defaults)
    model = open_model(convert(signatures, task.variables, verbose))
    rewrite_lookups(model)
    share_buffers(model)
    add_metadata(model, MANIFEST_NAME, manifest.to_json())
    if path.suffix == ".tflite" and tokenizer is not None:
        add_metadata(model, TOKENIZER_NAME, tokenizer)
    content = pack_model(model)
    if path.suffix == ".litertlm":
        content = pack_litertlm(content, manifest, tokenizer, task.tokenizer)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(path, content)


def _check_path(path, overwrite):
    path = pathlib.Path(path)
    if path.suffix not in SUFFIXES:
        raise ValueError(
            f"`path` must end in {' or '.join(SUFFIXES)}. Received: path={str(path)!r}."
        )
    if path.is_dir():
        raise FileExistsError(f"`path` must not be a folder. Received: path={str(path)!r}.")
    if path.exists() and not overwrite:
        raise FileExistsError(
            f"`path` must be new. Received: path={str(path)!r}, which exists. Pass overwrite=True "
            "to replace it."
        )
    return path


def _choose_sizes(task, max_sequence_length, prefill_lengths):
    """The context of an exported decoder, in tokens, and the lengths of its prefills."""
    longest = task.max_sequence_length
    if max_sequence_length is None:
        max_sequence_length = min(longest, _LONGEST)
    if prefill_lengths is None:
        prefill_lengths = [n for n in _PREFILLS if n <= max_sequence_length] or [
            max_sequence_length
        ]
    return max_sequence_length, tuple(sorted(prefill_lengths))
