"""What `lmzoo generate` and `lmzoo export` do."""

import pathlib
import sys

from lmzoo.printing import format_bytes, print_json
from lmzoo.quiet import import_tensorflow

__all__ = ["export", "generate"]

_OPTIONS = (
    "max_new_tokens temperature top_k top_p min_p repetition_penalty num_beams seed "
    "num_return_sequences"
).split()


def generate(arguments):
    """Completes the prompts and prints the results.

    Args:
        arguments: argparse.Namespace of `lmzoo generate`.
    Raises:
        ValueError: if an option is out of its range, or `--stream` is asked for more than one text.
    """
    options = _generation_options(arguments)
    prompts = _read_prompts(arguments.prompts)
    streamable = len(prompts) == 1 and not {"num_beams", "num_return_sequences"} & options.keys()
    if arguments.stream and (not streamable or arguments.json):
        raise ValueError(
            "`--stream` prints one completion as it grows. Received: "
            f"{len(prompts)} prompts, --num-beams {arguments.num_beams}, --num-return-sequences "
            f"{arguments.num_return_sequences}, --json {arguments.json}. Leave it out."
        )
    lm = _load(arguments, options)
    if not lm.is_generative:
        raise ValueError(
            "`SOURCE` must be one that generates. Received: "
            f"{arguments.source!r}, a {type(lm).__name__}."
        )
    if lm.tokenizer is None:
        raise ValueError(
            "`SOURCE` must have a tokenizer to read texts. Received: "
            f"{arguments.source!r}, which has no tokenizer.json and no vocab.json."
        )
    # The model's own defaults may ask for beams, which do not stream.
    grows = not {"num_beams", "num_return_sequences"} & lm.merge_options(options).keys()
    stream = sys.stdout.isatty() and grows if arguments.stream is None else arguments.stream
    if arguments.json:
        results, scores = lm.generate(prompts, return_prompt=False, return_scores=True, **options)
        print_json([_as_record(*row) for row in zip(prompts, results, scores, strict=True)])
    elif streamable and stream:
        for piece in lm.stream(prompts[0], return_prompt=True, **options):
            print(piece, end="", flush=True)
        print()
    else:
        results = lm.generate(prompts, **options)
        texts = [text for result in results for text in _as_list(result)]
        print(f"\n{'-' * 40}\n".join(texts))


def export(arguments):
    """Writes a SavedModel and says what it is.

    Args:
        arguments: argparse.Namespace of `lmzoo export`.
    Returns:
        int. 1 if `--check` found a difference, else 0.
    Raises:
        FileExistsError: if the folder has files and `--overwrite` is not given.
        ValueError: if an option is out of its range.
    """
    from lmzoo.files import check_new_folder

    check_new_folder(arguments.folder, arguments.overwrite)
    options = _generation_options(arguments)
    lm = _load(arguments, options)
    lm.export(
        arguments.folder,
        jit_compile=arguments.jit_compile,
        overwrite=arguments.overwrite,
        **options,
    )
    report = _describe_saved_model(pathlib.Path(arguments.folder), lm)
    if arguments.check:
        report["check"] = _check(arguments, lm, options)
    if arguments.json:
        print_json(report)
    else:
        print(f"{report['folder']}: {report['num_files']} files, {format_bytes(report['bytes'])}")
        print(f"signatures: {', '.join(report['signatures'])}")
        if arguments.check:
            _print_check(report["check"], lm.is_generative)
    return 0 if report.get("check", {"passed": True})["passed"] else 1


def _generation_options(arguments):
    """The options that were given; the others are left to the library."""
    given = {name: getattr(arguments, name, None) for name in _OPTIONS}
    given["stop_strings"] = arguments.stop
    return {name: value for name, value in given.items() if value is not None}


def _read_prompts(prompts):
    """The prompts as text, `-` replaced by what stands in standard input."""
    if prompts.count("-") > 1:
        raise ValueError("`PROMPT` may be - once. Received: - more than once.")
    return [_read_stdin() if prompt == "-" else _as_unicode(prompt) for prompt in prompts]


def _read_stdin():
    text = sys.stdin.buffer.read().decode("utf-8", errors="replace")
    # The newline that ends a file is not part of a prompt that is to be continued.
    return text.removesuffix("\n")


def _as_unicode(argument):
    """Bytes of an argument that are not UTF-8 become U+FFFD."""
    return argument.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _load(arguments, options):
    """Opens the model; what can be refused without TensorFlow or weights is refused before."""
    from lmzoo.hub import describe, find_folder

    folder = find_folder(arguments.source, arguments.revision)
    describe(folder)
    import_tensorflow()
    from lmzoo.generation import GenerationOptions
    from lmzoo.hub import load

    GenerationOptions(**options)
    return load(folder, dtype=arguments.dtype)


def _as_list(result):
    return [result] if isinstance(result, str) else result


def _as_record(prompt, results, scores):
    completions = [
        {"text": text, "score": float(score)}
        for text, score in zip(_as_list(results), scores.reshape(-1), strict=True)
    ]
    return {"prompt": prompt, "completions": completions}


def _describe_saved_model(folder, lm):
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {
        "folder": str(folder),
        "num_files": len(files),
        "bytes": sum(path.stat().st_size for path in files),
        "signatures": _name_signatures(lm),
    }


def _name_signatures(task):
    if not task.is_generative:
        return list(task.serving_functions())
    return ["tokens"] + ([] if task.tokenizer is None else ["serving_default", "generate"])


def _check(arguments, lm, options):
    from lmzoo.export import check

    chosen = ("max_new_tokens", "temperature", "top_k", "top_p", "seed", "min_p")
    fixed = {name: value for name, value in options.items() if name not in chosen}
    return check(arguments.folder, lm, verbose=False, **fixed)


def _print_check(found, generates):
    answers, number, unit = "answers", "score", ""
    if generates:
        answers, number, unit = "texts", "log-probability", " nats"
    if found["passed"]:
        print(f"check: the SavedModel gives the same {answers} as the model")
    else:
        print(f"check: failed, other {answers} for {found['different_texts']}")
    if found["largest_difference"] is not None:
        print(f"largest difference of a {number}: {found['largest_difference']:.2g}{unit}")
