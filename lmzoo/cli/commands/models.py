"""What `lmzoo list`, `info` and `convert` do."""

import collections

from lmzoo.cli.commands.exported import describe_file, is_exported, print_file
from lmzoo.cli.opening import import_tensorflow
from lmzoo.cli.printing import format_bytes, print_json, print_rows

__all__ = ["convert", "info", "list_models"]

_MOST_NAMES = 20
_LONGEST_DEFAULT = 512
_PASSED = "passed: every tensor is mapped, every variable is set once, all values are finite"


def list_models(arguments):
    """Prints the trained models that come with lmzoo, and the published ones, by name.

    Args:
        arguments: argparse.Namespace of `lmzoo list`.
    """
    from lmzoo import zoo
    from lmzoo.hub.trained import TrainedModel

    entries = [(name, zoo.find_entry(name)) for name in zoo.names()]
    if arguments.json:
        print_json([_describe_entry(name, entry) for name, entry in entries])
        return
    trained = [pair for pair in entries if isinstance(pair[1], TrainedModel)]
    if trained:
        _print_trained(trained)
        print("\nPublished models, which are downloaded when they are opened first:")
    print(f"{'name':24} {'type':11} {'parameters':>13} {'float32':>8}  {'task':10} source")
    for name, entry in entries[len(trained) :]:
        size = format_bytes(4 * entry.num_parameters)
        note = f" ({entry.note})" if entry.note else ""
        print(
            f"{name:24} {entry.model_type:11} {entry.num_parameters:13,} {size:>8}  "
            f"{entry.task:10} {entry.source}{note}"
        )


def _print_trained(entries):
    print("Trained models, which come with lmzoo; scores are held-out, with a 95 % interval:")
    print(f"{'name':24} {'task':16} {'parameters':>10} {'size':>7}  {'score':32} what it does")
    for name, entry in entries:
        print(
            f"{name:24} {entry.task:16} {entry.num_parameters:10,} "
            f"{format_bytes(entry.num_bytes):>7}  {_format_score(entry):32} {entry.note}"
        )


def _format_score(trained):
    return "{metric} {value:.3f} ({low:.3f} to {high:.3f})".format(**trained.score)


def _describe_entry(name, entry):
    widths = {"float32": 4, "bfloat16": 2, "int8": 1}
    memory = {dtype: width * entry.num_parameters for dtype, width in widths.items()}
    return {"name": name, **entry._asdict(), "memory_bytes": memory}


def info(arguments):
    """Describes a model, with `--verify` how each of its tensors is mapped, and with `--train` the
    memory that training it takes.

    Args:
        arguments: argparse.Namespace of `lmzoo info`.
    Returns:
        int. 1 if `--verify` found something wrong, else 0.
    """
    if is_exported(arguments.source):
        return _describe_exported(arguments)
    from lmzoo.hub import describe, find_folder, verify
    from lmzoo.hub.trained import list_trained

    _check_training_options(arguments)
    source, revision = arguments.source, arguments.revision
    if arguments.verify:
        source, revision = find_folder(source, revision), None
    found = describe(source, revision)
    trained = list_trained().get(arguments.source)
    if trained is not None and trained.source == found["folder"]:
        found["note"], found["score"] = trained.note, trained.score
    if arguments.verify and found["tokenizer"]:
        # The tokenizer is opened, which imports TensorFlow.
        import_tensorflow()
    report = verify(source) if arguments.verify else None
    training = _estimate_training(arguments) if arguments.train else None
    if arguments.json:
        more = {"verification": report, "training": training}
        print_json({**found, **{name: one for name, one in more.items() if one is not None}})
    else:
        print_rows(_list_description(found))
        if "score" in found:
            print_rows([("what it does", trained.note), ("score", _format_score(trained))])
        if training is not None:
            print_rows(_list_training(training))
        if report is not None:
            print_rows(_list_verification(report))
    return 0 if report is None or report["passed"] else 1


def _describe_exported(arguments):
    for name in ("verify", "train"):
        if getattr(arguments, name):
            raise ValueError(
                f"`--{name}` must come with the folder of a model. Received: "
                f"{arguments.source!r}, an exported file."
            )
    found = describe_file(arguments.source)
    if arguments.json:
        print_json(found)
    else:
        print_file(found)
    return 0


_TRAINING_OPTIONS = ("batch_size", "sequence_length", "remat", "accumulation_steps", "dtype")


def _check_training_options(arguments):
    for name in (*_TRAINING_OPTIONS, "task", "labels"):
        if getattr(arguments, name) and not arguments.train:
            option = f"--{name.replace('_', '-')}"
            raise ValueError(f"`{option}` must come with `--train`. Received: {option} without it.")


def _estimate_training(arguments):
    """What training takes, with the choices that it is of."""
    import_tensorflow()
    from lmzoo.hub import read_outline
    from lmzoo.training import describe_batch, estimate_memory

    make = read_outline(arguments.source, arguments.revision, arguments.task)
    head = {} if arguments.labels is None else {"labels": arguments.labels}
    chosen = {
        "batch_size": 8 if arguments.batch_size is None else arguments.batch_size,
        "sequence_length": arguments.sequence_length,
        "remat": arguments.remat,
        "accumulation_steps": (
            1 if arguments.accumulation_steps is None else arguments.accumulation_steps
        ),
    }

    def make_task():
        task = make(arguments.dtype, head, remat=arguments.remat)
        chosen["precision"] = task.dtype_policy.name
        if chosen["sequence_length"] is None:
            chosen["sequence_length"] = min(_LONGEST_DEFAULT, task.backbone.max_sequence_length)
        return task

    estimate = estimate_memory(
        make_task,
        lambda task: describe_batch(task, chosen["batch_size"], chosen["sequence_length"]),
        chosen["accumulation_steps"],
    )
    return {**chosen, **estimate}


def _list_training(found):
    """The rows of `lmzoo info --train`."""
    tokens = f"{found['batch_size']} x {found['sequence_length']} tokens"
    parts = [f"in {found['accumulation_steps']} parts"] * (found["accumulation_steps"] > 1)
    how = ", ".join([found["precision"], *parts, *["with remat"] * found["remat"]])
    rows = [("training", f"{format_bytes(found['total'])} at the peak of {tokens} in {how}")]
    names = ("weights", "optimizer", "activations", "update", "process", "runtime")
    return rows + [(f"  {name}", format_bytes(found[name])) for name in names]


def _list_description(found):
    """The rows of `lmzoo info`."""
    memory = ", ".join(
        f"{format_bytes(size)} in {dtype}" for dtype, size in found["memory_bytes"].items()
    )
    tokenizer = found["tokenizer"]
    rows = {
        "folder": found["folder"],
        "family": found["family"],
        "model type": found["model_type"],
        "architecture": ", ".join(found["architectures"]) or None,
        "opens as": found["task"] or f"nothing: {found['problem']}",
        "labels": _describe_labels(found),
        "layers": found["num_layers"],
        "heads": found["num_heads"],
        "hidden size": found["hidden_dim"],
        "feed-forward size": found["intermediate_dim"],
        "context": found["max_sequence_length"] and f"{found['max_sequence_length']} tokens",
        "vocabulary": found["vocabulary_size"],
        "parameters": f"{found['num_parameters']:,} in {found['num_tensors']} tensors",
        "stored as": ", ".join(found["dtypes"]),
        "memory": memory,
        "tokenizer": tokenizer and _describe_tokenizer(**tokenizer),
        "license": found["license"],
    }
    files = [("file", f"{name}, {format_bytes(size)}") for name, size in found["files"].items()]
    return [*rows.items(), *files]


def _describe_labels(found):
    """The names of the labels, as far as they fit, or their number."""
    names = found["labels"]
    if names is None:
        return found["num_labels"]
    more = "" if len(names) <= _MOST_NAMES else f", and {len(names) - _MOST_NAMES} more"
    return f"{len(names)}: {', '.join(names[:_MOST_NAMES])}{more}"


def _describe_tokenizer(kind, vocabulary_size):
    return kind if vocabulary_size is None else f"{kind}, {vocabulary_size} tokens"


def _list_verification(report):
    """The rows of `lmzoo info --verify`."""
    used = report["num_tensors"] - len(report["ignored"]) - len(report["unexpected"])
    rows = [
        ("used", f"{used} tensors for {report['num_variables']} variables"),
        *(("tied", f"{name} is {other}") for name, other in report["tied"].items()),
    ]
    lists = collections.Counter(report["ignored"].values())
    rows += [("ignored", f"{count} tensors: {words}") for words, count in lists.items()]
    rows += [("problem", problem) for problem in report["problems"]]
    return [*rows, ("verification", _PASSED if report["passed"] else "failed")]


def convert(arguments):
    """Opens a model and writes it as `save_pretrained` does, with card, license and chat template.

    Args:
        arguments: argparse.Namespace of `lmzoo convert`.
    Raises:
        FileExistsError: if the folder has files and `--overwrite` is not given.
        ValueError: if the model does not pass verification, the folder contains the model's, or an
            option is out of its range.
    """
    from lmzoo.files import atomic_folder, check_new_folder
    from lmzoo.hub import describe, find_folder

    out = check_new_folder(arguments.folder, arguments.overwrite)
    folder = find_folder(arguments.source, arguments.revision)
    if out.resolve() in folder.resolve().parents:
        raise ValueError(
            "`OUT` must not be a folder above `SOURCE`: it is replaced, with all that is in it. "
            f"Received: OUT={str(out)!r}, SOURCE={str(folder)!r}."
        )
    describe(folder)
    import_tensorflow()
    from lmzoo.hub import load, save_pretrained, verify
    from lmzoo.hub.files.model_card import copy_documents

    # A wrong option is refused by `load` before a weight is read.
    chosen = {"task": arguments.task, "labels": arguments.labels}
    chosen = {name: value for name, value in chosen.items() if value is not None}
    task = load(folder, dtype=arguments.dtype, **chosen)
    verification = verify(folder)
    if not verification["passed"]:
        raise ValueError(
            f"`SOURCE` must pass verification. Received: {arguments.source!r}, where "
            f"{'; '.join(verification['problems'][:5])}. `lmzoo info --verify` tells all."
        )
    chosen = {} if arguments.shard_size is None else {"shard_size": arguments.shard_size}
    with atomic_folder(out, arguments.overwrite) as new:
        save_pretrained(task, new, **chosen)
        copy_documents(folder, new)
    written = describe(out)
    if arguments.json:
        print_json({"written": written, "verification": verification})
        return
    size = sum(written["files"].values())
    print(f"{written['folder']}: {written['task']}, {len(written['files'])} files, ", end="")
    print(f"{written['num_parameters']:,} parameters as {', '.join(written['dtypes'])}, ", end="")
    print(format_bytes(size))
    print_rows(_list_verification(verification))
