"""The contestants of `litert.py`, by framework: files for a plain CPU, and those who run them.

Each opener runs in a process of its own and returns contestants. What a file needs to be made is
made in another process before, so that the one that is measured has neither TensorFlow nor PyTorch
unless its framework brings it.
"""

import json
import pathlib
import subprocess
import sys
import tempfile
import time

import encoder
import numpy as np
import seq2seq

from _harness import common, generation
from _harness.workers import Contestant

# The precisions of lmzoo's files, and what `export` calls them.
QUANTIZATIONS = {"float32": None, "int8": "int8", "int4": "int4"}


# lmzoo's files, in `lmzoo.runtime`.


def export_files(work, folder, size, context, names):
    """Writes lmzoo's files of a kind of work, where they are missing, in a child process.

    Args:
        work: str. "gpt", "t5" or "bert".
        folder: pathlib.Path.
        size: Size.
        context: int. Slots of a cache, or tokens of a text.
        names: list of str, such as "int8.tflite".
    """
    missing = [name for name in names if not (folder / name).exists()]
    if missing:
        folder.mkdir(parents=True, exist_ok=True)
        call = [sys.executable, "-m", __name__, work, folder.resolve(), context, ",".join(missing)]
        benchmarks = pathlib.Path(__file__).parents[1]
        subprocess.run(list(map(str, [*call, *size])), check=True, cwd=benchmarks)


def _export(work, folder, context, missing, *size):
    """What the child process does."""
    import lmzoo

    size, context = common.Size(*map(int, size)), int(context)
    options = {"verbose": False}
    if work == "bert":
        backbone = lmzoo.models.BertBackbone(**size._asdict())
        task = lmzoo.tasks.TextEmbedder(backbone, sequence_length=context)
        options |= {"batch_size": 8, "sequence_length": context}
    elif work == "t5":
        head_dim = size.hidden_dim // size.num_heads
        task = lmzoo.tasks.Seq2SeqLM(lmzoo.models.T5Backbone(**size.arguments, head_dim=head_dim))
        options |= {"max_sequence_length": context, "decode_windows": []}
    else:
        backbone = lmzoo.models.GPTBackbone(**size._asdict())
        task = lmzoo.tasks.CausalLM(backbone)
        # A context of 96 is for prompts of 32 tokens.
        prefill = min(context // 3, 128)
        options |= {"max_sequence_length": context, "prefill_lengths": [prefill]}
    if work == "start":
        task = lmzoo.tasks.CausalLM(backbone, train_tokenizer(size.vocabulary_size))
    for name in missing.split(","):
        precision, _, kind = name.partition(".")
        if kind == "litertlm" and task.tokenizer is None:
            text = pathlib.Path(lmzoo.__file__).read_text()
            tokenizer = lmzoo.tokenizers.BytePairTokenizer.train(iter([text]), vocabulary_size=300)
            task = lmzoo.tasks.CausalLM(backbone, tokenizer)
        task.export(pathlib.Path(folder, name), quantization=QUANTIZATIONS[precision], **options)


def train_tokenizer(vocabulary_size):
    """Byte pairs of Python's own library, as many as a model of that size has."""
    from lmzoo.cli.commands.demo import collect_corpus
    from lmzoo.tokenizers import BytePairTokenizer

    with tempfile.TemporaryDirectory() as folder:
        paths, _ = collect_corpus(pathlib.Path(folder))
        return BytePairTokenizer.train(paths, vocabulary_size=vocabulary_size)


# Without numpy's own threads, which have nothing to do here.
_START = """
import json, sys, time
times = [time.perf_counter()]
from lmzoo import runtime
times.append(time.perf_counter())
model = runtime.load(sys.argv[1], num_threads=int(sys.argv[2]))
times.append(time.perf_counter())
model.generate(sys.argv[3], max_new_tokens=1)
times.append(time.perf_counter())
status = open("/proc/self/status").read() if sys.platform == "linux" else ""
memory = [line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")]
print(json.dumps([*(b - a for a, b in zip(times, times[1:])), *(int(m) / 1e3 for m in memory)]))
"""


def measure_start(path, threads, prompt):
    """What a new process takes until a file has given its first token.

    Returns:
        dict of float: seconds of the whole process, of the import, of opening the file and of the
        first token; and the most megabytes that were resident, where the system tells.
    """
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", _START, str(path), str(threads), prompt],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        check=True,
    )
    whole = time.perf_counter() - start
    names = ("import", "open", "first token", "MB")
    return {"whole": whole, **dict(zip(names, json.loads(done.stdout), strict=False))}


def open_gpt(folder, precisions, size, threads):
    """A decoder's .tflite."""
    from lmzoo import runtime

    def make(precision):
        model = runtime.load(pathlib.Path(folder, f"{precision}.tflite"), num_threads=threads)

        def run(batch_size, prompt, new):
            rows = generation.make_prompts(size, batch_size, prompt).tolist()
            made = model.generate(rows, max_new_tokens=new, return_prompt=False)
            return sum(map(len, made))

        return Contestant(precision, run)

    return {name: make(name) for name in precisions}


def open_t5(folder, size, threads):
    """An encoder-decoder's .tflite."""
    from lmzoo import runtime

    def make(precision):
        model = runtime.load(pathlib.Path(folder, f"{precision}.tflite"), num_threads=threads)

        def run(batch_size, source, new):
            rows = seq2seq.make_sources(size, batch_size, source).tolist()
            return sum(map(len, model.generate(rows, max_new_tokens=new)))

        return Contestant(precision, run)

    return {name: make(name) for name in QUANTIZATIONS}


def open_bert(folder, size, threads):
    """An encoder's .tflite."""
    from lmzoo import runtime

    def make(precision):
        model = runtime.load(pathlib.Path(folder, f"{precision}.tflite"), num_threads=threads)

        def run(batch_size, length):
            return float(model.predict_tokens(make_texts(size, batch_size, length)).sum())

        return Contestant(precision, run)

    return {name: make(name) for name in QUANTIZATIONS}


def make_texts(size, batch_size, length):
    """Random ids, int32 (B, T), the same for every contestant."""
    return np.random.default_rng(0).integers(1, size.vocabulary_size, (batch_size, length), "int32")


def measure_own_decoding(path, threads, prompt, new, repeats):
    """The decode tokens/s of `lmzoo bench` on a file, the median of its repeats."""
    from lmzoo import runtime
    from lmzoo.runtime.measuring import measure

    model = runtime.load(path, num_threads=threads)
    return measure(model, prompt, new, repeats)["decode_tokens_per_second"]


def measure_litert_lm(path, threads, prompt, new, repeats):
    """The decode tokens/s of each run of LiteRT-LM's own benchmark on a file of lmzoo's."""
    import litert_lm

    runs = [
        litert_lm.Benchmark(
            str(path),
            litert_lm.Backend.CPU(thread_count=threads),
            prefill_tokens=prompt,
            decode_tokens=new,
        ).run()
        for _ in range(repeats + 1)
    ]
    return [run.last_decode_tokens_per_second for run in runs[1:]]


# OpenVINO: models of transformers, converted by optimum-intel or OpenVINO itself.


def _configure_openvino(precision, threads):
    options = {"INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY"}
    if precision == "float32":
        # It would compute in bfloat16 where the processor can.
        options["INFERENCE_PRECISION_HINT"] = "f32"
    return options


def _make_weight_quantizations():
    from optimum.intel import OVWeightQuantizationConfig

    return {
        "float32": None,
        "int8": OVWeightQuantizationConfig(bits=8),
        "int4": OVWeightQuantizationConfig(bits=4, sym=True, group_size=32, ratio=1.0),
    }


def open_openvino_gpt(precisions, size, threads):
    """OpenVINO GenAI, weights quantized by NNCF."""
    import openvino as ov
    import openvino_genai as genai
    import transformers
    from optimum.intel import OVModelForCausalLM

    model = transformers.GPT2LMHeadModel(generation.make_gpt2_config(size))

    def make(precision, quantization):
        with tempfile.TemporaryDirectory() as folder:
            model.save_pretrained(f"{folder}/torch")
            OVModelForCausalLM.from_pretrained(
                f"{folder}/torch",
                export=True,
                compile=False,
                quantization_config=quantization,
                load_in_8bit=False if quantization is None else None,
            ).save_pretrained(f"{folder}/openvino")
            pipeline = genai.LLMPipeline(
                f"{folder}/openvino", "CPU", **_configure_openvino(precision, threads)
            )

        def run(batch_size, prompt, new):
            ids = generation.make_prompts(size, batch_size, prompt).astype("int64")
            inputs = genai.TokenizedInputs(ov.Tensor(ids), ov.Tensor(np.ones_like(ids)))
            options = genai.GenerationConfig(
                max_new_tokens=new, min_new_tokens=new, ignore_eos=True, do_sample=False
            )
            return sum(map(len, pipeline.generate(inputs, options).tokens))

        return Contestant(precision, run)

    kinds = _make_weight_quantizations()
    return {name: make(name, kinds[name]) for name in precisions}


def open_openvino_t5(size, threads):
    """OpenVINO by optimum-intel's class for encoder-decoders."""
    import torch
    import transformers
    from optimum.intel import OVModelForSeq2SeqLM

    torch.set_num_threads(threads)
    model = transformers.T5ForConditionalGeneration(seq2seq.make_t5_config(size))

    def make(precision, quantization):
        with tempfile.TemporaryDirectory() as folder:
            model.save_pretrained(f"{folder}/torch")
            converted = OVModelForSeq2SeqLM.from_pretrained(
                f"{folder}/torch",
                export=True,
                quantization_config=quantization,
                load_in_8bit=False if quantization is None else None,
                ov_config=_configure_openvino(precision, threads),
            )
            converted.compile()
        return Contestant(precision, seq2seq.make_torch_run(converted, size))

    kinds = _make_weight_quantizations()
    return {name: make(name, kinds[name]) for name in ("float32", "int8")}


def _make_torch_bert(size):
    import torch
    import transformers

    model = transformers.BertModel(encoder.make_bert_config(size)).eval()

    class Pooled(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.model = model

        def forward(self, input_ids):
            # All tokens are real. What makes a mask of transformers 5 cannot be traced.
            hidden = self.model.embeddings(input_ids=input_ids)
            return self.model.pooler(self.model.encoder(hidden).last_hidden_state)

    return Pooled().eval()


def open_openvino_bert(size, threads):
    """OpenVINO; int8 by NNCF, which quantizes activations too and calibrates them on random ids."""
    import nncf
    import openvino as ov
    import torch

    def make_inputs(batch_size, length):
        return {"input_ids": make_texts(size, batch_size, length).astype("int64")}

    samples = make_inputs(8, size.max_sequence_length // 4)
    example = {name: torch.tensor(value) for name, value in samples.items()}
    model = ov.convert_model(_make_torch_bert(size), example_input=example)
    quantized = nncf.quantize(
        model, nncf.Dataset([samples]), model_type=nncf.ModelType.TRANSFORMER, subset_size=1
    )

    def make(precision, model):
        compiled = ov.Core().compile_model(model, "CPU", _configure_openvino(precision, threads))

        def run(batch_size, length):
            return float(compiled(make_inputs(batch_size, length))[0].sum())

        return Contestant(precision, run)

    return {"float32": make("float32", model), "int8": make("int8", quantized)}


def open_onnxruntime_bert(size, threads):
    """onnxruntime; int8 as it quantizes without calibration ("dynamic")."""
    import onnxruntime
    import torch
    from onnxruntime.quantization import QuantType, quantize_dynamic

    def make_inputs(batch_size, length):
        return {"input_ids": make_texts(size, batch_size, length).astype("int64")}

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads

    def make(precision, path):
        session = onnxruntime.InferenceSession(path, options, ["CPUExecutionProvider"])

        def run(batch_size, length):
            return float(session.run(None, make_inputs(batch_size, length))[0].sum())

        return Contestant(precision, run)

    with tempfile.TemporaryDirectory() as folder:
        paths = {name: f"{folder}/{name}.onnx" for name in ("float32", "int8")}
        inputs = make_inputs(8, size.max_sequence_length // 4)
        inputs = {name: torch.tensor(value) for name, value in inputs.items()}
        torch.onnx.export(
            _make_torch_bert(size),
            tuple(inputs.values()),
            paths["float32"],
            input_names=list(inputs),
            output_names=["pooled"],
            dynamo=False,
        )
        quantize_dynamic(paths["float32"], paths["int8"], weight_type=QuantType.QInt8)
        return {name: make(name, path) for name, path in paths.items()}


if __name__ == "__main__":
    _export(*sys.argv[1:])
