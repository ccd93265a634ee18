"""The examples run, print their figures beside baselines, and go on from their folders."""

import csv
import json
import math
import os
import pathlib
import re
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[2]
FOLDER = ROOT / "examples"

# What each of them prints: tables with how many columns, and in each table who is measured.
FIGURES = {
    "pretrain_bert.py": [(1, ["BERT", "LSTM", "most frequent next token", "most frequent token"])],
    "classify_docstrings.py": [(2, ["BERT", "LSTM", "bag of words", "most frequent class"])],
    "tag_source.py": [(7, ["BERT", "LSTM", "most frequent tag of the word"])],
    "sentiment.py": [(2, ["BERT", "LSTM", "bag of words", "most frequent label"])] * 2,
    "search_docstrings.py": [(2, ["embedder", "LSTM", "TF-IDF", "guessing"])],
    "pretrain_t5.py": [(1, ["T5", "LSTM", "most frequent next token", "most frequent token"])],
    "summarize_docstrings.py": [(3, ["T5", "LSTM", "lead sentence", "one line for all"])],
    "translate_numbers.py": [(7, ["T5", "LSTM", "word for word"])] * 2,
    "answer_questions.py": [
        (5, ["T5", "LSTM", "last word about the person", "most frequent answer"])
    ],
    "explain_decision.py": [
        (3, ["integrated gradients", "attention rollout", "random words"]),
    ],
    "moderate_comments.py": [(4, ["BERT", "LSTM", "bag of words", "word list", "BERT at 0.5"])] * 2,
    "extract_entities.py": [(5, ["BERT", "LSTM", "gazetteer and patterns"])],
    "zero_shot.py": [
        (
            2,
            [
                "GPT",
                "embedder",
                "LSTM embedder",
                "words in common",
                "most frequent subject",
                "guessing",
            ],
        )
    ],
    "complete_code.py": [(2, ["GPT", "LSTM", "Kneser-Ney 5-grams"])],
    "dialogue.py": [(3, ["GPT", "GPT without history", "LSTM", "nearest question"])],
    "write_chinese.py": [
        (1, ["GPT", "LSTM", "Kneser-Ney"]),
        (5, ["GPT", "LSTM", "Kneser-Ney", "held-out texts"]),
    ],
    "one_decoder.py": [
        (1, ["GPT, pretrained", "GPT, fine-tuned too", "LSTM", "Kneser-Ney"]),
        (2, ["GPT, pretrained", "GPT, fresh", "LSTM", "bag of words", "most frequent class"]),
    ],
    "encoder_decoder_in_keras.py": [
        (3, ["with word vectors", "without", "LSTM", "lead sentence", "one line for all"])
    ],
    "masked_and_causal.py": [
        (
            2,
            [
                *("BERT, pretrained", "BERT, fresh", "GPT, pretrained", "GPT, fresh"),
                *("LSTM", "bag of words"),
            ],
        ),
        (5, ["GPT", "LSTM", "Kneser-Ney", "BERT", "held-out texts"]),
    ],
}
# Lengths and bits per byte are above 1.
HIGHEST = {"write_chinese.py": 100, "one_decoder.py": 100, "masked_and_causal.py": 100}
# Each takes a minute: one by default, the others are slow tests.
QUICK = ("sentiment.py",)
# Their baselines that scikit-learn computes.
LEARNED_ELSEWHERE = {"bag of words", "TF-IDF"}
LAST_LINES = {
    "pretrain_bert.py": r"If the argument is \[MASK\], .* -> \S+ [01]\.\d\d, \S+ .*, \S+ .*",
    "classify_docstrings.py": r"Send the request .* -> (email|http|logging|unittest) [01]\.\d\d",
    "tag_source.py": r"x = 1  # one -> x [A-Z]+, = [A-Z]+, 1 [A-Z]+, # [A-Z]+, one [A-Z]+",
    "sentiment.py": r"太好吃了！ -> (positive|negative) [01]\.\d\d",
    "explain_decision.py": r"味道不错.* -> (positive|negative) because of \S+ [+-]\d.*",
    "search_docstrings.py": r"  -?[01]\.\d\d  \S.*",
    "pretrain_t5.py": r"If the argument is <extra_id_0>, .* -> .*",
    "summarize_docstrings.py": r"Returns a list of .* -> .*",
    "translate_numbers.py": r"digits to English: 1999-12-31 -> .*",
    "write_chinese.py": r"Kneser-Ney: 我喜欢编程。.*",
    "one_decoder.py": r"Send the request .* -> (email|http|logging|unittest) [01]\.\d\d",
    "encoder_decoder_in_keras.py": r"LSTM, temperature 0\.7: .*",
    "masked_and_causal.py": r"held-out texts: \S.*",
    "answer_questions.py": r"question: What is the trade of Nola\? context: .* -> .*",
    "moderate_comments.py": r"The custard needs more sugar\. -> .+",
    "extract_entities.py": r"On May 3, 2021 Lena Hartmann sold .* -> .+",
    "zero_shot.py": r"Draw the label and its border\. -> .+ -?[01]\.\d\d",
    "complete_code.py": r'with open\(path, "rb"\) as  -> .*',
    # After one epoch it may write anything, lines among it.
    "dialogue.py": r".*",
}

# Runs each script whose name it reads twice, as from a shell but in one process, so that TensorFlow
# is imported once. Between its two runs, nothing is left of a script but its folder.
RUNNER = """
import contextlib, io, json, runpy, sys, traceback

folder, kept = sys.argv[1:]
sys.path.insert(0, folder)
for name in map(str.strip, sys.stdin):
    shown, problem = [io.StringIO(), io.StringIO()], None
    sys.argv = [name, "--smoke", "--folder", f"{kept}/{name}"]
    try:
        for stream in shown:
            with contextlib.redirect_stdout(stream):
                runpy.run_path(f"{folder}/{name}", run_name="__main__")
    except BaseException:
        problem = traceback.format_exc()
    print(json.dumps([*(stream.getvalue() for stream in shown), problem]), flush=True)
"""


def make_environment():
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    return {**os.environ, "PYTHONPATH": path}


def run_child(*arguments):
    done = subprocess.run(
        [sys.executable, *map(str, arguments)],
        env=make_environment(),
        capture_output=True,
        text=True,
        encoding="utf-8",
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def runner(tmp_path_factory):
    """A process that runs the scripts it is told to."""
    with subprocess.Popen(
        [sys.executable, "-c", RUNNER, str(FOLDER), str(tmp_path_factory.mktemp("examples"))],
        env=make_environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    ) as process:
        yield process
        process.stdin.close()


def run_twice(runner, name):
    """What an example printed in its first and second run, and what ended it."""
    print(name, file=runner.stdin, flush=True)
    answer = runner.stdout.readline()
    assert answer, f"the process ended with {runner.wait()}"
    return json.loads(answer)


def read_figures(shown):
    """The tables that a run printed: for each a dict from a row's name to its cells."""
    tables = []
    for block in re.findall(r"^ {3,}\S.*\n((?:  \S.*\n)+?)(?=  best )", shown, re.M):
        tables.append({})
        for line in block.splitlines():
            row, *cells = re.split(r" {2,}", line.strip())
            tables[-1][row] = cells
    return tables


def test_a_table_of_figures_is_read_row_by_row():
    shown = (
        "\n3 lines\n       accuracy\n  BERT    0.500\n  a bag     not here\n  best accuracy: BERT\n"
    )
    assert read_figures(shown) == [{"BERT": ["0.500"], "a bag": ["not here"]}]


@pytest.mark.parametrize(
    "name",
    [each if each in QUICK else pytest.param(each, marks=pytest.mark.slow) for each in FIGURES],
)
def test_an_example_prints_its_figures_beside_baselines_and_goes_on_from_its_folder(name, runner):
    first, second, problem = run_twice(runner, name)
    assert problem is None, problem
    tables = read_figures(first)
    assert [list(table) for table in tables] == [rows for _, rows in FIGURES[name]]
    for table, (columns, _) in zip(tables, FIGURES[name], strict=True):
        for row, cells in table.items():
            if row in LEARNED_ELSEWHERE and cells == ["scikit-learn is not installed"]:
                continue
            assert len(cells) == columns
            assert all(
                math.isfinite(float(cell)) and 0 <= float(cell) <= HIGHEST.get(name, 1)
                for cell in cells
            )
    assert re.fullmatch(LAST_LINES[name], first.splitlines()[-1])

    assert "Opened" not in first
    assert "Opened" in second and "Trained for 1 epochs already" in second
    # What was kept is all of the model: the second run trains nothing and finds the same.
    assert second[second.index("\n\n") :] == first[first.index("\n\n") :]


@pytest.mark.slow
def test_exported_files_answer_without_tensorflow_as_the_task_does(tmp_path):
    pytest.importorskip("litert_quantizer", reason="needs `pip install lmzoo[litert]`")
    shown = run_child(FOLDER / "export_litert.py", "--smoke", "--folder", tmp_path)
    rows = re.findall(r"^  (float32|int8|int4) +(\d+) +(\S+) +(\S+) ", shown, re.M)
    assert [name for name, *_ in rows] == ["float32", "int8", "int4"]
    sizes, accuracies, alike = zip(*(map(float, row[1:]) for row in rows), strict=True)
    assert sizes[0] > 2 * sizes[1] > 2 * sizes[2]
    # The files differ from the task by less than what decides between two labels.
    assert alike[0] == 1 and min(alike) > 0.95
    assert all(0 <= accuracy <= 1 for accuracy in accuracies)
    for name, size in zip(("float32", "int8", "int4"), sizes, strict=True):
        written = (tmp_path / f"sentiment-{name}.tflite").stat().st_size
        assert size == pytest.approx(written / 1000, abs=0.5)


ACCEPTING = """
import pathlib, sys

sys.path.insert(0, sys.argv[1])
import safety_checks

def crash(folder, lm):
    raise KeyError("x")

def refuse(folder, lm):
    raise ValueError(f"{folder} is refused")

attempts = {"nothing": lambda folder, lm: None, "crash": crash, "refusal": refuse}
print(safety_checks.try_all("room", attempts, pathlib.Path(sys.argv[2]), None))
"""


def test_what_is_accepted_or_crashes_is_no_refusal(tmp_path):
    shown = run_child("-c", ACCEPTING, FOLDER, tmp_path).splitlines()
    assert shown[1:] == [
        "room",
        "  nothing -> ACCEPTED",
        "  crash -> CRASHED: KeyError: 'x'",
        "  refusal -> refused: ValueError: ... is refused",
        "['nothing', 'crash']",
    ]


@pytest.mark.slow
def test_whatever_strangers_send_is_refused():
    pytest.importorskip("uvicorn", reason="needs `pip install lmzoo[serve]`")
    *lines, last = run_child(FOLDER / "safety_checks.py").splitlines()
    attempts = [line for line in lines if line.startswith("  ")]
    refused = [line for line in attempts if re.search(r" -> (refused|harmless): \S", line)]
    assert len(refused) == len(attempts) >= 40
    assert last == f"{len(attempts)} of {len(attempts)} refused or harmless"


@pytest.mark.slow
def test_each_step_of_compression_makes_the_file_smaller(tmp_path):
    pytest.importorskip("litert_quantizer", reason="needs `pip install lmzoo[litert]`")
    shown = run_child(FOLDER / "compress_model.py", "--smoke", "--folder", tmp_path)
    rows = re.findall(r"^  (\S+(?: \S+)*?) {2,}([\d.-]+) +(\S+) +(\S+) +(\S+) +(\S+)$", shown, re.M)
    table = {name: cells for name, *cells in rows}
    files = ["whole", "half alone", "half distilled", "pruned", "int8", "int4"]
    assert list(table)[:7] == [*files, "LSTM"]
    sizes, zipped, _, accuracies, alike = (
        [float(table[name][column]) for name in files] for column in range(5)
    )
    assert sizes[0] > sizes[2] == pytest.approx(sizes[3], rel=0.01)
    assert sizes[3] > 2 * sizes[4] and sizes[4] > 1.3 * sizes[5]
    # Half of the weights are zeros, which an archive does not keep.
    assert zipped[3] < 0.7 * zipped[2]
    assert zipped[3] > zipped[4] > zipped[5]
    assert alike[0] == 1 and all(0 <= share <= 1 for share in (*alike, *accuracies))
    for name, size in zip(files, sizes, strict=True):
        written = (tmp_path / f"{name.replace(' ', '-')}.tflite").stat().st_size
        assert size == pytest.approx(written / 1000, abs=0.001)
    assert (tmp_path / "compression.png").read_bytes().startswith(b"\x89PNG")


ENERGY = """
import json, sys, time

sys.path.insert(0, sys.argv[1])
import energy_of_a_run as example

class Meter:
    def start(self):
        pass

    def stop(self):
        return {"joules": 7200.0, "source": "RAPL"}

counted = example.measure(lambda: 3)
example.EnergyMeter = Meter
measured = example.measure(lambda: 3)[1]
unknown = {"seconds": 1.0, "joules": None, "source": "not measured"}
print(json.dumps([
    counted[0],
    example.describe({**measured, "seconds": 2.0}, 500),
    example.describe(unknown, 500),
    example.add({**measured, "seconds": 2.0}, {**measured, "seconds": 3.0}),
    example.add({**measured, "seconds": 2.0}, unknown),
]))
"""


def test_energy_becomes_carbon_and_adds_up_over_the_starts_of_a_run():
    result, known, unknown, twice, partly = json.loads(run_child("-c", ENERGY, FOLDER))
    assert result == 3
    # 7200 J are 2 Wh, and 2 Wh at 500 g/kWh are 1 g.
    assert known == {
        "time": "2.0 s",
        "energy": "7,200 J (RAPL)",
        "carbon": "1 g CO2 equivalent at 500 g/kWh",
    }
    assert unknown == {"time": "1.0 s", "energy": "not measured", "carbon": "unknown"}
    assert twice == {"seconds": 5.0, "joules": 14400.0, "source": "RAPL"}
    assert partly == {"seconds": 3.0, "joules": None, "source": "RAPL and not measured"}


@pytest.mark.slow
def test_what_a_run_took_is_on_the_card_of_its_model(tmp_path):
    options = ["--smoke", "--folder", tmp_path, "--watts", 10]
    shown = run_child(FOLDER / "energy_of_a_run.py", *options)
    (table,) = read_figures(shown)
    assert list(table) == ["BERT", "LSTM", "bag of words"]
    card = (tmp_path / "model" / "README.md").read_text(encoding="utf-8")
    words = dict(re.findall(r"^\| (.+?) \| (.+) \|$", card, re.M))
    seconds, joules = float(words["time"].split()[0]), words["energy"].split()[0]
    if "assumed" in words["energy"]:
        assert float(joules.replace(",", "")) == pytest.approx(10 * seconds, abs=1.5)
    assert words["accuracy, BERT"] == table["BERT"][0]
    # A second start that trains nothing adds nothing.
    run_child(FOLDER / "energy_of_a_run.py", *options)
    assert f"| {words['time']} |" in (tmp_path / "model" / "README.md").read_text("utf-8")


SPLIT = """
import json, sys

sys.path.insert(0, sys.argv[1])
from _helpers import news
from _helpers import comments as forum

comments = [
    [row["text"] for row in forum.draw_comments(split, 1500, 0)]
    + [row["text"] for row in forum.read_sentences(split)]
    for split in forum.SPLITS
]
names = {*news.FIRST_NAMES, *news.SURNAMES, *news.TOWNS} - {*news.THINGS, *news.BOTH}
writers = [news.Writer(0, held_out) for held_out in (False, True)]
told, asked = ({word for _ in range(4000) for word in each.write()[0]} for each in writers)
json.dump([comments, sorted(names & told), sorted(names & asked), len(names)], sys.stdout)
"""


def test_neither_comments_nor_names_are_on_two_sides_of_a_split():
    comments, told, asked, count = json.loads(run_child("-c", SPLIT, FOLDER))
    training, validation, test = map(set, comments)
    assert not training & validation and not training & test and not validation & test
    assert all(re.search("[\u4e00-\u9fff]", "".join(texts)) for texts in comments)
    assert not set(told) & set(asked) and len(asked) > 30
    assert len(told) + len(asked) == count


@pytest.mark.slow
def test_a_longer_run_begins_where_the_shorter_one_ended(tmp_path):
    script = FOLDER / "sentiment.py"
    run_child(script, "--epochs", 1, "--folder", tmp_path)
    shown = run_child(script, "--epochs", 2, "--folder", tmp_path)
    assert "Opened" in shown and "Epoch 2/2" in shown and "Epoch 1/2" not in shown


TWO_WORDS = """
import sys

sys.modules.update(dict.fromkeys(sys.argv[2:]))
sys.path.insert(0, sys.argv[1])
import search_docstrings
from _helpers import common

texts, labels = ["so good", "very good", "so bad", "very bad"], [1, 1, 0, 0]
found = common.predict_with_bag_of_words(texts, labels, ["good good", "a bad one"])
ranked = search_docstrings.rank_with_words(["a red cat"], ["some blue cars", "the red cat"])
print(found if found is None else found.tolist(), ranked)
common.print_figures("Few words", ["accuracy"], {"words": None, "guessing": [0.5]})
"""


def test_without_scikit_learn_the_baseline_is_said_to_be_missing():
    shown = run_child("-c", TWO_WORDS, FOLDER, "sklearn")
    assert shown.startswith("None None\n")
    (table,) = read_figures(shown)
    assert table == {"words": ["scikit-learn is not installed"], "guessing": ["0.500"]}


def test_with_scikit_learn_words_decide():
    pytest.importorskip("sklearn")
    assert run_child("-c", TWO_WORDS, FOLDER).startswith("[1, 0] [[1, 0]]\n")


SIDES = """
import json, random, re, sys

sys.path.insert(0, sys.argv[1])
import translate_numbers
from _helpers import people

generator, sides = random.Random(0), {}
for kind in translate_numbers.KINDS:
    sides[kind] = [
        list(map(str, translate_numbers.draw_values(kind, 3000, generator, held_out)))
        for held_out in (False, True)
    ]
known = set(people.PEOPLE)
answers = {answer for each in people.ANSWERS.values() for answer in each}
told, asked = [], []
for number in range(3000):
    context = people.draw_row(generator, False)["source"].partition("context: ")[2]
    for sentence in context.strip(".").split("."):
        words = set(sentence.split())
        told.append(sorted(words & known) + sorted(words & answers))
    row = people.draw_row(generator, True)
    asked.append([row["person"], row["target"]])
json.dump({**sides, "answers": [told, asked]}, sys.stdout)
"""


def test_what_is_held_out_by_the_generated_examples_is_not_trained_on():
    sides = json.loads(run_child("-c", SIDES, FOLDER))
    for training, held_out in sides.values():
        training, held_out = ({str(one) for one in side} for side in (training, held_out))
        assert len(held_out) > 1000 and not training & held_out
    assert all(len(pair) == 2 for side in sides["answers"] for pair in side)
    assert len({str(pair) for pair in sides["answers"][0]}) > 5000
    # Each of them is another one.
    assert len(set(sides["numbers"][1])) == len(set(sides["dates"][1])) == 3000


SHARED = """
import json, sys

sys.path.insert(0, sys.argv[1])
import pretrain_t5
from _helpers import common

bodies = [f"Body number {k // 4}, of eight words and more." for k in range(400)]
texts = [f"First line {k}.\\n\\n{body}" for k, body in enumerate(bodies)]
docstrings = [common.Docstring("package", text) for text in texts]
common.read_docstrings = pretrain_t5.read_docstrings = lambda smoke: docstrings
pairs = [[body for _, body in half] for half in common.read_pairs()]
pretrain_t5.is_held_out = lambda name, share=5: share == 5 and common.is_held_out(name)
pretraining = [text.partition("\\n")[2].strip() for text in pretrain_t5.read_texts(False)[0]]
json.dump([*pairs, pretraining], sys.stdout)
"""


def test_no_body_of_a_held_out_docstring_is_trained_on_under_another_first_line():
    training, held_out, pretraining = map(set, json.loads(run_child("-c", SHARED, FOLDER)))
    assert len(training | held_out) == 100 and len(held_out) > 10
    assert training == pretraining and not training & held_out


def test_the_number_of_epochs_is_checked():
    done = subprocess.run(
        [sys.executable, str(FOLDER / "sentiment.py"), "--epochs", "0"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stderr=subprocess.PIPE,
        text=True,
    )
    assert done.returncode == 2
    assert "Received: 0." in done.stderr


def read_sentences():
    path = FOLDER / "data" / "sentiment.tsv"
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))


def test_the_sentences_are_many_and_each_is_there_once():
    rows = read_sentences()
    texts = [row["text"] for row in rows]
    assert len(texts) >= 400
    assert len({text.casefold().rstrip(".!。！") for text in texts}) == len(texts)
    assert all(text == text.strip() and len(text) > 5 for text in texts)


def test_the_chinese_texts_are_many_and_each_is_there_once():
    texts = (FOLDER / "data" / "chinese.txt").read_text(encoding="utf-8").splitlines()
    assert len(set(texts)) == len(texts) >= 190
    # Sentences of Chinese characters and their punctuation, nothing else.
    assert all(re.fullmatch("([\u4e00-\u9fff，、]+[。？！])+", text) for text in texts)


def test_the_labels_are_balanced_in_each_language_on_both_sides_of_the_split():
    rows = read_sentences()
    for language in ("en", "zh"):
        for split in ("train", "held_out"):
            labels = [
                row["label"]
                for row in rows
                if row["language"] == language and row["split"] == split
            ]
            assert labels.count("positive") == labels.count("negative") >= 25
    chinese = re.compile("[\u4e00-\u9fff]")
    assert all((row["language"] == "zh") == bool(chinese.search(row["text"])) for row in rows)
