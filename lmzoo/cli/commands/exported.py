"""What `lmzoo run`, `lmzoo bench` and `lmzoo info` do with an exported file."""

import atexit
import os
import time

from lmzoo.cli.opening import list_generation_options, read_texts
from lmzoo.cli.printing import format_bytes, print_json, print_rows

__all__ = ["bench", "describe_file", "is_exported", "print_file", "run"]

_SUFFIXES = (".tflite", ".litertlm")
# The method of each task, and what it is called with.
_METHODS = {
    "TextClassifier": "classify",
    "TextRegressor": "score",
    "TokenClassifier": "tag",
    "TextEmbedder": "embed",
    "MaskedLM": "fill",
}
_TOP_K = ("TextClassifier", "MaskedLM", "ZeroShotClassifier")


def run(arguments):
    """Runs an exported file on texts and prints the results.

    Args:
        arguments: argparse.Namespace of `lmzoo run`.
    Raises:
        ValueError: if an option is not for the task of the file, or as the task's methods.
    """
    options = list_generation_options(arguments)
    texts = read_texts(arguments.texts or ["-"])
    model = _load(arguments)
    is_generative = model.task in ("CausalLM", "Seq2SeqLM")
    _check_options(arguments, model, is_generative, options)
    if is_generative:
        _generate(arguments, model, texts, options)
        return
    results = _predict(arguments, model, texts)
    if arguments.json:
        print_json([{"text": t, "result": r} for t, r in zip(texts, results, strict=True)])
        return
    for result in results:
        print_rows(_list_result(result))


def _load(arguments):
    from lmzoo import runtime

    # LiteRT says goodbye on the standard error stream, when all is over.
    atexit.register(lambda: os.dup2(os.open(os.devnull, os.O_WRONLY), 2))
    return runtime.load(_find_file(arguments.file), arguments.threads)


def _find_file(given):
    """The path of FILE, which may be the name of a trained model."""
    from lmzoo.hub.trained import EXPORTED, find_trained

    folder = None if os.path.exists(given) else find_trained(given)
    return given if folder is None else str(folder / EXPORTED)


def _check_options(arguments, model, is_generative, options):
    """Refuses options that the task of the file would not read."""
    given = {f"--{name.replace('_', '-')}": True for name in options if name != "top_k"}
    given["--stop"] = given.pop("--stop-strings", False)
    given["--top-k"] = arguments.top_k is not None and not is_generative
    given["--context"] = arguments.context is not None
    given["--candidate-labels"] = arguments.candidate_labels is not None
    allowed = set(given) if is_generative else set()
    allowed -= {"--context", "--candidate-labels"}
    allowed |= {"--top-k"} if model.task in _TOP_K else set()
    needed = {"QuestionAnswerer": "--context", "ZeroShotClassifier": "--candidate-labels"}
    allowed |= {needed.get(model.task)}
    for name in given:
        if given[name] and name not in allowed:
            raise ValueError(
                f"`{name}` must come with a file that reads it. Received: {arguments.file!r}, a "
                f"{model.task}."
            )
    name = needed.get(model.task)
    if name is not None and not given[name]:
        raise ValueError(f"`{name}` must be given for a {model.task}. Received: none.")


def _generate(arguments, model, prompts, options):
    if arguments.json:
        results, scores = model.generate(
            prompts, return_prompt=False, return_scores=True, **options
        )
        print_json(
            [
                {"prompt": prompt, "text": text, "score": float(score)}
                for prompt, text, score in zip(prompts, results, scores, strict=True)
            ]
        )
        return
    for index, prompt in enumerate(prompts):
        if index:
            print("-" * 40)
        for piece in model.stream(prompt, return_prompt=True, **options):
            print(piece, end="", flush=True)
        print()


def _predict(arguments, model, texts):
    """One result for each text, of Python's own types."""
    options = {} if arguments.top_k is None else {"top_k": arguments.top_k}
    if model.task == "QuestionAnswerer":
        return model.answer(texts, [arguments.context] * len(texts))
    if model.task == "ZeroShotClassifier":
        return model.classify(texts, arguments.candidate_labels, **options)
    results = getattr(model, _METHODS[model.task])(texts, **options)
    return results.tolist() if hasattr(results, "tolist") else results


def _list_result(result):
    """A result as rows of (name, value)."""
    if isinstance(result, dict):
        score = f"{result['score']:.4f}"
        if "label" in result and "text" in result:
            return [(result["label"], f"{result['text']}  {score}")]
        name = result.get("label", result.get("token", result.get("answer")))
        return [(str(name), score)]
    if isinstance(result, list) and result and isinstance(result[0], list | dict):
        return [row for each in result for row in _list_result(each)]
    if isinstance(result, list):
        return [("", " ".join(f"{number:.5g}" for number in result))]
    return [("", f"{result:.5g}")]


def bench(arguments):
    """Measures an exported file on this machine.

    Args:
        arguments: argparse.Namespace of `lmzoo bench`.
    Raises:
        ValueError: if a number is out of its range.
    """
    from lmzoo.runtime.measuring import measure, read_peak_memory

    for name in ("prompt_tokens", "new_tokens", "repeats"):
        if (value := getattr(arguments, name)) < 1:
            option = name.replace("_", "-")
            raise ValueError(f"`--{option}` must be positive. Received: --{option} {value}.")
    start = time.perf_counter()
    model = _load(arguments)
    loaded = time.perf_counter() - start
    measured = measure(model, arguments.prompt_tokens, arguments.new_tokens, arguments.repeats)
    report = {
        "file": str(model.file.path),
        "task": model.task,
        "quantization": model.manifest.quantization,
        "threads": model.num_threads,
        "load_seconds": loaded,
        **measured,
        "peak_memory_bytes": read_peak_memory(),
    }
    if arguments.json:
        print_json(report)
        return
    rows = {name.replace("_", " "): value for name, value in report.items()}
    rows["peak memory"] = format_bytes(rows.pop("peak memory bytes"))
    print_rows((n, f"{v:.4g}" if isinstance(v, float) else v) for n, v in rows.items())


def is_exported(source):
    """Whether a SOURCE is an exported file."""
    return source.endswith(_SUFFIXES)


def describe_file(path):
    """What an exported file holds; nothing of its model is read.

    Args:
        path: str.
    Returns:
        dict.
    Raises:
        FileNotFoundError, ValueError: as `lmzoo.runtime.open_model_file`.
    """
    from lmzoo.runtime import open_model_file

    file = open_model_file(path)
    manifest, spec = file.manifest, file.manifest.tokenizer
    return {
        "file": str(file.path),
        "kind": file.kind,
        "task": manifest.task,
        "lmzoo_version": manifest.lmzoo_version,
        "quantization": manifest.quantization,
        "num_parameters": manifest.parameters,
        "bytes": file.num_bytes,
        "bytes_per_parameter": file.num_bytes / max(manifest.parameters, 1),
        "model_bytes": len(file.model),
        "tokenizer_bytes": len(file.tokenizer or b""),
        "vocabulary_size": manifest.vocabulary_size,
        "max_sequence_length": manifest.max_sequence_length,
        "tokenizer": None
        if spec is None
        else {"kind": spec.kind, "file": spec.file, "vocabulary_size": spec.vocabulary_size},
        "task_options": manifest.task_options,
        "end_token_ids": list(manifest.end_token_ids),
        "generation_defaults": manifest.generation_defaults,
        "signatures": {
            name: {
                side: {key: [spec.dtype, *spec.shape] for key, spec in specs.items()}
                for side, specs in zip(("inputs", "outputs"), sides, strict=True)
            }
            for name, sides in file.signatures.items()
        },
    }


def print_file(found):
    """Prints what `describe_file` gives."""
    tokenizer = found["tokenizer"]
    rows = {
        "file": f"{found['file']}, {format_bytes(found['bytes'])}",
        "kind": found["kind"],
        "task": found["task"],
        "written by": f"lmzoo {found['lmzoo_version']}",
        "quantization": found["quantization"],
        "parameters": f"{found['num_parameters']:,}, {found['bytes_per_parameter']:.3f} bytes each",
        "model": format_bytes(found["model_bytes"]),
        "context": f"{found['max_sequence_length']} tokens",
        "vocabulary": found["vocabulary_size"],
        "tokenizer": tokenizer
        and f"{tokenizer['kind']}, {tokenizer['vocabulary_size']} tokens, "
        f"{format_bytes(found['tokenizer_bytes'])}",
        **{name.replace("_", " "): value for name, value in found["task_options"].items()},
    }
    if found["generation_defaults"]:
        defaults = (f"{name}={value}" for name, value in found["generation_defaults"].items())
        rows["defaults"] = ", ".join(defaults)
    print_rows(rows.items())
    for name, sides in sorted(found["signatures"].items()):
        print_rows(
            [
                (
                    "signature",
                    f"{name}: {_describe_side(sides['inputs'])} -> "
                    f"{_describe_side(sides['outputs'])}",
                )
            ]
        )


def _describe_side(tensors):
    """Tensors in a line; the caches of all layers are one."""
    caches = [name for name in tensors if "_cache_" in name or name.startswith("cross_")]
    parts = [
        f"{name} {dtype} {tuple(shape)}"
        for name, (dtype, *shape) in tensors.items()
        if name not in caches
    ]
    if caches:
        dtype, *shape = tensors[caches[0]]
        parts.append(f"{len(caches)} caches {dtype} {tuple(shape)}")
    return ", ".join(parts)
