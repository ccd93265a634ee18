"""How fast lmzoo answers texts with a model of T5's size, beside other libraries.

Every contestant runs a model of T5-small's size with random weights over sources of 64 tokens and
takes the likeliest token, always 64 of them. Each framework lives in a process of its own, has the
same threads, and takes its turn in every round; the first call of each is not counted.

    python examples/benchmarks/seq2seq.py --only lmzoo,kerashub --json seq2seq.json
"""

import tempfile

import numpy as np
from _harness import common
from _harness.common import make_saved, set_tensorflow_threads
from _harness.workers import Contestant, open_workers

REFERENCE = ("kerashub", None)
# T5's padding, which the decoder starts with.
PAD = 0


def main():
    families = {
        "lmzoo": open_lmzoo,
        "kerashub": open_kerashub,
        "transformers": open_transformers,
        "ctranslate2": open_ctranslate2,
    }
    parser = common.make_parser(__doc__.partition("\n")[0])
    parser.set_defaults(layers=6, hidden=512, heads=8, vocabulary=32128)
    parser.add_argument("--source", type=int, default=64, metavar="N", help="tokens")
    parser.add_argument("--new", type=int, default=64, metavar="N", help="tokens")
    parser.add_argument("--batches", default="1,8", metavar="N,N")
    arguments, data = common.start(parser, families)
    if arguments.smoke:
        arguments.source, arguments.new = 8, 8
    new, rounds = arguments.new, arguments.repeats + 1
    with open_workers(arguments.families, arguments.size, arguments.threads) as workers:
        for batch_size in map(int, arguments.batches.split(",")):
            num_tokens = batch_size * new
            data["rows"] += common.compare(
                workers,
                f"batch {batch_size}, source {arguments.source}, {new} new tokens",
                [(batch_size, arguments.source, new)] * rounds,
                REFERENCE,
                ("tokens", num_tokens),
                lambda row, expected=num_tokens: common.check_equal(row["results"], expected),
                batch_size=batch_size,
            )
        lengths = (arguments.source, 4 * arguments.source)
        own = {family: each for family, each in workers.items() if family == "lmzoo"}
        data["sources"] = common.measure_token_cost(own, "sources", lengths, new, rounds)
    common.finish(arguments, data)


def make_sources(size, batch_size, length):
    """Random ids, int32 (B, S), the same for every contestant."""
    return np.random.default_rng(0).integers(2, size.vocabulary_size, (batch_size, length), "int32")


def open_lmzoo(size, threads):
    """lmzoo: `generate`, and the same model as a SavedModel, both plain and compiled by XLA."""
    set_tensorflow_threads(threads)

    import lmzoo

    backbone = lmzoo.models.T5Backbone(
        **size.arguments, head_dim=size.hidden_dim // size.num_heads, dtype="float32"
    )
    lm = lmzoo.tasks.Seq2SeqLM(backbone)

    def make_generate(jit_compile):
        def run(batch_size, source, new):
            sources = make_sources(size, batch_size, source).tolist()
            rows = lm.generate(sources, max_new_tokens=new, jit_compile=jit_compile)
            return sum(map(len, rows))

        return Contestant("float32", run)

    def serve(jit_compile):
        call = make_saved(lm, jit_compile)

        def run(batch_size, source, new):
            return call(make_sources(size, batch_size, source), new)

        return Contestant("float32", run)

    return {
        "generate, XLA": make_generate(True),
        "generate, plain": make_generate(False),
        "SavedModel": serve(False),
        "SavedModel, XLA": serve(True),
    }


def open_kerashub(size, threads):
    """KerasHub's T5 without a preprocessor, fed with dense ids."""
    set_tensorflow_threads(threads)
    import keras_hub

    def make(dtype, jit_compile):
        backbone = keras_hub.models.T5Backbone(
            **size.arguments,
            activation="relu",
            use_gated_activation=False,
            tie_embedding_weights=True,
            dtype=dtype,
        )
        lm = keras_hub.models.T5Seq2SeqLM(backbone, preprocessor=None)
        lm.compile(sampler="greedy", jit_compile=jit_compile)

        def run(batch_size, source, new):
            token_ids = make_sources(size, batch_size, source)
            started = np.broadcast_to(np.arange(new + 1) < 1, (batch_size, new + 1))
            outputs = lm.generate(
                {
                    "encoder_token_ids": token_ids,
                    "encoder_padding_mask": np.ones_like(token_ids),
                    "decoder_token_ids": np.full((batch_size, new + 1), PAD, "int32"),
                    "decoder_padding_mask": started.astype("int32"),
                },
                stop_token_ids=None,
            )
            return int(np.sum(outputs["decoder_padding_mask"])) - batch_size

        return Contestant(dtype, run)

    return {
        "plain": make("float32", False),
        "XLA": make("float32", True),
        "plain, bfloat16": make("bfloat16", False),
        "XLA, bfloat16": make("bfloat16", True),
    }


def open_transformers(size, threads):
    """transformers' T5 on PyTorch."""
    models = common.make_torch_models("T5ForConditionalGeneration", make_t5_config(size), threads)
    return {
        dtype: Contestant(dtype, make_torch_run(model, size)) for dtype, model in models.items()
    }


def make_torch_run(model, size):
    """The `run` of a model that has the methods of transformers' T5."""
    import torch

    def run(batch_size, source, new):
        token_ids = torch.tensor(make_sources(size, batch_size, source), dtype=torch.long)
        return common.generate_with_torch(model, token_ids, new, PAD).numel() - batch_size

    return run


def make_t5_config(size):
    """transformers' configuration of a size."""
    import transformers

    return transformers.T5Config(
        vocab_size=size.vocabulary_size,
        d_model=size.hidden_dim,
        d_kv=size.hidden_dim // size.num_heads,
        d_ff=4 * size.hidden_dim,
        num_layers=size.num_layers,
        num_heads=size.num_heads,
        decoder_start_token_id=PAD,
    )


def open_ctranslate2(size, threads):
    """CTranslate2, which converts a folder that transformers has written."""
    import torch  # noqa: F401
    import transformers

    transformers.logging.set_verbosity_error()
    config = make_t5_config(size)
    vocabulary = ["<pad>", "</s>", "<unk>"]
    vocabulary += [f"t{index}" for index in range(len(vocabulary), size.vocabulary_size)]
    with tempfile.TemporaryDirectory() as folder:
        _write_ctranslate2(transformers.T5ForConditionalGeneration(config), vocabulary, folder)
        translators = common.open_ctranslate2_engines("Translator", folder, threads)

    def make(precision):
        def run(batch_size, source, new):
            results = translators[precision].translate_batch(
                [
                    [vocabulary[index] for index in row]
                    for row in make_sources(size, batch_size, source)
                ],
                beam_size=1,
                min_decoding_length=new,
                max_decoding_length=new,
            )
            return sum(len(result.hypotheses[0]) for result in results)

        return Contestant(precision, run)

    return {precision: make(precision) for precision in translators}


def _write_ctranslate2(model, vocabulary, folder):
    from ctranslate2.converters.transformers import T5Loader

    loader = T5Loader()
    spec = loader.get_model_spec(model)
    spec.register_source_vocabulary(vocabulary)
    spec.register_target_vocabulary(vocabulary)
    spec.config.bos_token, spec.config.eos_token, spec.config.unk_token = "<pad>", "</s>", "<unk>"
    spec.config.decoder_start_token = "<pad>"
    spec.validate()
    spec.optimize()
    spec.save(folder)


if __name__ == "__main__":
    main()
