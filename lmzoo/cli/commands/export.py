"""What `lmzoo export` does."""

import pathlib

from lmzoo.cli.opening import list_generation_options, open_task
from lmzoo.cli.printing import format_bytes, print_json

__all__ = ["export"]

_SLOT_SIGNATURES = ("encode", "start", "advance", "decode")


def export(arguments):
    """Writes a SavedModel, or a file for LiteRT, and says what it is.

    Args:
        arguments: argparse.Namespace of `lmzoo export`.
    Returns:
        int. 1 if `--check` found a difference, else 0.
    Raises:
        FileExistsError: if OUT exists and `--overwrite` is not given.
        ValueError: if an option is out of its range, or is not for this kind of OUT.
    """
    from lmzoo.files import check_new_folder

    if arguments.folder.endswith((".tflite", ".litertlm")):
        return _export_litert(arguments)
    if arguments.quantization == "float16":
        raise ValueError(
            "`--quantization float16` must come with an OUT that ends in .tflite or .litertlm. "
            f"Received: {arguments.folder!r}."
        )
    check_new_folder(arguments.folder, arguments.overwrite)
    options = list_generation_options(arguments)
    lm = open_task(arguments, options)
    if arguments.quantization is not None:
        # In memory, so that `--check` compares the same weights.
        lm.quantize(arguments.quantization)
    if arguments.continuous_batching:
        options["continuous_batching"] = True
    lm.export(
        arguments.folder,
        jit_compile=arguments.jit_compile,
        truncate_prompts=arguments.truncate_prompts,
        scoring=arguments.scoring,
        overwrite=arguments.overwrite,
        **options,
    )
    names = _name_signatures(lm, arguments.continuous_batching, arguments.scoring)
    report = _describe_saved_model(pathlib.Path(arguments.folder), names)
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


def _export_litert(arguments):
    for name in ("check", "jit_compile", "scoring", "truncate_prompts", "continuous_batching"):
        if getattr(arguments, name):
            raise ValueError(
                f"`--{name.replace('_', '-')}` must come with the folder of a SavedModel. "
                f"Received: {arguments.folder!r}."
            )
    options = list_generation_options(arguments)
    # The kernels compute in float32, whatever the checkpoint is stored in.
    arguments.dtype = arguments.dtype or "float32"
    report = open_task(arguments, options).export(
        arguments.folder,
        quantization=arguments.quantization,
        overwrite=arguments.overwrite,
        verbose=not arguments.json,
        **options,
    )
    if arguments.json:
        print_json(report)
    return 0


def _describe_saved_model(folder, signatures):
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {
        "folder": str(folder),
        "num_files": len(files),
        "bytes": sum(path.stat().st_size for path in files),
        "signatures": signatures,
    }


def _name_signatures(task, has_slots, has_scoring):
    if not task.is_generative:
        return [*task.serving_functions(), "self_test"]
    names = ["tokens"] + ([] if task.tokenizer is None else ["serving_default", "generate"])
    names += [*(_SLOT_SIGNATURES if has_slots else ()), *(("tokenize", "score") * has_scoring)]
    return [*names, "self_test"]


def _check(arguments, lm, options):
    from lmzoo.export import check

    chosen = ("max_new_tokens", "temperature", "top_k", "top_p", "seed", "min_p")
    chosen += ("continuous_batching",)
    fixed = {name: value for name, value in options.items() if name not in chosen}
    return check(arguments.folder, lm, verbose=False, **fixed)


def _print_check(found, generates):
    outputs, number, unit = "predictions", "score", ""
    if generates:
        outputs, number, unit = "texts", "log-probability", " nats"
    if found["passed"]:
        print(f"check: the SavedModel gives the same {outputs} as the model")
    else:
        print(f"check: failed, other {outputs} for {found['different_texts']}")
    if found["largest_difference"] is not None:
        print(f"largest difference of a {number}: {found['largest_difference']:.2g}{unit}")
