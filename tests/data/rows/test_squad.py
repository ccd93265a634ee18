import gzip
import json
import re
import threading

import pytest

import lmzoo

SUPER_BOWL = "Super Bowl 50 was an American football game. 😀 The Denver Broncos won — in Zürich."


def answer(context, text, occurrence=0):
    start = [match.start() for match in re.finditer(re.escape(text), context)][occurrence]
    return {"answer_start": start, "text": text}


def make_version_1():
    """The structure of train-v1.1.json, with two articles."""
    broncos = [answer(SUPER_BOWL, "Denver Broncos"), answer(SUPER_BOWL, "The Denver Broncos")]
    where = [answer(SUPER_BOWL, "Zürich")]
    tower = "The tower is 324 metres tall.\n\nIt has 3 levels."
    return {
        "data": [
            {
                "title": "Super_Bowl_50",
                "paragraphs": [
                    {
                        "context": SUPER_BOWL,
                        "qas": [
                            {"answers": broncos, "question": "Who won?", "id": "56be4db0acb8"},
                            {"answers": where, "question": "Where?", "id": "56be4db0acb9"},
                        ],
                    }
                ],
            },
            {
                "title": "Tower",
                "paragraphs": [
                    {"context": "", "qas": []},
                    {
                        "context": tower,
                        "qas": [
                            {
                                "answers": [answer(tower, "3", occurrence=1)],
                                "question": "How many levels?",
                                "id": "a1",
                            }
                        ],
                    },
                ],
            },
        ],
        "version": "1.1",
    }


ROWS = [
    {
        "id": "56be4db0acb8",
        "question": "Who won?",
        "context": SUPER_BOWL,
        "answers": ["Denver Broncos", "The Denver Broncos"],
        "answer_starts": [51, 47],
    },
    {
        "id": "56be4db0acb9",
        "question": "Where?",
        "context": SUPER_BOWL,
        "answers": ["Zürich"],
        "answer_starts": [75],
    },
    {
        "id": "a1",
        "question": "How many levels?",
        "context": "The tower is 324 metres tall.\n\nIt has 3 levels.",
        "answers": ["3"],
        "answer_starts": [38],
    },
]


def write(path, found, **options):
    path.write_text(json.dumps(found, **options), encoding="utf-8")
    return path


def change(found, path, value):
    """Sets what stands at a path such as ("data", 0, "paragraphs")."""
    *above, last = path
    for key in above:
        found = found[key]
    found[last] = value


QUESTION = ("data", 0, "paragraphs", 0, "qas", 1)
PLACE = re.escape("train.json: data[0].paragraphs[0].qas[1]")


@pytest.mark.parametrize("options", [{}, {"ensure_ascii": False}, {"indent": 1}])
def test_version_1_is_read_question_by_question(tmp_path, options):
    path = write(tmp_path / "train.json", make_version_1(), **options)
    rows = lmzoo.data.read_squad(path)
    assert list(rows) == ROWS and rows[-1] == ROWS[-1]
    assert rows.columns == ("id", "question", "context", "answers", "answer_starts")
    assert rows.place(2) == f"{path}: data[1].paragraphs[1].qas[0]"
    for row in rows:
        for text, start in zip(row["answers"], row["answer_starts"], strict=True):
            assert row["context"][start : start + len(text)] == text


def test_a_byte_order_mark_and_gzip_change_nothing(tmp_path):
    text = "\ufeff" + json.dumps(make_version_1(), ensure_ascii=False)
    path = tmp_path / "a.json"
    path.write_text(text, encoding="utf-8")
    packed = tmp_path / "b.json.gz"
    packed.write_bytes(gzip.compress(text.encode()))
    assert list(lmzoo.data.read_squad(path)) == list(lmzoo.data.read_squad(packed)) == ROWS


def test_a_question_without_an_answer_has_empty_lists(tmp_path):
    found = make_version_1()
    change(found, (*QUESTION, "answers"), [])
    change(found, (*QUESTION, "is_impossible"), True)
    change(found, (*QUESTION, "plausible_answers"), [{"text": "Denver", "answer_start": 51}])
    change(found, ("data", 0, "paragraphs", 0, "qas", 0, "is_impossible"), False)
    change(found, ("version",), "v2.0")
    rows = lmzoo.data.read_squad(write(tmp_path / "train.json", found))
    assert list(rows) == [ROWS[0], {**ROWS[1], "answers": [], "answer_starts": []}, ROWS[2]]


def all_questions(found):
    return [
        question
        for article in found["data"]
        for paragraph in article["paragraphs"]
        for question in paragraph["qas"]
    ]


@pytest.mark.parametrize("is_null", [False, True])
def test_questions_of_a_test_set_are_read_without_answers(tmp_path, is_null):
    found = make_version_1()
    for question in all_questions(found):
        question.pop("answers")
        question.update({"answers": None} if is_null else {})
    path = write(tmp_path / "test.json", found)
    rows = lmzoo.data.read_squad(path)
    names = ("id", "question", "context")
    assert rows.columns == names
    assert list(rows) == [{name: row[name] for name in names} for row in ROWS]
    (batch,) = rows.dataset(3, shuffle=False)
    assert set(batch) == set(names)


def test_questions_with_answers_and_without_are_not_mixed(tmp_path):
    found = make_version_1()
    change(found, ("data", 0, "paragraphs", 0, "qas", 0, "answers"), None)
    with pytest.raises(ValueError, match=rf"{PLACE}: .* or none of them. Received: \[.*'Zürich'"):
        lmzoo.data.read_squad(write(tmp_path / "train.json", found))
    for number, question in enumerate(all_questions(found)):
        question.update({"id": number, "answers": None})
    first, second = write(tmp_path / "a.json", make_version_1()), write(tmp_path / "b.json", found)
    with pytest.raises(ValueError, match=r"b\.json: .*\[0\] must .* a list .* answers=None"):
        lmzoo.data.read_squad([first, second])


def test_integer_ids_become_strings_and_come_once(tmp_path):
    found = make_version_1()
    for number, question in enumerate(all_questions(found)):
        question["id"] = number
    rows = lmzoo.data.read_squad(write(tmp_path / "a.json", found))
    assert [row["id"] for row in rows] == ["0", "1", "2"]
    change(found, (*QUESTION, "id"), "0")
    with pytest.raises(ValueError, match="An id must come once. Received: '0', which is also"):
        lmzoo.data.read_squad(write(tmp_path / "b.json", found))


def test_empty_texts_are_kept(tmp_path):
    question = {"id": "q", "question": "", "answers": [], "is_impossible": True}
    found = {"data": [{"paragraphs": [{"context": "", "qas": [question]}]}]}
    (row,) = lmzoo.data.read_squad(write(tmp_path / "a.json", found))
    assert row["question"] == row["context"] == ""


@pytest.mark.parametrize(("text", "start"), [("Zürich", 74), ("zürich", 75), ("", 3), ("h.", -2)])
def test_an_answer_that_is_not_in_the_context_is_named(tmp_path, text, start):
    found = make_version_1()
    change(found, (*QUESTION, "answers"), [{"text": text, "answer_start": start}])
    path = write(tmp_path / "train.json", found)
    match = rf"{PLACE}\.answers\[0\]: .*Received: '{text}' at {start}, .* id '56be4db0acb9'"
    with pytest.raises(ValueError, match=match):
        lmzoo.data.read_squad(path)


def test_bad_answers_are_left_out_where_asked_and_counted(tmp_path):
    found = make_version_1()
    change(found, ("data", 0, "paragraphs", 0, "qas", 0, "answers", 0, "answer_start"), 3)
    change(found, (*QUESTION, "answers", 0, "text"), "Basel")
    path = write(tmp_path / "train.json", found)
    first = re.escape("data[0].paragraphs[0].qas[0].answers[0]")
    with pytest.warns(UserWarning, match=rf"^2 answer.* 1 question.* {first}: .* 'Denver") as seen:
        rows = lmzoo.data.read_squad([path], bad_answers="skip")
    assert len(seen) == 1 and seen[0].filename == __file__
    kept = {**ROWS[0], "answers": ["The Denver Broncos"], "answer_starts": [47]}
    assert list(rows) == [kept, ROWS[2]]
    assert rows.place(1) == f"{path}: data[1].paragraphs[1].qas[0]"


def test_good_files_give_no_warning(tmp_path):
    path = write(tmp_path / "train.json", make_version_1())
    assert len(lmzoo.data.read_squad(path, bad_answers="skip")) == 3


def test_bad_answers_are_an_error_or_skipped(tmp_path):
    path = write(tmp_path / "train.json", make_version_1())
    with pytest.raises(ValueError, match="Received: bad_answers='ignore'"):
        lmzoo.data.read_squad(path, bad_answers="ignore")


def test_an_id_comes_once(tmp_path):
    found = make_version_1()
    change(found, (*QUESTION, "id"), "56be4db0acb8")
    path = write(tmp_path / "train.json", found)
    before = re.escape("data[0].paragraphs[0].qas[0]")
    with pytest.raises(ValueError, match=rf"{PLACE}: .* '56be4db0acb8', which is also .*{before}"):
        lmzoo.data.read_squad(path)
    first, second = (write(tmp_path / name, make_version_1()) for name in ("a.json", "b.json"))
    with pytest.raises(ValueError, match=r"b\.json: .*'56be4db0acb8', which is also .*a\.json: "):
        lmzoo.data.read_squad([first, second])


def test_several_files_are_one_after_the_other(tmp_path):
    found = make_version_1()
    first = write(tmp_path / "a.json", {"data": found["data"][1:]})
    second = write(tmp_path / "b.json", {"data": found["data"][:1]})
    rows = lmzoo.data.read_squad([first, second])
    assert list(rows) == [ROWS[2], ROWS[0], ROWS[1]]
    assert rows.place(1) == f"{second}: data[0].paragraphs[0].qas[0]"


@pytest.mark.parametrize(
    ("path", "value", "reason"),
    [
        (("data",), {}, r"train\.json: data must have '\['. Received: '\{\}, "),
        (("data", 0), 3, r"train\.json: data\[0\] must have '\{'. Received: '3, "),
        (("data", 0, "paragraphs"), None, r"data\[0\]\.paragraphs must have '\['. Received: 'null"),
        (
            ("data", 0, "paragraphs", 0, "context"),
            7,
            r"s\[0\] must .* 'context'. .* context=7",
        ),
        (("data", 0, "paragraphs", 0, "qas"), {}, r"paragraphs\[0\] must .* a list under 'qas'"),
        (QUESTION, "q", rf"{PLACE} must be an object with a string under 'id'. Received: 'q'"),
        ((*QUESTION, "id"), 5.5, rf"{PLACE} must .* a string under 'id'. Received: id=5\.5\."),
        ((*QUESTION, "id"), True, rf"{PLACE} must .* a string under 'id'. Received: id=True\."),
        ((*QUESTION, "answers"), None, rf"{PLACE} must .* a list .* Received: answers=None"),
        (
            (*QUESTION, "question"),
            None,
            rf"{PLACE} must .* Received: question=None",
        ),
        (
            (*QUESTION, "answers"),
            "x",
            rf"{PLACE} must .* a list .* Received: answers='x'",
        ),
        ((*QUESTION, "answers", 0), {}, rf"{PLACE}\.answers\[0\] must .* 'text'. Received: \{{\}}"),
        ((*QUESTION, "answers", 0), "x", rf"{PLACE}\.answers\[0\] must .* 'text'. Received: 'x'"),
        (
            (*QUESTION, "answers", 0, "answer_start"),
            "75",
            rf"{PLACE}\.answers\[0\] must .* an integer .* Received: answer_start='75'",
        ),
        ((*QUESTION, "is_impossible"), True, rf"{PLACE}: .* no answers. Received: \[.*Zürich"),
        ((*QUESTION, "question"), "\ud800", rf"{PLACE}\.question: .* lone surrogate '\\ud800'"),
    ],
)
def test_another_structure_is_told_with_its_place(tmp_path, path, value, reason):
    found = make_version_1()
    change(found, path, value)
    with pytest.raises(ValueError, match=reason):
        lmzoo.data.read_squad(write(tmp_path / "train.json", found))


def test_a_file_without_a_question_is_named(tmp_path):
    path = write(tmp_path / "train.json", {"data": []})
    with pytest.raises(ValueError, match=rf"one question each. Received: {str(path)!r}"):
        lmzoo.data.read_squad(path)
    path.write_text("")
    with pytest.raises(ValueError, match=rf"must not be empty. Received: {str(path)!r}"):
        lmzoo.data.read_squad(path)


def test_text_that_is_not_utf8_is_named(tmp_path):
    path = tmp_path / "train.json"
    text = json.dumps(make_version_1(), ensure_ascii=False)
    path.write_bytes(text.encode().replace("ü".encode(), b"\xfc"))
    with pytest.raises(ValueError, match=r"train\.json: .* UTF-8. Received: b'\\xfc"):
        lmzoo.data.read_squad(path)


def test_a_file_that_changes_later_is_refused(tmp_path):
    path = write(tmp_path / "train.json", make_version_1())
    rows = lmzoo.data.read_squad(path)
    write(path, make_version_1(), indent=1)
    with pytest.raises(RuntimeError, match=rf"Received: {str(path)!r}, which changed"):
        rows[0]


def make_articles(count):
    """Articles of two questions each, which know their number."""
    for number in range(count):
        context = f"é {number} " + "x" * (number % 13)
        questions = [
            {"id": f"{number}-{k}", "question": "?", "answers": [answer(context, str(number))]}
            for k in range(2)
        ]
        yield {"title": "", "paragraphs": [{"context": context, "qas": questions}]}


def test_many_threads_read_the_same_rows(tmp_path):
    path = write(tmp_path / "a.json", {"data": list(make_articles(40))})
    rows = lmzoo.data.read_squad(path)
    wrong = []

    def read(thread):
        for step in range(400):
            index = (step * (2 * thread + 7)) % 80
            if rows[index]["answers"] != [str(index // 2)]:
                wrong.append(index)

    threads = [threading.Thread(target=read, args=(thread,)) for thread in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_batches_have_ragged_answers(tmp_path):
    rows = lmzoo.data.read_squad(write(tmp_path / "train.json", make_version_1()))
    (batch,) = rows.dataset(3, shuffle=False)
    assert batch["answer_starts"].to_list() == [[51, 47], [75], [38]]
    assert batch["answers"].to_list()[2] == [b"3"]
    assert batch["context"][1].numpy().decode() == SUPER_BOWL


def make_flat(with_dicts=True):
    """The same questions as Hugging Face datasets writes them."""
    questions = []
    for row in ROWS:
        texts, starts = row["answers"], row["answer_starts"]
        answers = {"text": texts, "answer_start": starts}
        if not with_dicts:
            answers = [
                {"text": text, "answer_start": start}
                for text, start in zip(texts, starts, strict=True)
            ]
        question = {name: row[name] for name in ("id", "question", "context")}
        questions.append({"title": "[{", **question, "answers": answers})
    return questions


def test_answers_may_be_a_dict_of_lists(tmp_path):
    found = make_version_1()
    for article in found["data"]:
        for paragraph in article["paragraphs"]:
            for question in paragraph["qas"]:
                answers = question["answers"]
                question["answers"] = {
                    name: [answer[name] for answer in answers] for name in ("text", "answer_start")
                }
    rows = lmzoo.data.read_squad(write(tmp_path / "train.json", found))
    assert list(rows) == ROWS


@pytest.mark.parametrize("indent", [None, 1])
def test_a_list_of_articles_is_read(tmp_path, indent):
    path = write(tmp_path / "train.json", make_version_1()["data"], indent=indent)
    rows = lmzoo.data.read_squad(path)
    assert list(rows) == ROWS
    assert rows.place(2) == f"{path}: [1].paragraphs[1].qas[0]"


@pytest.mark.parametrize("indent", [None, 1])
@pytest.mark.parametrize("with_dicts", [True, False])
@pytest.mark.parametrize("under_data", [True, False])
def test_flat_questions_are_read(tmp_path, indent, with_dicts, under_data):
    found = make_flat(with_dicts)
    path = write(tmp_path / "a.json", {"data": found} if under_data else found, indent=indent)
    rows = lmzoo.data.read_squad(path)
    assert list(rows) == ROWS
    assert rows.place(1) == f"{path}: {'data' if under_data else ''}[1]"


@pytest.mark.parametrize("name", ["a.json", "a.jsonl", "a.json.gz"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_json_lines_of_flat_questions_are_read(tmp_path, name, mark):
    lines = [json.dumps(question, ensure_ascii=False) for question in make_flat()]
    content = (mark + f"{lines[0]}\n\n{lines[1]}\r\n{lines[2]}\n").encode()
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    rows = lmzoo.data.read_squad(tmp_path / name)
    assert list(rows) == ROWS
    assert [rows.place(index) for index in (2, 0, 1)] == [
        f"{tmp_path / name}:{line}" for line in (4, 1, 3)
    ]


def test_a_bad_flat_question_is_told_with_its_place(tmp_path):
    found = make_flat()
    found[2]["answers"]["answer_start"] = [7]
    with pytest.raises(ValueError, match=r"a.json: \[2\]\.answers\[0\]: .* at 7, where there is"):
        lmzoo.data.read_squad(write(tmp_path / "a.json", found))
    found[2]["answers"]["answer_start"] = []
    with pytest.raises(ValueError, match=r"\[2\]\.answers: .* equal lengths. Received: 1 and 0"):
        lmzoo.data.read_squad(write(tmp_path / "a.json", found))
    del found[2]["context"]
    with pytest.raises(ValueError, match=r"a.json: \[2\] must have .*Received: \['answers', 'id'"):
        lmzoo.data.read_squad(write(tmp_path / "a.json", found))
    with pytest.raises(ValueError, match=r"a.json:1 must have an array under 'data'.*: \['v'\]"):
        lmzoo.data.read_squad(write(tmp_path / "a.json", {"v": 1}))


def test_a_start_that_is_a_bool_is_no_integer(tmp_path):
    found = make_version_1()
    change(found, (*QUESTION, "answers", 0), {"text": "u", "answer_start": True})
    with pytest.raises(ValueError, match=r"answers\[0\] must .* an integer .*answer_start=True"):
        lmzoo.data.read_squad(write(tmp_path / "train.json", found))


def test_a_flat_question_over_the_limit_is_refused(tmp_path):
    path = write(tmp_path / "a.json", make_flat())
    limits = lmzoo.data.ReadLimits(max_record_bytes=150)
    with pytest.raises(ValueError, match=r"a.json: \[0\]: A record must have at most 150 bytes"):
        lmzoo.data.read_squad(path, limits=limits)
