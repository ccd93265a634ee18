"""The contestants of `generation.py`, by framework.

Each function runs in a process of its own and returns contestants. Their `run(batch_size, prompt,
new)` gives how many tokens it made in all, and how often it traced the model for it (None: not
counted).
"""

import pathlib
import tempfile

import numpy as np

from _harness.common import (
    generate_with_torch,
    make_saved,
    make_torch_models,
    open_ctranslate2_engines,
    set_tensorflow_threads,
)
from _harness.workers import Contestant

# The contestants of lmzoo whose number of new tokens is not fixed in a file.
GENERATE = ("generate", "generate, plain")


def make_prompts(size, batch_size, length):
    """Random ids, int32 (B, T), the same for every contestant."""
    return np.random.default_rng(0).integers(1, size.vocabulary_size, (batch_size, length), "int32")


def open_lmzoo(size, threads):
    """lmzoo: `generate`, and the same model as a SavedModel, plain, compiled and quantized."""
    set_tensorflow_threads(threads)

    import lmzoo

    class Traced(lmzoo.tasks.CausalLM):
        """Counts how often the model is traced: Python runs `step` at no other time."""

        traces = 0

        def step(self, *arguments):
            self.traces += 1
            return super().step(*arguments)

    def make_lm():
        return Traced(lmzoo.models.GPTBackbone(dtype="float32", **size._asdict()))

    lm, small_lm = make_lm(), make_lm()
    small_lm.quantize("int8")

    def make_generate(lm, precision, jit_compile):
        def run(batch_size, prompt, new):
            prompts = make_prompts(size, batch_size, prompt).tolist()
            before = lm.traces
            rows = lm.generate(
                prompts, max_new_tokens=new, return_prompt=False, jit_compile=jit_compile
            )
            return sum(map(len, rows)), lm.traces - before

        return Contestant(precision, run)

    def serve(jit_compile, quantization=None):
        call = make_saved(lm, jit_compile, quantization)

        def run(batch_size, prompt, new):
            # A file holds graphs alone: nothing in it can be traced.
            return call(make_prompts(size, batch_size, prompt), new), 0

        return Contestant(quantization or "float32", run)

    return {
        "generate": make_generate(lm, "float32", "auto"),
        "generate, plain": make_generate(lm, "float32", False),
        "generate, int8": make_generate(small_lm, "int8", "auto"),
        "SavedModel": serve(False),
        "SavedModel, XLA": serve(True),
        "SavedModel, int8": serve(False, "int8"),
        "SavedModel, XLA, int8": serve(True, "int8"),
        "SavedModel, XLA, int4": serve(True, "int4"),
    }


def open_kerashub(size, threads):
    """KerasHub's GPT-2 without a preprocessor, fed with dense ids."""
    set_tensorflow_threads(threads)
    import keras_hub

    def make(dtype, jit_compile):
        backbone = keras_hub.models.GPT2Backbone(
            **size.arguments, max_sequence_length=size.max_sequence_length, dtype=dtype
        )
        lm = keras_hub.models.GPT2CausalLM(backbone)
        lm.compile(sampler="greedy", jit_compile=jit_compile)

        def run(batch_size, prompt, new):
            token_ids = np.pad(make_prompts(size, batch_size, prompt), [[0, 0], [0, new]])
            mask = np.broadcast_to(np.arange(prompt + new) < prompt, token_ids.shape)
            inputs = {"token_ids": token_ids, "padding_mask": mask}
            outputs = lm.generate(inputs, stop_token_ids=None)
            return int(np.sum(outputs["padding_mask"])) - batch_size * prompt, None

        return Contestant(dtype, run)

    return {
        "plain": make("float32", False),
        "XLA": make("float32", True),
        "plain, bfloat16": make("bfloat16", False),
    }


def make_gpt2_config(size):
    """transformers' configuration of a size."""
    import transformers

    return transformers.GPT2Config(
        vocab_size=size.vocabulary_size,
        n_positions=size.max_sequence_length,
        n_embd=size.hidden_dim,
        n_layer=size.num_layers,
        n_head=size.num_heads,
    )


def open_transformers(size, threads):
    """transformers' GPT-2 on PyTorch."""
    import torch

    models = make_torch_models("GPT2LMHeadModel", make_gpt2_config(size), threads)

    def make(dtype, model):
        def run(batch_size, prompt, new):
            token_ids = torch.tensor(make_prompts(size, batch_size, prompt), dtype=torch.long)
            outputs = generate_with_torch(model, token_ids, new)
            return outputs.numel() - token_ids.numel(), None

        return Contestant(dtype, run)

    return {dtype: make(dtype, model) for dtype, model in models.items()}


def open_ctranslate2(size, threads):
    """CTranslate2, given a model of its own format filled with random weights."""
    vocabulary = ["<unk>", "<s>", "</s>"]
    vocabulary += [f"t{index}" for index in range(len(vocabulary), size.vocabulary_size)]
    with tempfile.TemporaryDirectory() as folder:
        _write_ctranslate2(size, vocabulary, folder)
        generators = open_ctranslate2_engines("Generator", folder, threads)

    def make(precision):
        def run(batch_size, prompt, new):
            ids = make_prompts(size, batch_size, prompt)
            results = generators[precision].generate_batch(
                [[vocabulary[index] for index in row] for row in ids],
                min_length=new,
                max_length=new,
                include_prompt_in_result=False,
            )
            return sum(len(result.sequences_ids[0]) for result in results), None

        return Contestant(precision, run)

    return {precision: make(precision) for precision in generators}


def _write_ctranslate2(size, vocabulary, folder):
    from ctranslate2.specs import common_spec, transformer_spec

    spec = transformer_spec.TransformerDecoderModelSpec.from_config(
        size.num_layers, size.num_heads, activation=common_spec.Activation.GELUTanh
    )
    decoder, hidden_dim, inner_dim = spec.decoder, size.hidden_dim, 4 * size.hidden_dim
    decoder.scale_embeddings = False
    decoder.embeddings.weight = _make_random(size.vocabulary_size, hidden_dim)
    decoder.position_encodings.encodings = _make_random(size.max_sequence_length, hidden_dim)
    decoder.projection.weight = decoder.embeddings.weight
    norms, linears = [decoder.layer_norm], []
    for layer in decoder.layer:
        norms += [layer.self_attention.layer_norm, layer.ffn.layer_norm]
        linears += [
            (layer.self_attention.linear[0], 3 * hidden_dim, hidden_dim),
            (layer.self_attention.linear[1], hidden_dim, hidden_dim),
            (layer.ffn.linear_0, inner_dim, hidden_dim),
            (layer.ffn.linear_1, hidden_dim, inner_dim),
        ]
    for norm in norms:
        norm.gamma, norm.beta = np.ones(hidden_dim, "float32"), np.zeros(hidden_dim, "float32")
    for linear, output_dim, input_dim in linears:
        linear.weight = _make_random(output_dim, input_dim)
        linear.bias = np.zeros(output_dim, "float32")
    spec.register_vocabulary(vocabulary)
    spec.config.bos_token, spec.config.eos_token, spec.config.unk_token = "<s>", "</s>", "<unk>"
    spec.validate()
    spec.optimize()
    spec.save(folder)


def open_llama_cpp(size, threads):
    """llama.cpp by its C functions, given a GGUF file without a vocabulary."""
    import gguf
    import llama_cpp

    llama_cpp.llama_backend_init()
    # Only its errors: each file opened is else described at length.
    silence = llama_cpp.llama_log_callback(lambda level, text, data: None)
    llama_cpp.llama_log_set(silence, None)

    def make(precision, kind):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "model.gguf"
            _write_gguf(size, path, kind)
            options = llama_cpp.llama_model_default_params()
            model = llama_cpp.llama_model_load_from_file(str(path).encode(), options)

        def run(batch_size, prompt, new):
            context = _open_llama_context(model, batch_size, prompt + new, prompt, threads)
            made = _run_llama(context, size, make_prompts(size, batch_size, prompt), new)
            llama_cpp.llama_free(context)
            return made, None

        # The callback must live as long as the library may call it.
        run.silence = silence
        return Contestant(precision, run)

    kinds = gguf.GGMLQuantizationType
    return {
        "float32": make("float32", kinds.F32),
        "Q8_0": make("int8", kinds.Q8_0),
        "Q4_0": make("int4", kinds.Q4_0),
    }


def _open_llama_context(model, batch_size, length, prompt, threads):
    import llama_cpp

    options = llama_cpp.llama_context_default_params()
    options.n_seq_max = batch_size
    options.n_ctx = batch_size * (-(-length // 256) * 256)
    options.n_batch = options.n_ubatch = max(batch_size * prompt, 32)
    options.n_threads = options.n_threads_batch = threads
    options.type_k = options.type_v = llama_cpp.GGML_TYPE_F32
    return llama_cpp.llama_init_from_model(model, options)


def _run_llama(context, size, prompts, new):
    """Reads the prompts, then one token a sequence and step; returns how many were chosen."""
    import llama_cpp

    batch_size, length = prompts.shape
    batch = llama_cpp.llama_batch_init(prompts.size, 0, 1)
    inputs, start, made = prompts, 0, 0
    for _ in range(new):
        count, steps = 0, inputs.shape[1]
        asked = []
        for row in range(batch_size):
            for step in range(steps):
                batch.token[count] = int(inputs[row, step])
                batch.pos[count] = start + step
                batch.n_seq_id[count] = 1
                batch.seq_id[count][0] = row
                batch.logits[count] = step == steps - 1
                count += 1
            asked.append(count - 1)
        batch.n_tokens = count
        if llama_cpp.llama_decode(context, batch) != 0:
            raise RuntimeError("llama_decode failed.")
        chosen = []
        for index in asked:
            pointer = llama_cpp.llama_get_logits_ith(context, index)
            logits = np.ctypeslib.as_array(pointer, (size.vocabulary_size,))
            chosen.append(int(np.argmax(logits)))
        made += len(chosen)
        start, inputs = start + steps, np.array(chosen)[:, None]
    llama_cpp.llama_batch_free(batch)
    return made


def _write_gguf(size, path, kind):
    import gguf

    writer = gguf.GGUFWriter(path, "gpt2")
    hidden_dim, inner_dim = size.hidden_dim, 4 * size.hidden_dim
    writer.add_context_length(size.max_sequence_length)
    writer.add_embedding_length(hidden_dim)
    writer.add_block_count(size.num_layers)
    writer.add_feed_forward_length(inner_dim)
    writer.add_head_count(size.num_heads)
    writer.add_layer_norm_eps(1e-5)
    writer.add_vocab_size(size.vocabulary_size)
    writer.add_tokenizer_model("no_vocab")

    def add_matrix(name, *shape):
        data = gguf.quants.quantize(_make_random(*shape), kind)
        writer.add_tensor(name, data, raw_dtype=kind)

    def add_vector(name, value, length):
        writer.add_tensor(name, np.full(length, value, "float32"))

    def add_norm(name):
        add_vector(f"{name}.weight", 1.0, hidden_dim)
        add_vector(f"{name}.bias", 0.0, hidden_dim)

    def add_linear(name, output_dim, input_dim):
        add_matrix(f"{name}.weight", output_dim, input_dim)
        add_vector(f"{name}.bias", 0.0, output_dim)

    add_matrix("token_embd.weight", size.vocabulary_size, hidden_dim)
    writer.add_tensor("position_embd.weight", _make_random(size.max_sequence_length, hidden_dim))
    add_norm("output_norm")
    for index in range(size.num_layers):
        add_norm(f"blk.{index}.attn_norm")
        add_linear(f"blk.{index}.attn_qkv", 3 * hidden_dim, hidden_dim)
        add_linear(f"blk.{index}.attn_output", hidden_dim, hidden_dim)
        add_norm(f"blk.{index}.ffn_norm")
        add_linear(f"blk.{index}.ffn_up", inner_dim, hidden_dim)
        add_linear(f"blk.{index}.ffn_down", hidden_dim, inner_dim)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _make_random(*shape):
    return np.random.default_rng(0).standard_normal(shape, "float32") * np.float32(0.02)
