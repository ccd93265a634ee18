"""`lmzoo demo`: the whole way from text files to a SavedModel, in a few minutes on two cores."""

import contextlib
import hashlib
import itertools
import json
import math
import pathlib
import subprocess
import sys
import sysconfig
import tempfile
import time

from lmzoo.cli.opening import import_tensorflow
from lmzoo.files import atomic_folder, check_new_folder

__all__ = ["collect_corpus", "demo"]

# A step takes a third of a second of two cores (AVX-512, bfloat16), so training takes two minutes.
_STEPS = 350
_BATCH_SIZE = 8
_SEQUENCE_LENGTH = 256
_VOCABULARY_SIZE = 4096
_SIZES = {"num_layers": 4, "num_heads": 8, "hidden_dim": 256}
_LEARNING_RATE = 2e-3

_PROMPTS = ("def main(", "This module provides", "我喜欢编程。")
_OPTIONS = {"max_new_tokens": 64, "temperature": 0.7, "top_p": 0.9}

# Tests, and files that are tables or text inside of quotes rather than code.
_LEFT_OUT = {
    "dist-packages", "encodings", "ensurepip", "idle_test", "idlelib", "lib2to3", "pydoc_data",
    "site-packages", "test", "tests", "turtledemo",
}  # fmt: skip
_HELD_OUT_SHARE = 40

# In this process importing Keras, tensorflow-text or lmzoo fails as if they were not installed.
_BARE_PROCESS = """
import importlib.util, json, sys

hidden = ("keras", "lmzoo", "tensorflow_text")
finders = list(sys.meta_path)

class Hide:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in hidden:
            return None
        found = (finder.find_spec(name, path, target) for finder in finders)
        return next((spec for spec in found if spec is not None), None)

sys.meta_path[:] = [Hide()]
import tensorflow as tf

request = json.load(sys.stdin)
loaded = tf.saved_model.load(request["folder"])
texts = loaded.signatures["serving_default"](text=tf.constant(request["texts"]))["text"]
is_bare = not any(importlib.util.find_spec(name) for name in hidden)
print(json.dumps({"texts": [text.decode("utf-8") for text in texts.numpy()], "is_bare": is_bare}))
"""


def demo(arguments):
    """Trains a model, evaluates it, completes prompts, exports it and compares the results.

    Args:
        arguments: argparse.Namespace of `lmzoo demo`.
    Returns:
        int. 0, or 1 if the exported model gave another text.
    Raises:
        FileExistsError: if the output folder has files and `--overwrite` is not given.
        FileNotFoundError: if this Python has too little source code.
        ValueError: if `--steps` is not positive.
        KeyboardInterrupt: with a message that says what is on the disk.
    """
    steps = _STEPS if arguments.steps is None else arguments.steps
    if steps < 1:
        raise ValueError(f"`--steps` must be at least 1. Received: --steps {steps}.")
    output = check_new_folder(arguments.output, arguments.overwrite)
    begun = time.monotonic()
    with _explained_interrupt(output):
        with (
            tempfile.TemporaryDirectory(prefix="lmzoo-demo-") as workspace,
            atomic_folder(output, arguments.overwrite) as new,
        ):
            lm = _train(pathlib.Path(workspace), steps, arguments.seed)
            expected = _write(lm, new, arguments.seed)
        is_same = _compare(output, expected)
    _say_what_next(output, time.monotonic() - begun)
    return 0 if is_same else 1


@contextlib.contextmanager
def _explained_interrupt(output):
    """Says on Ctrl-C whether the output folder was written."""
    existed = _stamp(output)
    try:
        yield
    except KeyboardInterrupt:
        written = _stamp(output) != existed
        state = f"{output} is complete" if written else "nothing was written"
        raise KeyboardInterrupt(f"interrupted; {state}.") from None


def _stamp(folder):
    return folder.stat().st_ino if folder.exists() else None


def _train(workspace, steps, seed):
    """A trained `CausalLM` of the standard library."""
    texts, held_out = collect_corpus(workspace)
    _say("Corpus", f"{_count(texts)} of this Python's library; {_count(held_out)} held out")
    import_tensorflow()
    import keras

    from lmzoo.data import causal_lm
    from lmzoo.models import GPTBackbone
    from lmzoo.tasks import CausalLM
    from lmzoo.tokenizers import BytePairTokenizer
    from lmzoo.training import RichProgress

    keras.utils.set_random_seed(seed)
    tokenizer = BytePairTokenizer.train(texts, _VOCABULARY_SIZE)
    sizes = {"sequence_length": _SEQUENCE_LENGTH, "batch_size": _BATCH_SIZE}
    kept = {"cache_dir": workspace / "cache", "verbose": False}
    data = causal_lm(texts, tokenizer, **sizes, **kept, seed=seed)
    validation = causal_lm(held_out, tokenizer, **sizes, **kept, shuffle=False)
    backbone = GPTBackbone(
        tokenizer.vocabulary_size,
        max_sequence_length=_SEQUENCE_LENGTH,
        dtype="mixed_bfloat16",
        **_SIZES,
    )
    lm = CausalLM(backbone, tokenizer)
    lm.compile(optimizer=_make_optimizer(lm, steps))
    _say(
        "Model",
        f"GPT of {backbone.count_params():,} parameters, {backbone.num_layers} layers, "
        f"vocabulary {tokenizer.vocabulary_size}, context {_SEQUENCE_LENGTH}",
    )
    num_bytes = _count_label_bytes(validation, lm)
    _say("Before", _evaluate(lm, validation, num_bytes))
    with RichProgress(tokens_per_step=_BATCH_SIZE * _SEQUENCE_LENGTH) as progress:
        lm.fit(data.repeat(), steps_per_epoch=steps, verbose=0, callbacks=[progress])
    _say("After", _evaluate(lm, validation, num_bytes))
    return lm


def _make_optimizer(lm, steps):
    """AdamW with linear warm-up over a tenth of the steps, then cosine decay."""
    import keras

    warmup = max(1, steps // 10)
    schedule = keras.optimizers.schedules.CosineDecay(
        _LEARNING_RATE / warmup,
        max(1, steps - warmup),
        alpha=0.02,
        warmup_target=_LEARNING_RATE,
        warmup_steps=warmup,
    )
    optimizer = keras.optimizers.AdamW(schedule, weight_decay=0.1, beta_2=0.95, global_clipnorm=1.0)
    vectors = [variable for variable in lm.trainable_variables if len(variable.shape) < 2]
    optimizer.exclude_from_weight_decay(var_list=vectors)
    return optimizer


def _evaluate(lm, validation, num_bytes):
    """str. Perplexity per token and bits per byte on the held-out files."""
    num_tokens = sum(int(labels.shape[0] * labels.shape[1]) for _, labels in validation)
    perplexity = lm.evaluate(validation, verbose=0, return_dict=True)["perplexity"]
    bits = num_tokens * math.log2(perplexity) / num_bytes
    return f"held-out perplexity {perplexity:,.1f}, {bits:.3f} bits per byte"


def _count_label_bytes(validation, lm):
    """int. The bytes of text of all labels; an end token has none."""
    import numpy as np

    from lmzoo.generation.stop_strings import find_token_bytes

    tokens = find_token_bytes(lm.tokenizer, lm.backbone.vocabulary_size)
    sizes = np.array([len(token) for token in tokens])
    return sum(int(sizes[labels.numpy()].sum()) for _, labels in validation)


def _write(lm, folder, seed):
    """Saves the model, opens it in float32, completes the prompts, and exports it.

    Returns:
        list of str. The completed prompts.
    """
    from lmzoo.hub import load

    lm.save_pretrained(folder / "model")
    lm = load(folder / "model", dtype="float32")
    options = {**_OPTIONS, "seed": seed, "jit_compile": False}
    texts = lm.generate(list(_PROMPTS), **options)
    for prompt, text in zip(_PROMPTS, texts, strict=True):
        _say("Prompt", prompt)
        print("    " + text.replace("\n", "\n    "), flush=True)
    lm.export(folder / "1", **options)
    return texts


def _compare(output, expected):
    """Runs the SavedModel in a process of its own; True if it gives the same texts."""
    request = {"folder": str((output / "1").resolve()), "texts": list(_PROMPTS)}
    bare = subprocess.run(
        [sys.executable, "-P", "-c", _BARE_PROCESS],
        input=json.dumps(request),
        capture_output=True,
        text=True,
        encoding="utf-8",
    )
    if bare.returncode:
        _say("Served", f"failed in a process with TensorFlow alone:\n{bare.stderr}")
        return False
    answer = json.loads(bare.stdout.splitlines()[-1])
    same = [one == other for one, other in zip(answer["texts"], expected, strict=True)]
    if all(same) and answer["is_bare"]:
        _say(
            "Served",
            f"the same text for {len(same)} of {len(same)} prompts, from a new process that has "
            "TensorFlow and can import neither Keras nor lmzoo",
        )
        return True
    _say("Served", f"another text for {same.count(False)} of {len(same)} prompts:")
    for text in itertools.compress(answer["texts"], [not one for one in same]):
        print("    " + text.replace("\n", "\n    "))
    return False


def _say_what_next(output, seconds):
    _say("Written", f"{output / 'model'} (opens in lmzoo and in Hugging Face transformers)")
    _say("", f"{output / '1'} (SavedModel, version 1 for TensorFlow Serving)")
    _say("Took", f"{seconds:.0f} s")
    _say("Next", f'lmzoo generate {output / "model"} "class Queue" --temperature 0.8')
    _say("", f"lmzoo info {output / 'model'}")
    _say("", f"tensorflow_model_server --model_name=demo --model_base_path={output.resolve()}")


def collect_corpus(workspace):
    """Finds the standard library's source, and writes its manual beside it as plain text.

    Only the names decide which files are held out, so every run holds out the same.

    Args:
        workspace: pathlib.Path of an empty folder.
    Returns:
        (list of path, list of path): the files to train on, the files held out.
    Raises:
        FileNotFoundError: if there are too few.
    """
    library = pathlib.Path(sysconfig.get_path("stdlib"))
    found = []
    for path in sorted(library.rglob("*.py")):
        name = path.relative_to(library)
        if not _LEFT_OUT & set(name.parts) and _is_text(path):
            found.append((name.as_posix(), path))
    found += _write_manual(workspace / "manual")
    texts = [path for name, path in found if not _is_held_out(name)]
    held_out = [path for name, path in found if _is_held_out(name)]
    if sum(path.stat().st_size for path in texts) < 1_000_000 or not held_out:
        raise FileNotFoundError(
            "The demo needs the source code of Python's standard library. Received: "
            f"{len(found)} files in {str(library)!r}. Use a Python that has it."
        )
    return texts, held_out


def _write_manual(folder):
    """The chapters of the manual that `help()` shows, as files. Yields (name, path)."""
    try:
        from pydoc_data.topics import topics
    except ImportError:
        return
    folder.mkdir()
    for topic, text in sorted(topics.items()):
        path = folder / f"{hashlib.sha256(topic.encode()).hexdigest()[:16]}.txt"
        path.write_text(text, encoding="utf-8")
        yield f"manual/{topic}", path


def _is_text(path):
    try:
        return bool(path.read_bytes().decode("utf-8").strip())
    except (OSError, UnicodeDecodeError):
        return False


def _is_held_out(name):
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8]) % _HELD_OUT_SHARE == 0


def _count(paths):
    return f"{len(paths)} files, {sum(path.stat().st_size for path in paths) / 1e6:.2f} MB"


def _say(title, text):
    print(f"{title:9}{text}", flush=True)
