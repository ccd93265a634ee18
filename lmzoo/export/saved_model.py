"""One SavedModel that takes text and gives text, with nothing of ours needed to run it."""

import contextlib
import pathlib

import numpy as np
import tensorflow as tf

from lmzoo.export.compaction import compact_graph
from lmzoo.export.generative_signatures import make_generative_signatures
from lmzoo.export.quantization import quantized
from lmzoo.export.scoring import make_scoring_signatures
from lmzoo.export.self_test import find_probe, make_self_test, run_self_test
from lmzoo.export.serving_files import write_serving_files
from lmzoo.export.shared_blocks import shared_blocks
from lmzoo.export.slot_signatures import make_slot_signatures
from lmzoo.export.stored_tables import stored_tables
from lmzoo.files import atomic_folder, check_new_folder
from lmzoo.generation.pipeline import compiles

__all__ = ["check_weights", "export_saved_model", "make_signatures"]


def export_saved_model(
    task,
    folder,
    jit_compile=False,
    overwrite=False,
    return_prompt=True,
    truncate_prompts=False,
    quantization=None,
    scoring=False,
    continuous_batching=False,
    **options,
):
    """Writes tokenizer, model and what makes its answers as one SavedModel, atomically.

    The signatures of a task that reads are those of its `serving_functions`. A task that generates
    has three, with B any batch size:
        serving_default: `text` string (B,) -> `text` string (B,), `log_prob` float32 (B,). The
            options given here hold.
        generate: the same with `max_new_tokens`, `temperature`, `top_k`, `top_p` and `seed`, each
            one number or one a row. One seed gives each row its own draw, and a row with its own
            seed draws what it draws alone. Beams, if they are among
            the options given here, are not sampled: of these five they read the first alone.
        tokens: `token_ids` int32 (B, T), `padding_mask` bool (B, T) -> `token_ids` int32 (B, N)
            and `padding_mask` bool (B, N), the new tokens; `log_prob` float32 (B,). Each row has at
            least one token, and its padding may be anywhere. A `Seq2SeqLM` takes its sources as it
            was trained on them: with their end token, and with what `prefix` became.
    Each has `self_test` too, without inputs -> `passed` bool (): whether some texts still get what
    they got when the model was exported. Beside the graph lie warm-up records for TensorFlow
    Serving, in assets.extra, and a card, README.md.
    A request that does not fit the model is refused in words: other shapes, ids outside the
    vocabulary, texts beyond the context. One that the model has no finite scores for is too.
    `log_prob` is the sum of the model's log-probabilities of the new tokens. A process that loads
    the folder needs tensorflow alone, as there are no other ops than its own; with a
    SentencePieceTokenizer also tensorflow-text, whose ops TensorFlow Serving has. No text that is
    sent to it becomes a special token. oneDNN keeps a compiled product for each shape that it has
    met, up to some hundred: a process that serves many lengths grows by tens of MB at first and
    then stays; with `TF_ENABLE_ONEDNN_OPTS=0` it does not grow.

    Args:
        task: a task of `lmzoo.tasks`. Without a tokenizer there is only the signature `tokens`.
        folder: str or path. New or empty, unless `overwrite`. TensorFlow Serving wants a version
            number as its last part, such as "saved_models/gpt/1".
        jit_compile: bool or "auto". For a task that generates. If True, XLA compiles the decode
            loop: faster, but every new pair of length buckets waits for its compilation, and a
            stock TensorFlow Serving refuses it unless started with
            `--xla_cpu_compilation_enabled`. "auto" is what `generate` would do on this machine.
        overwrite: bool. If True, an existing folder is replaced.
        return_prompt: bool. For a task that generates. Whether a text begins with its prompt.
        truncate_prompts: bool. For a task that generates. If True, a text that is longer than the
            context loses tokens on its left, until half of the context, or less where fewer tokens
            are asked for, is free. A start token and a `prefix` stay. If False, such a text is an
            error that names its row, and its whole batch is refused.
        quantization: "int8", "int4" or None for the weights as they are. The files are a quarter or
            a sixth of the size, and so is the memory between requests. With `jit_compile=True` an
            int8 file decodes faster than float32, about twice for one text, as each step reads the
            integers. In other forms a request of a task that generates first expands the weights
            to float32 and takes that memory while it runs. int4 gains nothing from XLA: one text
            takes four times as long as in float32.
        scoring: bool. For a task that generates. If True, it has the signatures `tokenize` and
            `score` too, with which `lmzoo.evaluation` scores texts; see `lmzoo.export.scoring`.
        continuous_batching: bool. For a `CausalLM` with a tokenizer. If True, the signatures
            `encode`, `start`, `advance` and `decode` are added, with which `lmzoo serve` lets
            prompts join and leave a running batch; see `lmzoo.export.slot_signatures`.
        **options: for a task that generates, of `lmzoo.generation.GenerationOptions`. One that is
            not given is that of its `generation_defaults`. Without a `seed` it is 0.
    Raises:
        FileExistsError: if `folder` has files and `overwrite` is False.
        TypeError: if a task that does not generate gets an option of generation.
        ValueError: if an option is out of its range, has a number for each prompt, or asks for more
            than one result a prompt, a weight is not finite, or the task cannot have the
            quantization.
    """
    check_new_folder(folder, overwrite)
    check_weights(task)
    with contextlib.ExitStack() as stack:
        unused = stack.enter_context(quantized(task, quantization))
        tables = stack.enter_context(stored_tables(task))
        is_compiled = task.is_generative and compiles(task, jit_compile)
        # XLA has forms of its own for the products of a step, and compiles all blocks at once.
        if not is_compiled:
            stack.enter_context(shared_blocks())
        if scoring and not task.is_generative:
            options["scoring"] = True
        module, signatures = make_signatures(
            task, jit_compile, return_prompt, truncate_prompts, continuous_batching, **options
        )
        if scoring and task.is_generative:
            signatures |= make_scoring_signatures(task)
        weights = _list_weights(module.weights, task.get_scored_model(), unused)
        # As TensorFlow's own: of a Keras variable a copy would be written, and a program that loads
        # the graph alone, such as TensorFlow Serving, would fill that and not what functions read.
        module.weights = [weight.value for weight in weights]
        probe, inputs = find_probe(task, signatures)
        probed = signatures
        if probe == "generate" and is_compiled:
            # A self-test must not wait for XLA, nor be refused by a server that has it off.
            _, probed = make_signatures(task, False, return_prompt, truncate_prompts, **options)
        # A model without finite scores answers nobody, and so it has no self-test.
        with contextlib.suppress(tf.errors.InvalidArgumentError):
            signatures["self_test"] = make_self_test(task, probed[probe], inputs)
        requests = _list_warmup(signatures, probe, inputs)
        # To save is a context of its own, in which TensorFlow traces a tf.function again. So the
        # module has none as an attribute: it would be saved beside its signature.
        traced = {name: each.get_concrete_function() for name, each in signatures.items()}
        tables.drop_unused(traced.values())
        name = pathlib.Path(folder).resolve().parent.name
        with atomic_folder(folder, overwrite) as new:
            # Nobody trains it. The gradients that functions bring along, as silu does, would refer
            # to nodes by names that `compact_graph` shortens.
            how = tf.saved_model.SaveOptions(experimental_custom_gradients=False)
            tf.saved_model.save(module, str(new), signatures=traced, options=how)
            compact_graph(new)
            write_serving_files(new, task, signatures, requests, name, quantization)
            mode = task.get_scored_model().quantization
            if mode is not None and run_self_test(new) is False:
                raise ValueError(
                    "A quantized SavedModel must give what the quantized task gives. Received: "
                    f"other outputs, in {mode}."
                )


def _list_warmup(signatures, probe, inputs):
    """Requests of one row and of several, for each signature that takes what the probe takes."""
    requests = [(probe, inputs)]
    if probe == "generate":
        requests.append(("serving_default", {"text": inputs["text"]}))
    if all(np.ndim(value) <= 1 for value in inputs.values()):
        for name, values in list(requests):
            one = {key: value[:1] if value.ndim else value for key, value in values.items()}
            requests.append((name, one))
    return requests


def make_signatures(
    task,
    jit_compile=False,
    return_prompt=True,
    truncate_prompts=False,
    continuous_batching=False,
    **options,
):
    """The functions that are exported, without writing them.

    Args:
        task, jit_compile, return_prompt, truncate_prompts, continuous_batching, **options: as for
            `export_saved_model`.
    Returns:
        (tf.Module, dict of name to tf.function): the module holds what the functions read.
    Raises:
        TypeError, ValueError: as `export_saved_model`.
    """
    if task.is_generative:
        jit_compile = compiles(task, jit_compile)
        module, signatures = make_generative_signatures(
            task, jit_compile, return_prompt, truncate_prompts, options
        )
        if continuous_batching:
            signatures |= make_slot_signatures(task, options)
        return module, signatures
    if continuous_batching:
        options["continuous_batching"] = True
    return _make_reader(task, jit_compile, truncate_prompts, options)


def _list_weights(weights, task, unused):
    """The weights that functions of a task read: without those that are quantized meanwhile."""
    unused = {id(weight) for weight in unused}
    found = {id(weight): weight for weight in weights if id(weight) not in unused}
    for matrix in task.quantized_matrices:
        found |= {id(variable): variable for variable in matrix.variables}
    return list(found.values())


def _make_reader(task, jit_compile, truncate_prompts, options):
    """The module and the functions of a task that answers in labels, spans or vectors."""
    if jit_compile:
        options["jit_compile"] = True
    if truncate_prompts:
        options["truncate_prompts"] = True
    if options:
        raise TypeError(
            f"{type(task).__name__} does not generate, so it is exported without options. "
            f"Received: {', '.join(options)}."
        )
    module = tf.Module()
    module.weights = list(task.weights)
    module.tokenizer = task.tokenizer
    return module, task.serving_functions()


def check_weights(task):
    """Raises ValueError if a weight of a task is NaN or infinite."""
    for weight in task.weights:
        if weight.dtype.startswith(("float", "bfloat")):
            if not tf.reduce_all(tf.math.is_finite(weight.value)):
                raise ValueError(
                    "Weights must be finite in an exported model. Received: NaN or infinity in "
                    f"{weight.path!r}."
                )
