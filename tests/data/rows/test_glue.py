import pytest

import lmzoo

# The files' own first lines, and a row or two in their form.
QQP = "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate\n133273\t213221\t213222\tHow?\tWhy?\t1\n"
STSB = (
    "index\tgenre\tfilename\tyear\told_index\tsource1\tsource2\tsentence1\tsentence2\tscore\n"
    "0\tmain-captions\tMSRvid\t2012test\t0001\tnone\tnone\tA plane.\tAn air plane.\t5.000\n"
    "1\tmain-captions\tMSRvid\t2012test\t0004\tnone\tnone\tA man.\tA flute.\t3\n"
)
MNLI = (
    "index\tpromptID\tpairID\tgenre\tsentence1_binary_parse\tsentence2_binary_parse\t"
    "sentence1_parse\tsentence2_parse\tsentence1\tsentence2\tlabel1\tgold_label\n"
    "0\t31193\t31193n\tgovernment\t( a )\t( b )\t(ROOT a)\t(ROOT b)\tCream.\tProduct.\tneutral\t"
    "entailment\n"
)
MNLI_DEV = MNLI.replace("label1\t", "label1\tlabel2\tlabel3\tlabel4\tlabel5\t").replace(
    "Product.\tneutral\t", "Product.\tneutral\tneutral\tneutral\tneutral\tneutral\t"
)
MRPC = (
    "\ufeffQuality\t#1 ID\t#2 ID\t#1 String\t#2 String\r\n"
    '1\t702876\t702977\tHe called him " a witness " .\tReferring to him .\r\n'
)
TASKS = {
    "cola": (
        "gj04\t1\t\tOur friends won't buy this.\ngj04\t0\t*\tThey drank the pub.\n",
        [
            {"text": "Our friends won't buy this.", "label": "1"},
            {"text": "They drank the pub.", "label": "0"},
        ],
    ),
    "sst2": (
        "sentence\tlabel\nhide new secretions \t0\n",
        [{"text": "hide new secretions ", "label": "0"}],
    ),
    "mrpc": (
        MRPC,
        [
            {
                "text": 'He called him " a witness " .',
                "pair": "Referring to him .",
                "label": "1",
            }
        ],
    ),
    "qqp": (QQP, [{"text": "How?", "pair": "Why?", "label": "1"}]),
    "stsb": (
        STSB,
        [
            {"text": "A plane.", "pair": "An air plane.", "label": 5.0},
            {"text": "A man.", "pair": "A flute.", "label": 3.0},
        ],
    ),
    "mnli": (MNLI, [{"text": "Cream.", "pair": "Product.", "label": "entailment"}]),
    "qnli": (
        "index\tquestion\tsentence\tlabel\n0\tWhen?\tThen.\tnot_entailment\n",
        [{"text": "When?", "pair": "Then.", "label": "not_entailment"}],
    ),
    "rte": (
        "index\tsentence1\tsentence2\tlabel\n0\tNo weapons.\tWeapons.\tnot_entailment\n",
        [{"text": "No weapons.", "pair": "Weapons.", "label": "not_entailment"}],
    ),
    "wnli": (
        "index\tsentence1\tsentence2\tlabel\n0\tI stuck a pin.\tThe carrot.\t1\n",
        [{"text": "I stuck a pin.", "pair": "The carrot.", "label": "1"}],
    ),
}
TESTS = {
    "cola": ("index\tsentence\n0\tBill.\n", {"text": "Bill."}),
    "sst2": ("index\tsentence\n0\tuneasy \n", {"text": "uneasy "}),
    "mrpc": (
        "\ufeffindex\t#1 ID\t#2 ID\t#1 String\t#2 String\n0\t1\t2\tPCCW .\tNow .\n",
        {"text": "PCCW .", "pair": "Now ."},
    ),
    "qqp": ("id\tquestion1\tquestion2\n0\tHow?\tWhy?\n", {"text": "How?", "pair": "Why?"}),
    "qnli": ("index\tquestion\tsentence\n0\tWhat?\tAs of.\n", {"text": "What?", "pair": "As of."}),
    "rte": ("index\tsentence1\tsentence2\n0\tMan.\tWoman.\n", {"text": "Man.", "pair": "Woman."}),
}


def write(path, text):
    path.write_bytes(text.encode())
    return path


@pytest.mark.parametrize("task", sorted(TASKS))
def test_a_task_is_read_from_its_own_file(tmp_path, task):
    text, expected = TASKS[task]
    rows = lmzoo.data.read_glue(write(tmp_path / "train.tsv", text), task)
    assert list(rows) == expected
    assert rows.columns == tuple(expected[0])
    assert [type(row["label"]) for row in rows] == [type(row["label"]) for row in expected]


def test_the_development_file_of_mnli_has_more_columns(tmp_path):
    rows = lmzoo.data.read_glue(write(tmp_path / "dev_matched.tsv", MNLI_DEV), "mnli")
    assert list(rows) == TASKS["mnli"][1]


@pytest.mark.parametrize("task", sorted(TESTS))
def test_a_test_file_has_no_labels(tmp_path, task):
    text, expected = TESTS[task]
    rows = lmzoo.data.read_glue(write(tmp_path / "test.tsv", text), task)
    assert list(rows) == [expected] and rows.columns == tuple(expected)


def test_the_test_file_of_stsb_has_no_scores(tmp_path):
    text = "".join(line.rpartition("\t")[0] + "\n" for line in STSB.splitlines())
    rows = lmzoo.data.read_glue(write(tmp_path / "test.tsv", text), "stsb")
    assert list(rows)[0] == {"text": "A plane.", "pair": "An air plane."}


def test_the_corpus_of_mrpc_is_read_under_its_own_name(tmp_path):
    rows = lmzoo.data.read_glue(write(tmp_path / "msr_paraphrase_train.txt", MRPC), "mrpc")
    assert list(rows) == TASKS["mrpc"][1]


def test_several_files_are_one_after_the_other(tmp_path):
    matched = write(tmp_path / "dev_matched.tsv", MNLI_DEV)
    mismatched = write(tmp_path / "dev_mismatched.tsv", "\n" + MNLI_DEV)
    rows = lmzoo.data.read_glue([matched, mismatched], "mnli")
    assert list(rows) == 2 * TASKS["mnli"][1]
    assert [rows.place(index) for index in (0, 1)] == [f"{matched}:2", f"{mismatched}:3"]


@pytest.mark.parametrize("task", ["mrpc", "qqp", "rte"])
def test_files_with_labels_and_without_are_not_mixed(tmp_path, task):
    train = write(tmp_path / "train.tsv", TASKS[task][0])
    test = write(tmp_path / "test.tsv", TESTS[task][0])
    for files, found in (
        ([train, test], "train.tsv' with a"),
        ([test, train], "test.tsv' without"),
    ):
        with pytest.raises(ValueError, match=f"Received: .*{found}"):
            lmzoo.data.read_glue(files, task)


def test_an_unknown_task_is_told_with_those_there_are(tmp_path):
    with pytest.raises(ValueError, match=r"'cola', .*'wnli'\]. Received: task='snli'"):
        lmzoo.data.read_glue(write(tmp_path / "a.tsv", QQP), "snli")


def test_the_file_of_another_task_is_told_with_its_columns(tmp_path):
    path = write(tmp_path / "train.tsv", QQP)
    with pytest.raises(ValueError, match=r"text='sentence', but '.*' has \['id', 'qid1', "):
        lmzoo.data.read_glue(path, "sst2")
    with pytest.raises(ValueError, match=r"text=3, but '.*' has 2 columns"):
        lmzoo.data.read_glue(write(tmp_path / "dev.tsv", "a\tb\n"), "cola")


def test_a_score_that_is_no_number_is_named_with_its_line(tmp_path):
    path = write(tmp_path / "train.tsv", STSB.replace("5.000", "five"))
    with pytest.raises(ValueError, match=r"train\.tsv:2: `label` .* Received: 'five'"):
        lmzoo.data.read_glue(path, "stsb")


def test_an_empty_file_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"must not be empty. Received: '.*train\.tsv'"):
        lmzoo.data.read_glue(write(tmp_path / "train.tsv", ""), "sst2")
    with pytest.raises(ValueError, match=r"one row each. Received: '.*train\.tsv'"):
        lmzoo.data.read_glue(write(tmp_path / "train.tsv", "\n"), "sst2")


def test_short_rows_of_qqp_are_left_out_where_asked_and_counted(tmp_path):
    # A question with a line end in it: two rows, none of them whole.
    broken = "364011\t1\t2\tHow?\tWhy\n so?\t1\n"
    path = write(tmp_path / "train.tsv", QQP + broken + "5\t3\t4\tWho?\tWhom?\t0\n")
    with pytest.raises(
        ValueError, match=r"train\.tsv:3: A row must have 6 .*Received: 5 in .*skip"
    ):
        lmzoo.data.read_glue(path, "qqp")
    message = r"^2 row\(s\) .* The first: .*train\.tsv:3: A row must have 6 fields"
    with pytest.warns(UserWarning, match=message) as seen:
        rows = lmzoo.data.read_glue(path, "qqp", bad_rows="skip")
    assert len(seen) == 1 and seen[0].filename == __file__
    assert list(rows) == [*TASKS["qqp"][1], {"text": "Who?", "pair": "Whom?", "label": "0"}]
    assert rows.place(1) == f"{path}:5"
    with pytest.raises(ValueError, match="Received: bad_rows='ignore'"):
        lmzoo.data.read_glue(path, "qqp", bad_rows="ignore")
