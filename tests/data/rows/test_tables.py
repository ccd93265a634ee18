import gzip
import json
import re
import threading

import pytest

import lmzoo
from lmzoo.data.rows.tables import read_column_names


def write(path, text):
    path.write_bytes(text.encode())
    return path


def test_a_tsv_has_tabs_and_no_quotes(tmp_path):
    path = write(
        tmp_path / "train.tsv",
        'id\tlabel\tsentence1\tsentence2\n1\t0\tHe said "no.\tShe left.\n2\t1\t"Yes"\t\n',
    )
    rows = lmzoo.data.read_table(path, text="sentence1", pair="sentence2", label="label")
    assert rows.columns == ("text", "pair", "label")
    assert list(rows) == [
        {"text": 'He said "no.', "pair": "She left.", "label": "0"},
        {"text": '"Yes"', "pair": "", "label": "1"},
    ]
    assert rows.place(1) == f"{path}:3"


def test_a_csv_has_quotes_commas_and_line_ends_in_fields(tmp_path):
    path = write(
        tmp_path / "a.CSV",
        'text,label\n"One, two\nand ""three""",a\n\n5" disk,b\n"",c\n',
    )
    rows = lmzoo.data.read_table(path, label="label")
    assert list(rows) == [
        {"text": 'One, two\nand "three"', "label": "a"},
        {"text": '5" disk', "label": "b"},
        {"text": "", "label": "c"},
    ]
    assert [rows.place(index).rpartition(":")[2] for index in range(3)] == ["2", "5", "6"]


def test_json_lines_have_values_of_any_kind(tmp_path):
    objects = [
        {"text": "a\u2028b", "label": 1, "score": 0.5, "words": ["x", "y"], "more": None},
        {"score": 1.5, "label": 0, "text": "", "words": []},
    ]
    lines = [json.dumps(found, ensure_ascii=number == 0) for number, found in enumerate(objects)]
    path = write(tmp_path / "a.jsonl", "\n \n".join(lines))
    rows = lmzoo.data.read_table(path, label="label", score="score", tokens="words")
    assert list(rows) == [
        {"text": "a\u2028b", "label": 1, "score": 0.5, "tokens": ["x", "y"]},
        {"text": "", "label": 0, "score": 1.5, "tokens": []},
    ]
    assert rows.place(1) == f"{path}:3"


@pytest.mark.parametrize("name", ["a.tsv", "a.csv", "a.jsonl"])
def test_byte_order_marks_line_ends_and_gzip_change_nothing(tmp_path, name):
    text = {
        "a.tsv": "text\tlabel\nZoë\t1\nb\t2\n",
        "a.csv": 'text,label\n"Zoë",1\nb,2\n',
        "a.jsonl": '{"text": "Zoë", "label": "1"}\n{"text": "b", "label": "2"}\n',
    }[name]
    expected = [{"text": "Zoë", "label": "1"}, {"text": "b", "label": "2"}]
    for content in (text, text.rstrip("\n"), text.replace("\n", "\r\n"), "\ufeff" + text):
        path = write(tmp_path / name, content)
        packed = tmp_path / f"{name}.gz"
        packed.write_bytes(gzip.compress(content.encode()))
        for file in (path, packed):
            rows = lmzoo.data.read_table(file, label="label")
            assert list(rows) == expected
            assert rows.place(1) == f"{file}:{2 if name == 'a.jsonl' else 3}"


def test_several_files_are_one_after_the_other(tmp_path):
    first = write(tmp_path / "1.tsv", "text\tlabel\na\t1\n")
    second = write(tmp_path / "2.csv", "label,text\n2,b\n3,c\n")
    rows = lmzoo.data.read_table([first, str(second)], label="label")
    assert [(row["text"], row["label"]) for row in rows] == [("a", "1"), ("b", "2"), ("c", "3")]
    assert [rows.place(index) for index in (0, 2)] == [f"{first}:2", f"{second}:3"]


def test_without_a_header_columns_have_numbers(tmp_path):
    path = write(tmp_path / "a.txt", "x;1;first\ny;0;second\n")
    rows = lmzoo.data.read_table(path, text=-1, label=1, header=False, delimiter=";")
    assert list(rows) == [{"text": "first", "label": "1"}, {"text": "second", "label": "0"}]
    assert rows.place(0) == f"{path}:1"


def test_types_turn_strings_into_numbers(tmp_path):
    path = write(tmp_path / "a.tsv", "text\tlabel\tscore\na\t1\t5\nb\t-2\t4.75\n")
    types = {"label": int, "score": float}
    rows = lmzoo.data.read_table(path, label="label", score="score", types=types)
    assert list(rows) == [
        {"text": "a", "label": 1, "score": 5.0},
        {"text": "b", "label": -2, "score": 4.75},
    ]
    assert type(rows[0]["score"]) is float


def test_types_make_json_numbers_alike(tmp_path):
    path = write(tmp_path / "a.jsonl", '{"text": "a", "s": 1, "l": [1, 2]}\n')
    rows = lmzoo.data.read_table(path, s="s", l="l", types={"s": float, "l": float})
    assert repr(rows[0]) == repr({"text": "a", "s": 1.0, "l": [1.0, 2.0]})


@pytest.mark.parametrize("value", ["x", "", "1.5", "1_0", "9" * 20, "9" * 400])
def test_what_is_no_integer_is_named_with_its_line(tmp_path, value):
    path = write(tmp_path / "a.tsv", f"text\tlabel\na\t1\nb\t{value}\n")
    with pytest.raises(ValueError, match=rf"a\.tsv:3: .*Received: '?{re.escape(value[:20])}"):
        lmzoo.data.read_table(path, label="label", types={"label": int})


@pytest.mark.parametrize("value", ["x", "nan", "inf", "1_0", "1e999"])
def test_what_is_no_finite_number_is_named_with_its_line(tmp_path, value):
    path = write(tmp_path / "a.tsv", f"text\tlabel\na\t1\n\nb\t{value}\n")
    with pytest.raises(ValueError, match=rf"a\.tsv:4: `label` .* finite .*Received: '{value}'"):
        lmzoo.data.read_table(path, label="label", types={"label": float})


def test_a_json_fraction_is_no_integer(tmp_path):
    path = write(tmp_path / "a.jsonl", '{"text": "a", "label": 1.0}\n{"text": "b", "label": 1.5}\n')
    with pytest.raises(ValueError, match=r"a\.jsonl:2: `label` must hold integers. Received: 1\.5"):
        lmzoo.data.read_table(path, label="label", types={"label": int})


@pytest.mark.parametrize("types", ["int", {"label": str}, {"label": "int"}, [int]])
def test_types_are_int_or_float(tmp_path, types):
    path = write(tmp_path / "a.tsv", "text\tlabel\na\t1\n")
    with pytest.raises(TypeError, match=re.escape(f"Received: types={types!r}")):
        lmzoo.data.read_table(path, label="label", types=types)


def test_types_name_columns_of_ours(tmp_path):
    path = write(tmp_path / "a.tsv", "text\tgold\na\t1\n")
    with pytest.raises(ValueError, match=r"\['label', 'text'\]. Received: types=\['gold'\]"):
        lmzoo.data.read_table(path, label="gold", types={"gold": int})


@pytest.mark.parametrize("name", ["a.tsv", "a.csv"])
def test_a_missing_column_is_told_with_those_there_are(tmp_path, name):
    tab = "\t" if name == "a.tsv" else ","
    path = write(tmp_path / name, f"sentence{tab}label{tab}label\na{tab}1{tab}2\n")
    there = re.escape("has ['sentence', 'label', 'label']")
    with pytest.raises(ValueError, match=rf"Received: text='text', but '.*{name}' {there}"):
        lmzoo.data.read_table(path)
    with pytest.raises(ValueError, match=rf"Received: gold='gold', but '.*{name}' {there}"):
        lmzoo.data.read_table(path, text="sentence", gold="gold")
    with pytest.raises(ValueError, match=rf"must name one column .*label='label', .* {there}"):
        lmzoo.data.read_table(path, text="sentence", label="label")


@pytest.mark.parametrize("number", [3, -4])
def test_a_missing_number_is_told_with_how_many_there_are(tmp_path, number):
    path = write(tmp_path / "a.tsv", "a\tb\tc\n")
    with pytest.raises(ValueError, match=rf"text={number}, but '.*a\.tsv' has 3 columns"):
        lmzoo.data.read_table(path, text=number, header=False)


def test_a_missing_key_is_named_with_its_line(tmp_path):
    path = write(tmp_path / "a.jsonl", '{"text": "a", "label": 1}\n{"text": "b", "lable": 1}\n')
    with pytest.raises(ValueError, match=r"a\.jsonl:2: .*label='label', \['lable', 'text'\]"):
        lmzoo.data.read_table(path, label="label")


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("[1]", r"Received: \[1\]"),
        ('{"text": ', r"Received: '\{\"text\":', which gives"),
        ("[" * 100_000, r"Received: '\[\[\["),
        ('{"text": null}', r"'text': .* Received: None"),
        ('{"text": {"a": 1}}', r"'text': .* Received: \{'a': 1\}"),
        ('{"text": ["a", 1]}', r"'text': .* Received: \['a', 1\]"),
        ('{"text": "\\ud800"}', r"'text': .* lone surrogate"),
    ],
)
def test_a_bad_json_line_is_named(tmp_path, line, reason):
    path = write(tmp_path / "a.jsonl", '{"text": "fine"}\n' + line)
    with pytest.raises(ValueError, match=rf"a\.jsonl:2: .*{reason}"):
        lmzoo.data.read_table(path)


@pytest.mark.parametrize(("row", "count"), [("a", 1), ("a\t1\tx", 3)])
def test_a_row_with_another_number_of_fields_is_named(tmp_path, row, count):
    path = write(tmp_path / "a.tsv", f"text\tlabel\nfine\t0\n\n{row}\n")
    with pytest.raises(ValueError, match=rf"a\.tsv:4: .* 2 fields, .* Received: {count} in \['a'"):
        lmzoo.data.read_table(path, label="label")


def test_a_bad_quote_is_named_with_the_line_where_its_row_begins(tmp_path):
    path = write(tmp_path / "a.csv", 'text,label\n"two\nlines",0\n"open,1\nfine,2\n')
    with pytest.raises(ValueError, match=r"a\.csv:4: .* must end with one. Received: '\"open,1"):
        lmzoo.data.read_table(path, label="label")
    path = write(tmp_path / "b.csv", '"open,label\nfine,2\n')
    with pytest.raises(ValueError, match=r"b\.csv:1: .* must end with one. Received: '\"open"):
        lmzoo.data.read_table(path, label="label")


@pytest.mark.parametrize("name", ["a.tsv", "a.csv", "a.jsonl"])
def test_text_that_is_not_utf8_is_named_with_its_line(tmp_path, name):
    path = tmp_path / name
    line = b'{"text": "fine"}\n' if name == "a.jsonl" else b"text\n"
    path.write_bytes(line * 4 + line.replace(b"t", b"\xe9", 1))
    with pytest.raises(ValueError, match=rf"{name}:5: .* UTF-8. Received: b'\\xe9'"):
        lmzoo.data.read_table(path)


@pytest.mark.parametrize("name", ["a.tsv", "a.csv", "a.jsonl", "a.tsv.gz"])
def test_a_file_without_rows_is_named(tmp_path, name):
    pack = gzip.compress if name.endswith("gz") else bytes
    path = tmp_path / name
    path.write_bytes(pack(b""))
    with pytest.raises(ValueError, match=rf"must not be empty. Received: '.*{name}'"):
        lmzoo.data.read_table(path)
    contents = [b"\n\n"] if name == "a.jsonl" else [b"\n\n", b"text\tlabel\n", b"text\n\n"]
    for content in contents:
        path.write_bytes(pack(content))
        columns = {"text": "text\tlabel" if name == "a.csv" and b"\t" in content else "text"}
        with pytest.raises(ValueError, match=rf"one row each. Received: '.*{name}'"):
            lmzoo.data.read_table(path, **columns)


def test_a_binary_file_is_named(tmp_path):
    path = write(tmp_path / "a.tsv", "text\n\0\n")
    with pytest.raises(ValueError, match=r"Received: '.*a\.tsv', which has a zero byte"):
        lmzoo.data.read_table(path)


def test_a_file_that_changes_later_is_refused(tmp_path):
    path = write(tmp_path / "a.tsv", "text\na\nb\n")
    rows = lmzoo.data.read_table(path)
    write(path, "text\na\nb\nc\n")
    with pytest.raises(RuntimeError, match=r"Received: '.*a\.tsv', which changed"):
        rows[0]


def test_an_unknown_form_wants_a_delimiter(tmp_path):
    path = write(tmp_path / "a.txt", "text\na\n")
    with pytest.raises(ValueError, match=r"where `delimiter` is None. Received: '.*a\.txt'"):
        lmzoo.data.read_table(path)
    assert len(lmzoo.data.read_table(path, delimiter="\t")) == 1


@pytest.mark.parametrize("delimiter", ["", "ab", '"', "\n", 3])
def test_a_delimiter_is_one_character(tmp_path, delimiter):
    path = write(tmp_path / "a.csv", "text\na\n")
    with pytest.raises(ValueError, match=re.escape(f"Received: delimiter={delimiter!r}")):
        lmzoo.data.read_table(path, delimiter=delimiter)


@pytest.mark.parametrize("options", [{"delimiter": ","}, {"header": False}])
def test_json_lines_have_no_delimiter_and_no_header(tmp_path, options):
    path = write(tmp_path / "a.jsonl", '{"text": "a"}\n')
    expected = {"delimiter": None, "header": True, **options}
    match = ", ".join(f"{name}={value!r}" for name, value in expected.items())
    with pytest.raises(ValueError, match=rf"Received: '.*a\.jsonl' with {match}"):
        lmzoo.data.read_table(path, **options)


def test_columns_are_names_or_numbers_as_the_header_says(tmp_path):
    path = write(tmp_path / "a.tsv", "text\na\n")
    with pytest.raises(TypeError, match=r"the name of a column with header=True. Received: text=0"):
        lmzoo.data.read_table(path, text=0)
    with pytest.raises(TypeError, match=r"the index .* header=False. Received: label='label'"):
        lmzoo.data.read_table(path, text=0, label="label", header=False)


def test_many_threads_read_the_same_rows(tmp_path):
    path = write(tmp_path / "a.tsv", "text\n" + "".join(f"{'x' * n}{n}\n" for n in range(300)))
    rows = lmzoo.data.read_table(path)
    expected = [f"{'x' * n}{n}" for n in range(300)]
    results = [None] * 8

    def read(thread):
        results[thread] = [rows[index]["text"] for index in range(300)]

    threads = [threading.Thread(target=read, args=(thread,)) for thread in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(result == expected for result in results)


def test_batches_of_a_file_go_on_where_they_stopped(tmp_path):
    path = write(tmp_path / "a.tsv", "text\tlabel\n" + "".join(f"t{n}\t{n}\n" for n in range(10)))
    rows = lmzoo.data.read_table(path, label="label", types={"label": int})
    whole = [
        list(zip(batch["text"].numpy(), batch["label"].numpy(), strict=True))
        for batch in rows.dataset(4).repeat().take(9)
    ]
    assert all(text == b"t%d" % label for batch in whole for text, label in batch)
    again = rows.dataset(4, initial_epoch=1, initial_step=2)
    for batch, expected in zip(again, whole[5:8], strict=True):
        assert list(zip(batch["text"].numpy(), batch["label"].numpy(), strict=True)) == expected


@pytest.mark.slow
def test_memory_does_not_grow_with_the_text(tmp_path, run_python):
    path = tmp_path / "large.tsv"
    with open(path, "w") as file:
        file.write("text\tlabel\n")
        for number in range(200_000):
            file.write(f"{number} {'x' * 2000}\t{number % 2}\n")
    code = """
import sys
import lmzoo
from lmzoo.data.rows.tables import read_column_names
from lmzoo.runtime.measuring import read_peak_memory

def peak():
    return read_peak_memory() >> 20

lmzoo.data.make_rows(text=["a"]).dataset(1)
before = peak()
rows = lmzoo.data.read_table(sys.argv[1], label="label")
for index in range(0, len(rows), 100):
    rows[index]
print(len(rows), rows[-1]["text"][:7], peak() - before)
"""
    output, _ = run_python(code, path)
    count, text, grown = output.split()
    assert (count, text) == ("200000", "199999")
    # The file has 400 MB, its index 1.6.
    assert int(grown) < 40


# Bad rows of one field, no number, three fields or no end; the first line of these, and of the
# last good one.
BAD_ROWS = {
    "a.tsv": ("text\tlabel\na\t1\nb\nc\tx\n\nd\t4\ne\t5\t\n", 3, 6),
    "a.csv": ('text,label\na,1\n"b\n\n"\nc,x\n\nd,4\ne,5,"\n"', 3, 8),
    "a.jsonl": (
        '{"text": "a", "label": 1}\n{"text": "b"}\n{"text": "c", "label": "x"}\n\n'
        '{"text": "d", "label": 4}\n{"text": "e", "label": ',
        2,
        5,
    ),
}


@pytest.mark.parametrize("name", BAD_ROWS)
def test_bad_rows_are_left_out_where_asked_and_counted(tmp_path, name):
    text, first, last = BAD_ROWS[name]
    path = write(tmp_path / name, text)
    options = {"label": "label", "types": {"label": int}}
    with pytest.raises(ValueError, match=rf'{name}:{first}: .*Received: .*bad_rows="skip"'):
        lmzoo.data.read_table(path, **options)
    good = write(tmp_path / "b.tsv", "text\tlabel\nf\t6\n")
    with pytest.warns(UserWarning, match=rf"^3 row.* The first: .*{name}:{first}: ") as seen:
        rows = lmzoo.data.read_table([path, good], bad_rows="skip", **options)
    assert len(seen) == 1 and seen[0].filename == __file__
    wanted = [("a", 1), ("d", 4), ("f", 6)]
    assert [(row["text"], row["label"]) for row in rows] == wanted
    assert [rows.place(index) for index in (1, 2)] == [f"{path}:{last}", f"{good}:2"]


def test_a_file_of_bad_rows_alone_is_refused(tmp_path):
    path = write(tmp_path / "a.tsv", "text\tlabel\na\nb\n")
    with pytest.raises(ValueError, match=r"one row each. Received: '.*a\.tsv'"):
        lmzoo.data.read_table(path, label="label", bad_rows="skip")


@pytest.mark.parametrize(
    ("content", "received"),
    [(b'text,label\na,1\nb,"2\n', "'\"2'"), (b"text,label\na,1\n\xff,2\n", r"b'\\xff'")],
)
def test_what_spoils_a_file_is_an_error_in_any_case(tmp_path, content, received):
    path = tmp_path / "a.csv"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=rf"a\.csv:3: .*Received: {received}"):
        lmzoo.data.read_table(path, label="label", bad_rows="skip")


def test_bad_rows_are_an_error_or_skipped(tmp_path):
    with pytest.raises(ValueError, match="Received: bad_rows=True"):
        lmzoo.data.read_table(write(tmp_path / "a.tsv", "text\na\n"), bad_rows=True)


@pytest.mark.parametrize("name", ["a.json", "a.JSON", "a.json.gz"])
def test_json_lines_may_be_in_a_file_named_json(tmp_path, name):
    content = b'\xef\xbb\xbf\n{"text": "a", "label": 1}\n{"text": "b", "label": 0}\n'
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    rows = lmzoo.data.read_table(tmp_path / name, label="label")
    assert list(rows) == [{"text": "a", "label": 1}, {"text": "b", "label": 0}]
    assert rows.place(1) == f"{tmp_path / name}:3"


@pytest.mark.parametrize("content", ['[{"text": "a"}]', '{\n"text": "a"\n}', "3", "{broken}"])
def test_a_json_file_of_another_form_is_refused_with_the_way_out(tmp_path, content):
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(ValueError, match=r"one JSON object a line .*a.json', .* lines=True"):
        lmzoo.data.read_table(tmp_path / "a.json")


def test_one_hot_labels_are_lists_of_numbers(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"text": "a", "label": [0, 1]}\n')
    (row,) = lmzoo.data.read_table(tmp_path / "a.jsonl", label="label")
    assert row == {"text": "a", "label": [0, 1]}


def test_a_row_over_the_limit_is_named(tmp_path):
    (tmp_path / "a.tsv").write_text("text\nshort\n" + "x" * 200)
    limits = lmzoo.data.ReadLimits(max_record_bytes=100)
    with pytest.raises(ValueError, match=r"a.tsv:3: A record must have at most 100 bytes"):
        lmzoo.data.read_table(tmp_path / "a.tsv", limits=limits)
    assert len(lmzoo.data.read_table(tmp_path / "a.tsv")) == 2


@pytest.mark.parametrize(
    "name, content, names",
    [
        ("a.csv", b'text,"a, b"\n1,2\n', ["text", "a, b"]),
        ("a.tsv", b"\xef\xbb\xbftext\tlabel\r\n", ["text", "label"]),
        ("a.jsonl", b'\n{"text": 1, "more": {}}\n{"other": 2}\n', ["text", "more"]),
    ],
)
def test_the_names_of_columns_are_read_from_the_beginning(tmp_path, name, content, names):
    (tmp_path / name).write_bytes(content)
    assert read_column_names(tmp_path / name) == names


def test_a_file_without_names_is_refused(tmp_path):
    for name, content, message in (
        ("a.txt", "text\n", "must end in .tsv, .csv"),
        ("a.csv", "\n", "at least one row"),
        ("a.jsonl", "[1]\n", r"a.jsonl:1: .*\[1\]"),
    ):
        (tmp_path / name).write_text(content)
        with pytest.raises(ValueError, match=message):
            read_column_names(tmp_path / name)
