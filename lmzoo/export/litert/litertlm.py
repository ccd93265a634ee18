"""The container of LiteRT-LM: a .tflite, a tokenizer, and what generation needs to know."""

import io
import pathlib
import tempfile

__all__ = ["make_llm_metadata", "pack_litertlm"]


def pack_litertlm(model, manifest, tokenizer_file, tokenizer):
    """Packs a decoder for LiteRT-LM.

    Args:
        model: bytes of a .tflite with the signatures `prefill_N` and `decode`.
        manifest: Manifest, with a tokenizer.
        tokenizer_file: bytes.
        tokenizer: the tokenizer of `lmzoo.tokenizers`.
    Returns:
        bytes of a .litertlm.
    Raises:
        ImportError: if litert-lm-builder is not installed.
    """
    import litert_lm_builder as builder_module

    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        (folder / "model.tflite").write_bytes(model)
        (folder / manifest.tokenizer.file).write_bytes(tokenizer_file)
        (folder / "metadata.pb").write_bytes(make_llm_metadata(manifest, tokenizer))
        builder = builder_module.LitertLmFileBuilder()
        builder.add_system_metadata(
            builder_module.Metadata(key="Authors", value="lmzoo", dtype=builder_module.DType.STRING)
        )
        builder.add_llm_metadata(str(folder / "metadata.pb"))
        add = builder.add_hf_tokenizer
        if manifest.tokenizer.kind == "sentence_piece":
            add = builder.add_sentencepiece_tokenizer
        add(str(folder / manifest.tokenizer.file))
        builder.add_tflite_model(
            str(folder / "model.tflite"), builder_module.TfLiteModelType.PREFILL_DECODE
        )
        stream = io.BytesIO()
        builder.build(stream)
        return stream.getvalue()


def make_llm_metadata(manifest, tokenizer):
    """What LiteRT-LM reads of a model: bytes of its message LlmMetadata.

    Args:
        manifest, tokenizer: as for `pack_litertlm`.
    Returns:
        bytes.
    """
    from litert_lm_builder.runtime.proto import llm_metadata_pb2

    metadata = llm_metadata_pb2.LlmMetadata()
    metadata.max_num_tokens = manifest.max_sequence_length
    metadata.llm_model_type.generic_model.SetInParent()
    for token_id in manifest.end_token_ids:
        metadata.stop_tokens.add().token_ids.ids.append(token_id)
    if manifest.tokenizer.add_start_token:
        metadata.start_token.token_ids.ids.append(manifest.tokenizer.start_token_id)
    if tokenizer.chat_template is not None:
        metadata.jinja_prompt_template = tokenizer.chat_template
    _set_sampler(metadata.sampler_params, manifest.generation_defaults, manifest.vocabulary_size)
    return metadata.SerializeToString()


def _set_sampler(sampler, options, vocabulary_size):
    """Sampling as `generate` would do it by default."""
    top_k, top_p = options.get("top_k", 0), options.get("top_p", 1.0)
    temperature = options.get("temperature")
    if temperature is None:
        temperature = 1.0 if top_k or top_p < 1 or options.get("min_p") else 0.0
    # LiteRT-LM 0.18 has this one alone on a processor. Of one candidate it takes the likeliest.
    sampler.type = type(sampler).TOP_P
    sampler.k, sampler.p, sampler.temperature = 1, 1.0, 1.0
    if temperature == 0:
        return
    sampler.k, sampler.p, sampler.temperature = top_k or vocabulary_size, top_p, temperature
    if options.get("seed") is not None:
        sampler.seed = options["seed"]
