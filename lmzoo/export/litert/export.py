"""One .tflite or .litertlm file out of a task."""

from lmzoo.export.litert.checks import (
    check_dtype,
    check_options,
    check_packages,
    check_path,
    check_scored_model,
    choose_sizes,
)
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
from lmzoo.export.litert.quantization import check_quantization, quantize_model
from lmzoo.export.litert.report import make_report, print_report, write_report
from lmzoo.export.litert.signatures import (
    make_decoder_signatures,
    make_seq2seq_signatures,
    make_token_signatures,
)
from lmzoo.export.saved_model import check_weights
from lmzoo.json_files import write_bytes
from lmzoo.runtime.container import MANIFEST_NAME, TOKENIZER_NAME

__all__ = ["export_litert"]


def export_litert(
    task,
    path,
    quantization=None,
    overwrite=False,
    batch_size=None,
    sequence_length=None,
    max_sequence_length=None,
    prefill_lengths=None,
    decode_windows=None,
    evaluation_data=None,
    verbose=True,
    **options,
):
    """Writes a task as one file for LiteRT, atomically, and a report beside it.

    A .tflite holds functions on token ids, the tokenizer, labels and defaults; `lmzoo.runtime`
    runs it without TensorFlow, as does any program with LiteRT that tokenizes itself. A .litertlm
    is the same for LiteRT-LM, text in and text out. Its ops are LiteRT's own. Signatures:
        of a discriminative task, `tokens`: as that of its SavedModel.
        of a `CausalLM`, `prefill_N`, `decode` and `decode_W`: see `make_decoder_signatures`.
        of a `Seq2SeqLM`, `encode`, `decode`, `encode_W` and `decode_W`: see
            `make_seq2seq_signatures`.

    Args:
        task: a task of `lmzoo.tasks` that computes in float32.
        path: str or path, ending in .tflite or, for a `CausalLM` with a tokenizer, in .litertlm.
        quantization: "float16", "int8" (a scale for each output channel), "int4" (one for each 32
            weights), or None for float32. Embeddings are quantized with the head; norms and biases
            stay float32.
        overwrite: bool. If True, an existing file is replaced.
        batch_size: int or None. Of a discriminative task, the texts in one call; None for any.
        sequence_length: int or None. Of a discriminative task, the tokens of a text with padding;
            None for any up to the context.
        max_sequence_length: int or None. Of a generative task, the tokens of prompt and completion,
            or of a source and of a target; None for the model's or 2,048, whichever is less.
        prefill_lengths: ints or None. Of a `CausalLM`, how many tokens of a prompt are read at
            once; None for 8, 32 and 128.
        decode_windows: ints or None. Of a generative task, the shorter caches that decoding can
            begin with; None for 128, 256, 512 and 768, as far as they are less than all slots.
        evaluation_data: what the file is compared with the task on, as for `measure_quality`; None
            for nothing.
        verbose: bool. Whether to print the report, and progress on a terminal.
        **options: of a generative task, of `lmzoo.generation.GenerationOptions`: the defaults of
            the file.
    Returns:
        dict. The report, as `make_report` describes it, which is also in PATH.json.
    Raises:
        FileExistsError: if the file exists and `overwrite` is False.
        ImportError: if a package of the extra `litert` is needed and not installed.
        TypeError: if a discriminative task gets an option of generation.
        ValueError: if the path, a size or the quantization does not suit the task, a weight is not
            finite, the task does not compute in float32, or an op has no kernel in LiteRT.
    """
    path = check_path(path, overwrite, task)
    model_task = check_scored_model(task)
    model_task.refuse_quantized("exported for LiteRT, which has `quantization` of its own")
    check_packages(path, evaluation_data)
    check_dtype(model_task)
    check_weights(task)
    check_quantization(task, quantization)
    defaults = check_options(task, options)
    sizes = choose_sizes(
        model_task,
        batch_size=batch_size,
        sequence_length=sequence_length,
        max_sequence_length=max_sequence_length,
        prefill_lengths=prefill_lengths,
        decode_windows=decode_windows,
    )
    manifest, tokenizer = make_manifest(task, quantization, sizes.max_sequence_length, defaults)
    model = open_model(convert(_make_signatures(model_task, sizes), model_task.variables, verbose))
    rewrite_lookups(model)
    share_buffers(model)
    model = quantize_model(model, quantization)
    share_buffers(model)
    add_metadata(model, MANIFEST_NAME, manifest.to_json())
    if path.suffix == ".tflite" and tokenizer is not None:
        add_metadata(model, TOKENIZER_NAME, tokenizer)
    content = pack_model(model)
    del model
    packed = content
    if path.suffix == ".litertlm":
        packed = pack_litertlm(content, manifest, tokenizer, task.tokenizer)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(path, packed)
    report = make_report(model_task, path, content, len(packed), manifest, evaluation_data)
    write_report(report)
    print_report(report, verbose)
    return report


def _make_signatures(task, sizes):
    if not task.is_generative:
        return make_token_signatures(task, sizes.batch_size, sizes.sequence_length)
    if task.is_encoder_decoder:
        return make_seq2seq_signatures(task, sizes.num_slots, sizes.decode_windows)
    return make_decoder_signatures(
        task, sizes.num_slots, sizes.prefill_lengths, sizes.decode_windows
    )
