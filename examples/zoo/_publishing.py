"""Writes a model of the zoo in all its forms, with its figures and its card."""

import platform
import shutil
from typing import NamedTuple

import _forms as forms
import _zoo as zoo

import lmzoo
from lmzoo.files import atomic_folder
from lmzoo.hub.trained import list_trained
from lmzoo.json_files import write_json, write_text

MAX_BYTES = 6_000_000


class About(NamedTuple):
    """What the card of a model says in words.

    title: str. What the model does, in one line without a full stop.
    job: str. Which question it answers, and for whom.
    data: str. What it was trained on, and where that comes from.
    held_out: str. What it was measured on.
    limits: list of str. What it cannot do.
    usage: str. Lines of Python behind `model = lmzoo.load(...)`.
    text: str. What the commands of the card are tried with.
    command: str or None. The command of `lmzoo` for this task, such as "classify"; None for a model
        that plain text makes no sense to.
    license: str. Of the weights, as a model card names it.
    shown: list of (str, str). What it was asked and what it wrote, as it came.
    """

    title: str
    job: str
    data: str
    held_out: str
    limits: list
    usage: str
    text: str
    command: str
    license: str = "psf-2.0"
    shown: list = ()


def store(task, arguments):
    """Writes a trained task with weights of 16 bits, and opens it again.

    What is measured and exported after this is what is stored, not what was trained.

    Args:
        task: a trained task.
        arguments: what `_zoo.parse` gave.
    Returns:
        The task, in float32 with the stored weights.
    """
    trained, folder = arguments.folder / "trained", arguments.folder / "built" / arguments.name
    task.save_pretrained(trained, overwrite=True)
    shutil.rmtree(folder, ignore_errors=True)
    lmzoo.load(trained, dtype="float16").save_pretrained(folder)
    return lmzoo.load(folder, dtype="float32")


def publish(task, arguments, about, evaluations, sample, quantization="int8", **export_options):
    """Exports a task, scores each form on a sample, writes the card, and puts all in its place.

    Args:
        task: what `store` gave.
        arguments: what `_zoo.parse` gave.
        about: About.
        evaluations: list of `lmzoo.evaluation.Evaluation`: the model's, then its baselines'. The
            first metric of the first is the score that `lmzoo list` shows.
        sample: list of dict. Held-out rows, as `_forms.JOBS` has them for the task.
        quantization: "int8" or "int4". Of the SavedModel; the .tflite has 8 bits.
        **export_options: of `lmzoo.export.export_saved_model`.
    Raises:
        ValueError: if the files take more than 6 MB.
    """
    folder = arguments.folder / "built" / arguments.name
    task.export(folder / forms.EXPORTED, quantization="int8", overwrite=True, verbose=False)
    # What the converter reports, a speed of this machine among it.
    (folder / f"{forms.EXPORTED}.json").unlink()
    task.export(folder / "1", quantization=quantization, overwrite=True, **export_options)
    figures = {
        "task": type(task).__name__,
        "title": about.title,
        "num_parameters": task.count_params(),
        "license": about.license,
        "score": make_score(evaluations[0]),
        "evaluations": {
            one.name: {name: list_numbers(score) for name, score in one.scores.items()}
            for one in evaluations
        },
        "saved_model_bits": int(quantization.removeprefix("int")),
        "num_rows": next(iter(evaluations[0].scores.values())).num_rows,
        "training": {**zoo.sum_spent(arguments), "seed": arguments.seed, **list_versions()},
    }
    write_json(folder / forms.FIGURES, figures)
    write_json(folder / forms.SAMPLE, sample)
    figures["sample"] = {
        "metric": forms.JOBS[figures["task"]].metric,
        "num_rows": len(sample),
        **{form: round(forms.score_form(folder, form), 4) for form in forms.FORMS},
    }
    write_json(folder / forms.FIGURES, figures)
    write_text(folder / "README.md", write_card(arguments.name, about, figures))
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    if size > MAX_BYTES:
        raise ValueError(f"A model must have at most {MAX_BYTES} bytes. Received: {size}.")
    with atomic_folder(arguments.output, overwrite=True) as new:
        shutil.copytree(folder, new, dirs_exist_ok=True)
    if not arguments.smoke:
        update_page(arguments.output.parent / "README.md")
    for one in evaluations:
        print(one, flush=True)
    print(f"{arguments.output}: {size / 1e6:.1f} MB, on the sample {figures['sample']}")


def make_score(evaluation):
    name, score = next(iter(evaluation.scores.items()))
    return {"metric": name, **dict(zip(("value", "low", "high"), list_numbers(score), strict=True))}


def list_numbers(score):
    return [round(float(number), 4) for number in (score.value, score.low, score.high)]


def list_versions():
    import tensorflow as tf

    return {
        "lmzoo": lmzoo.__version__,
        "python": platform.python_version(),
        "tensorflow": tf.__version__,
    }


# The card


def write_card(name, about, figures):
    """The README.md of a model: what its figures and its About say."""
    lines = [
        "---",
        f"license: {about.license}",
        "library_name: lmzoo",
        "---",
        "",
        f"# {name}",
        "",
        f"{about.title}. {about.job}",
        "",
        "## How to use it",
        "",
        "```python",
        "import lmzoo",
        "",
        f'model = lmzoo.load("{name}")',
        *about.usage.strip().splitlines(),
        "```",
        "",
        "```sh",
        *commands_of(name, about),
        f"lmzoo serve {name}",
        "```",
        "",
        "The folder has the model in Hugging Face's layout with weights of 16 bits; in `1/` a "
        f"SavedModel with weights of {figures['saved_model_bits']} bits; in `model.tflite` a file "
        "for LiteRT with weights of 8 bits.",
        "",
        "## Held-out figures",
        "",
        f"{about.held_out} In brackets the 95 % bootstrap interval.",
        "",
        *table_of(figures["evaluations"]),
        "",
        sample_of(figures["sample"]),
        "",
        *show_texts(about.shown),
        "## Limits",
        "",
        *(f"- {limit}" for limit in about.limits),
        "",
        "## Training",
        "",
        about.data,
        "",
        *training_of(name, figures),
        "",
    ]
    return "\n".join(lines)


def commands_of(name, about):
    """The commands that take a plain text, if the model does."""
    if about.command is None:
        return []
    return [
        f'lmzoo {about.command} {name} "{about.text}"',
        f'lmzoo run {name} "{about.text}"  # its .tflite, without TensorFlow',
    ]


def table_of(evaluations):
    """The lines of a table: a row for each model, a column for each metric."""
    names = list(next(iter(evaluations.values())))
    lines = [f"| | {' | '.join(names)} |", f"|---|{'---|' * len(names)}"]
    for model, scores in evaluations.items():
        cells = (
            "{:.3f} ({:.3f} to {:.3f})".format(*scores[name]) if name in scores else ""
            for name in names
        )
        lines.append(f"| {model} | {' | '.join(cells)} |")
    return lines


def show_texts(shown):
    """The lines of a section with what a model wrote."""
    if not shown:
        return []
    lines = [
        "## What it writes",
        "",
        "The most probable text, as it comes:",
        "",
    ]
    for asked, written in shown:
        lines += ["```", *f"{asked}⟫{written}".splitlines(), "```", ""]
    return [*lines, "What stands before ⟫ was given.", ""]


def sample_of(sample):
    """What each form reaches on the sample, in a sentence."""
    return (
        f"On the {sample['num_rows']} rows of `{forms.SAMPLE}`, {sample['metric']} is "
        f"{sample['model']:.3f} for the model, {sample['saved_model']:.3f} for the SavedModel and "
        f"{sample['tflite']:.3f} for the .tflite; the tests compute these again."
    )


def training_of(name, figures):
    """What training took, as the lines of a table."""
    spent = figures["training"]
    joules = spent["joules"]
    energy = "not measured: no energy counter could be read"
    if joules is not None:
        energy = f"{joules / 3600:.1f} Wh ({spent['source']})"
    rows = {
        "parameters": f"{figures['num_parameters']:,}",
        "steps": f"{spent['steps']:,}",
        "time": f"{spent['seconds'] / 60:.1f} minutes, {spent['processor_seconds'] / 60:.1f} "
        "minutes of processor time",
        "energy": energy,
        "made by": f"`python examples/zoo/{name.replace('-', '_')}.py` with Python "
        f"{spent['python']}, TensorFlow {spent['tensorflow']} and lmzoo {spent['lmzoo']}",
        "license": f"{figures['license']}, that of the text it was trained on",
    }
    return ["| | |", "|---|---|", *(f"| {key} | {value} |" for key, value in rows.items())]


# The page of all models


def update_page(page):
    """Writes the table of `saved_models/README.md` anew, from the figures of all models.

    Args:
        page: pathlib.Path. Its table has a row for each model; the text around it stays.
    """
    if not page.exists():
        return
    lines = page.read_text(encoding="utf-8").splitlines()
    is_table = [line.startswith("|") for line in lines]
    first = is_table.index(True)
    kept = [line for line, inside in zip(lines, is_table, strict=True) if not inside]
    write_text(page, "\n".join([*kept[:first], *rows_of_page(), *kept[first:], ""]))


def rows_of_page():
    """The lines of the table: name, job, size and score of each trained model."""
    lines = ["| model | what it does | task | size | held-out score |", "|---|---|---|---|---|"]
    for name, model in list_trained().items():
        score = "{metric} {value:.3f} ({low:.3f} to {high:.3f})".format(**model.score)
        size = f"{model.num_bytes / 1e6:.1f} MB"
        lines.append(
            f"| [{name}]({name}/README.md) | {model.note} | `{model.task}` | {size} | {score} |"
        )
    return lines
