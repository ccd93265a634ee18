import gzip
import itertools
import re

import pytest

import lmzoo

CONLL_2003 = """-DOCSTART- -X- O O

EU NNP I-NP I-ORG
rejects VBZ I-VP O
German JJ I-NP I-MISC
lamb NN I-NP O
. . O O

-DOCSTART- -X- O O

Peter NNP I-NP I-PER
Blackburn NNP I-NP I-PER
Brussels NNP B-NP B-PER
"""
SENTENCES = [
    {
        "words": ["EU", "rejects", "German", "lamb", "."],
        "tags": ["I-ORG", "O", "I-MISC", "O", "O"],
    },
    {"words": ["Peter", "Blackburn", "Brussels"], "tags": ["I-PER", "I-PER", "B-PER"]},
]
WNUT = "@paulwalk\tO\nEmpire\tB-location\nState\tI-location\n\t\nno\xa0break\tO\n#\tO\n\n\n"
CONLL_U = """# sent_id = 1
# text = They buy.
1\tThey\tthey\tPRON\tPRP\t_\t2\tnsubj\t_\t_
# between
2\tbuy\tbuy\tVERB\tVBP\t_\t0\troot\t_\t_

# sent_id = 2
1\tGo\tgo\tVERB\tVB\t_\t0\troot\t_\t_
"""


def write(path, text):
    path.write_bytes(text.encode())
    return path


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("gap", ["", "\n\n", " \n"])
def test_conll_2003_is_read_sentence_by_sentence(tmp_path, end, gap):
    text = ("\ufeff" + gap + CONLL_2003 + gap).replace("\n", end)
    path = write(tmp_path / "eng.train", text)
    rows = lmzoo.data.read_conll(path)
    assert list(rows) == SENTENCES and rows.columns == ("words", "tags")
    shift = gap.count("\n")
    assert [rows.place(index) for index in (0, 1)] == [
        f"{path}:{3 + shift}",
        f"{path}:{11 + shift}",
    ]


def test_a_document_ends_a_sentence_without_a_blank_line(tmp_path):
    text = "".join(f"{line}\n" for line in CONLL_2003.splitlines() if line)
    assert list(lmzoo.data.read_conll(write(tmp_path / "a.txt", text))) == SENTENCES


def test_other_columns_are_chosen_by_number(tmp_path):
    rows = lmzoo.data.read_conll(write(tmp_path / "a.txt", CONLL_2003), word=-4, tag=1)
    assert rows[0]["tags"] == ["NNP", "VBZ", "JJ", "NN", "."]
    assert rows[0]["words"] == SENTENCES[0]["words"]


def test_several_files_some_packed_are_one_after_the_other(tmp_path):
    packed = tmp_path / "b.txt.gz"
    packed.write_bytes(gzip.compress(CONLL_2003.encode()))
    rows = lmzoo.data.read_conll([write(tmp_path / "a.txt", CONLL_2003), packed])
    assert list(rows) == 2 * SENTENCES and rows.place(3) == f"{packed}:11"


def test_wnut_has_tabs(tmp_path):
    path = write(tmp_path / "wnut17train.conll", WNUT)
    assert list(lmzoo.data.read_conll(path, separator="\t")) == [
        {"words": ["@paulwalk", "Empire", "State"], "tags": ["O", "B-location", "I-location"]},
        {"words": ["no\xa0break", "#"], "tags": ["O", "O"]},
    ]
    assert list(lmzoo.data.read_conll(path)) == list(lmzoo.data.read_conll(path, separator="\t"))


def test_an_empty_word_between_tabs_is_kept(tmp_path):
    path = write(tmp_path / "a.txt", "a b\tO\n\tB-x\n")
    rows = lmzoo.data.read_conll(path, separator="\t")
    assert list(rows) == [{"words": ["a b", ""], "tags": ["O", "B-x"]}]


def test_conll_u_has_comments(tmp_path):
    path = write(tmp_path / "en.conllu", CONLL_U)
    rows = lmzoo.data.read_conll(path, word=1, tag=3, separator="\t", comment="#")
    assert list(rows) == [
        {"words": ["They", "buy"], "tags": ["PRON", "VERB"]},
        {"words": ["Go"], "tags": ["VERB"]},
    ]
    assert [rows.place(index).rpartition(":")[2] for index in (0, 1)] == ["3", "8"]


@pytest.mark.parametrize(("line", "count"), [("Brussels", 1), ("a b", 2), ("a b c d e", 5)])
def test_a_line_with_another_number_of_columns_is_named(tmp_path, line, count):
    text = CONLL_2003.replace("Blackburn NNP I-NP I-PER", line)
    with pytest.raises(
        ValueError, match=rf"a\.txt:12: .* 4 columns, .* Received: {count} in '{line}'"
    ):
        lmzoo.data.read_conll(write(tmp_path / "a.txt", text))


def test_comments_count_as_lines(tmp_path):
    path = write(tmp_path / "a.txt", CONLL_U.replace("2\tbuy", "2 buy"))
    with pytest.raises(ValueError, match=r"a\.txt:5: .* 10 columns, .* Received: 9 in '2 buy"):
        lmzoo.data.read_conll(path, word=1, tag=3, separator="\t", comment="#")


@pytest.mark.parametrize(("word", "tag"), [(0, 4), (-5, -1), (0, -4), (3, -1)])
def test_word_and_tag_are_two_columns_of_the_file(tmp_path, word, tag):
    path = write(tmp_path / "a.txt", CONLL_2003)
    with pytest.raises(ValueError, match=rf"a\.txt:3: .*word={word}, tag={tag}, but a line has 4"):
        lmzoo.data.read_conll(path, word=word, tag=tag)


def test_the_wrong_separator_is_told(tmp_path):
    with pytest.raises(ValueError, match=r"a\.txt:3: .* has 1: \['EU NNP I-NP I-ORG'\]. Is `sep"):
        lmzoo.data.read_conll(write(tmp_path / "a.txt", CONLL_2003), separator="\t")


@pytest.mark.parametrize("option", [{"word": "0"}, {"tag": 1.5}, {"separator": ""}, {"comment": 1}])
def test_columns_are_numbers_and_marks_strings(tmp_path, option):
    ((name, value),) = option.items()
    with pytest.raises(TypeError, match=re.escape(f"Received: {name}={value!r}")):
        lmzoo.data.read_conll(write(tmp_path / "a.txt", CONLL_2003), **option)


def test_a_file_without_a_sentence_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"must not be empty. Received: '.*a\.txt'"):
        lmzoo.data.read_conll(write(tmp_path / "a.txt", ""))
    with pytest.raises(ValueError, match=r"one row each. Received: '.*a\.txt'"):
        lmzoo.data.read_conll(write(tmp_path / "a.txt", "-DOCSTART- -X- O O\n\n"))


def test_text_that_is_not_utf8_is_named_with_its_line(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes(CONLL_2003.encode().replace(b"Blackburn", b"Bl\xe4ckburn"))
    with pytest.raises(ValueError, match=r"a\.txt:12: .* UTF-8. Received: b'\\xe4"):
        lmzoo.data.read_conll(path)


def test_tags_are_turned_into_iob2_where_asked(tmp_path):
    rows = lmzoo.data.read_conll(write(tmp_path / "a.txt", CONLL_2003), iob2=True)
    assert [row["tags"] for row in rows] == [
        ["B-ORG", "O", "B-MISC", "O", "O"],
        ["B-PER", "I-PER", "B-PER"],
    ]


def test_a_tag_of_no_scheme_is_named_with_its_line(tmp_path):
    path = write(tmp_path / "a.txt", CONLL_2003)
    with pytest.raises(ValueError, match=r"a\.txt:3: `tags` must .* Received: 'NNP'"):
        lmzoo.data.read_conll(path, tag=1, iob2=True)
    for tag in ("X-PER", "B-", "PER", "o", "", None):
        with pytest.raises(ValueError, match=re.escape(f"Received: {tag!r}.")):
            lmzoo.data.to_iob2(["O", tag])


def spans_to_tags(spans, length, scheme):
    """Writes (first, last, type) spans in a scheme, from the schemes' definitions."""
    tags = ["O"] * length
    for first, last, kind in spans:
        for index in range(first, last + 1):
            touches = any(end == first - 1 and other == kind for _, end, other in spans)
            if scheme == "iob1":
                prefix = "B" if index == first and touches else "I"
            elif scheme == "iob2" or first < last:
                prefix = "B" if index == first else "I"
            else:
                prefix = {"iobes": "S", "bilou": "U"}[scheme]
            if scheme in ("iobes", "bilou") and first < last and index == last:
                prefix = {"iobes": "E", "bilou": "L"}[scheme]
            tags[index] = f"{prefix}-{kind}"
    return tags


def all_spans(first, length):
    """Every way to lay spans of two types over `length` words."""
    if first >= length:
        yield ()
        return
    yield from all_spans(first + 1, length)
    for last, kind in itertools.product(range(first, length), "XY"):
        for rest in all_spans(last + 1, length):
            yield ((first, last, kind), *rest)


@pytest.mark.parametrize("scheme", ["iob1", "iob2", "iobes", "bilou"])
def test_every_scheme_becomes_iob2(scheme):
    cases = list(all_spans(0, 5))
    assert len(cases) > 300
    for spans in cases:
        expected = spans_to_tags(spans, 5, "iob2")
        assert lmzoo.data.to_iob2(spans_to_tags(spans, 5, scheme)) == expected


def test_an_entity_that_never_began_begins_where_it_goes_on():
    tags = ["E-X", "I-X", "O", "L-Y", "B-X", "I-Y", "S-Y", "I-Y"]
    expected = ["B-X", "B-X", "O", "B-Y", "B-X", "B-Y", "B-Y", "B-Y"]
    assert lmzoo.data.to_iob2(tags) == expected
    assert lmzoo.data.to_iob2([]) == []


def test_sentences_come_in_ragged_batches(tmp_path):
    rows = lmzoo.data.read_conll(write(tmp_path / "a.txt", CONLL_2003))
    (batch,) = rows.dataset(2, shuffle=False)
    assert batch["words"].row_lengths().numpy().tolist() == [5, 3]
    assert batch["tags"].to_list()[1] == [b"I-PER", b"I-PER", b"B-PER"]


BAD = "a O\nb O\n\nc O\nd\n\ne O\nf WRONG\n\ng O\n"


def test_bad_sentences_are_an_error_or_skipped_and_counted(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text(BAD)
    with pytest.raises(ValueError, match=r'a.txt:5: A line must have 2 .*bad_rows="skip" to skip'):
        lmzoo.data.read_conll(path)
    message = r"^2 row\(s\) are bad and were skipped. The first: .*a.txt:5: A line must have 2"
    with pytest.warns(UserWarning, match=message) as seen:
        rows = lmzoo.data.read_conll(path, iob2=True, bad_rows="skip")
    assert len(seen) == 1 and seen[0].filename == __file__
    assert [row["words"] for row in rows] == [["a", "b"], ["g"]]
    assert [rows.place(index) for index in range(2)] == [f"{path}:1", f"{path}:10"]


def test_a_tag_that_is_no_iob_tag_is_named_or_skipped(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text(BAD.replace("\nd\n", "\nd O\n"))
    assert len(lmzoo.data.read_conll(path)) == 4
    with pytest.raises(ValueError, match=r"a.txt:8: `tags` must be O .* Received: 'WRONG'.*skip"):
        lmzoo.data.read_conll(path, iob2=True)
    with pytest.warns(UserWarning, match=r"^1 row\(s\) .*a.txt:8: `tags` .*'WRONG'"):
        assert len(lmzoo.data.read_conll(path, iob2=True, bad_rows="skip")) == 3


def test_bad_rows_of_conll_are_an_error_or_skipped(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("a O\n")
    with pytest.raises(ValueError, match=r"Received: bad_rows='ignore'"):
        lmzoo.data.read_conll(path, bad_rows="ignore")


def test_text_that_is_not_utf8_is_never_skipped(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes(b"a O\n\n" + b"\xff O\n" + b"b O\n" * 20)
    with pytest.raises(ValueError, match=r"a.txt:3: Text must be in UTF-8"):
        lmzoo.data.read_conll(path, bad_rows="skip")
