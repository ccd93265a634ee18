"""Files of defaults; make_generation_files_golden.py wrote what transformers does with them."""

import json
import re
import warnings

import pytest

import lmzoo
from lmzoo.cli import main
from lmzoo.hub.files.generation_config import make_generation_config, read_generation
from tests.hub.golden_t5 import GOLDEN, read_expected, write_folder

RECORD = json.loads((GOLDEN / "generation_files.json").read_text(encoding="utf-8"))
# By default a beam search with all penalties, greedy search with one, and one with neither.
SHORT = {("llama", 5), ("qwen2", 1), ("mistral", 0)}
LLAMAS = [
    pytest.param(family, number, marks=[] if (family, number) in SHORT else pytest.mark.slow)
    for family in ("llama", "qwen2", "mistral")
    for number in range(6)
]
FILES = [
    pytest.param(case, id=case["family"], marks=[] if number in (0, 4) else pytest.mark.slow)
    for number, case in enumerate(RECORD["cases"])
]


@pytest.fixture(scope="module")
def tokenizer():
    return lmzoo.tokenizers.BytePairTokenizer.train(iter(["a cat, that hat"] * 9), 270)


def write(folder, **fields):
    (folder / "generation_config.json").write_text(json.dumps(fields), encoding="utf-8")
    return folder


def make_lm(tokenizer=None, **options):
    backbone = lmzoo.models.GPTBackbone(270, 1, 2, 8, max_sequence_length=12)
    return lmzoo.tasks.CausalLM(backbone, tokenizer, **options)


# The models of test_llama.py, token for token


@pytest.mark.quick("mistral-0")
@pytest.mark.parametrize(("family", "number"), LLAMAS)
def test_generation_is_that_of_transformers_token_for_token(tmp_path, eagerly, family, number):
    record = read_expected(family)["record"]
    case = record["cases"][number]
    lm = lmzoo.load(write_folder(tmp_path / "a", family), dtype="float64")
    lm.end_token_ids = record["ends"]
    got = lm.generate(record["prompts"], max_new_tokens=16, return_prompt=False, **case["options"])
    assert got == case["ids"]


# Reading


@pytest.mark.quick("llama")
@pytest.mark.parametrize("case", FILES)
def test_a_file_alone_makes_generate_do_what_transformers_does(tmp_path, eagerly, case):
    folder = write(write_folder(tmp_path / "a", case["family"]), **case["file"])
    lm = lmzoo.load(folder, dtype="float64")
    assert lm.generate(RECORD["prompts"], return_prompt=False) == case["ids"]
    # And without it something else.
    lm.generation_defaults, lm.end_token_ids = None, None
    assert lm.generate(RECORD["prompts"], max_new_tokens=14, return_prompt=False) != case["ids"]


@pytest.mark.parametrize(
    ("value", "ends"),
    [
        *((4, [4]), ([4, 0], [4, 0]), (None, None), (-1, None), (10, None), ([4, 50256], [4])),
        *(("4", None), ([], None), (True, None)),
    ],
    ids=str,
)
def test_without_a_file_the_end_tokens_of_the_config_are_used(tmp_path, value, ends):
    wanted = {} if ends is None else {"end_token_ids": ends}
    assert read_generation(tmp_path, 10, config={"eos_token_id": value}) == wanted
    # With one they do not, as in transformers.
    found = read_generation(write(tmp_path), 10, config={"eos_token_id": value})
    assert found == {"generation_defaults": {}, "end_token_ids": None}


def test_the_end_token_of_the_tokenizer_is_not_repeated_from_the_config(tmp_path, tokenizer):
    config = {"eos_token_id": tokenizer.end_token_id}
    assert read_generation(tmp_path, 270, tokenizer, config=config) == {}
    config = {"eos_token_id": [tokenizer.end_token_id, 7]}
    found = read_generation(tmp_path, 270, tokenizer, config=config)
    assert found == {"end_token_ids": [tokenizer.end_token_id, 7]}


def test_a_model_without_a_file_stops_where_its_config_says(edit_golden, eagerly):
    free = lmzoo.load(edit_golden(eos_token_id=None)).generate(
        [[1, 2, 3]], max_new_tokens=8, return_prompt=False
    )[0]
    lm = lmzoo.load(edit_golden(eos_token_id=[free[3]]))
    found = lm.generate([[1, 2, 3]], max_new_tokens=8, return_prompt=False)[0]
    assert found == free[: free.index(free[3]) + 1] and len(found) < len(free) == 8


@pytest.mark.parametrize(
    ("fields", "options", "ends"),
    [
        ({}, {}, None),
        ({"eos_token_id": 7, "pad_token_id": -1, "bos_token_id": 3}, {}, [7]),
        ({"eos_token_id": [7, 8], "transformers_version": "5.0"}, {}, [7, 8]),
        ({"do_sample": False, "temperature": 0.6, "top_k": 20, "min_p": 0.1}, {}, None),
        ({"temperature": 0.6}, {}, None),
        ({"do_sample": True}, {"temperature": 1.0, "top_k": 50}, None),
        (
            {"do_sample": True, "temperature": 0.6, "top_k": 0, "top_p": 0.9, "min_p": 0.1},
            {"temperature": 0.6, "top_k": 0, "top_p": 0.9, "min_p": 0.1},
            None,
        ),
        ({"num_beams": 1, "repetition_penalty": 1.0, "early_stopping": False}, {}, None),
        (
            {"num_beams": 4, "length_penalty": 2, "early_stopping": "never"},
            {"num_beams": 4, "length_penalty": 2.0, "early_stopping": "never"},
            None,
        ),
        ({"max_new_tokens": 9, "max_length": 20}, {"max_new_tokens": 9}, None),
        ({"typical_p": 1.0, "forced_eos_token_id": None, "bad_words_ids": []}, {}, None),
    ],
    ids=str,
)  # fmt: skip
def test_fields_become_options(tmp_path, fields, options, ends):
    found = read_generation(write(tmp_path, **fields), 10)
    assert found == {"generation_defaults": options, "end_token_ids": ends}


def test_without_a_file_nothing_is_said(tmp_path):
    assert read_generation(tmp_path, 10) == {}


@pytest.mark.parametrize(
    ("fields", "options"),
    [
        ({"max_length": 20, "min_length": 1}, {"max_new_tokens": 19}),
        ({"max_length": 20, "max_new_tokens": 5, "min_length": 6},
         {"max_new_tokens": 5, "min_new_tokens": 5}),
    ],
    ids=str,
)  # fmt: skip
def test_lengths_of_a_seq2seq_count_its_start_token(tmp_path, fields, options):
    fields["decoder_start_token_id"] = 3
    found = read_generation(write(tmp_path, **fields), 10, start_token_id=3)
    assert found["generation_defaults"] == options


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"max_length": 20}, "max_length=20"),
        ({"min_length": 3, "forced_eos_token_id": 2}, "forced_eos_token_id=2, min_length=3"),
        ({"bad_words_ids": [[1]]}, "bad_words_ids=[[1]]"),
        ({"do_sample": True, "num_beams": 2}, "do_sample=True"),
        ({"stop_strings": ["a"]}, "stop_strings=['a']"),
        ({"decoder_start_token_id": 2}, "decoder_start_token_id=2"),
        ({"num_return_sequences": 3}, "num_return_sequences=3"),
        ({"typical_p": 0.9, "something_new": {"a": 1}}, "something_new={'a': 1}, typical_p=0.9"),
    ],
    ids=str,
)
def test_one_warning_names_the_unsupported_fields(tmp_path, fields, named):
    with pytest.warns(UserWarning, match=f"leaves out: {re.escape(named)}. Received") as caught:
        read_generation(write(tmp_path, **fields), 10)
    assert len(caught) == 1


@pytest.mark.parametrize(
    ("fields", "ends", "named"),
    [
        (
            {"_from_model_config": True, "bos_token_id": 50256, "eos_token_id": 50256},
            None,
            "bos_token_id=50256, eos_token_id=50256",
        ),
        ({"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 10}, [2], "pad_token_id=10"),
        ({"eos_token_id": -1}, None, "eos_token_id=-1"),
        ({"eos_token_id": [3, 50256, 3]}, [3], "eos_token_id=50256"),
        ({"decoder_start_token_id": 10}, None, "decoder_start_token_id=10"),
    ],
    ids=str,
)
def test_ids_outside_the_vocabulary_are_passed_over_with_one_warning(tmp_path, fields, ends, named):
    said = f"outside the vocabulary of 10 tokens and leaves out: {named}. Received"
    with pytest.warns(UserWarning, match=re.escape(said)) as caught:
        found = read_generation(write(tmp_path, **fields), 10)
    assert len(caught) == 1
    assert found == {"generation_defaults": {}, "end_token_ids": ends}


def test_thirty_thousand_equal_end_tokens_are_one(tmp_path):
    found = read_generation(write(tmp_path, eos_token_id=[7] * 30_000), 10)
    assert found["end_token_ids"] == [7]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("max_new_tokens", 0),
        ("max_new_tokens", "12"),
        ("min_new_tokens", -1),
        ("num_beams", 2.0),
        ("num_beams", 10**9),
        ("no_repeat_ngram_size", True),
        ("repetition_penalty", 0),
        ("length_penalty", float("inf")),
        ("temperature", "hot"),
        ("top_k", -1),
        ("top_p", 1.5),
        ("min_p", float("nan")),
        ("do_sample", "yes"),
        ("early_stopping", 1),
        ("eos_token_id", "2"),
        ("pad_token_id", 1.0),
        ("bos_token_id", "1"),
        ("decoder_start_token_id", True),
        ("num_beams", 2**20),
        ("num_return_sequences", 2**22),
        ("num_return_sequences", 0),
    ],
)
def test_a_field_that_cannot_be_is_refused_by_its_name(tmp_path, field, value):
    with pytest.raises(ValueError) as caught:
        read_generation(write(tmp_path, **{field: value}), 10)
    assert f"cannot be used: `{field}` must be " in str(caught.value)
    assert f"Received: {field}={value!r}." in str(caught.value)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"eos_token_id": [1, "a"]}, "Received: eos_token_id='a'"),
        ({"stop_strings": [""]}, "Received: stop_strings=['']"),
        ({"num_beams": 2, "num_return_sequences": 3}, "Received: num_return_sequences=3"),
        ({"lmzoo_options": {"seed": 1.5}}, "Received: seed=1.5"),
        ({"lmzoo_options": {"temperature": 1}}, "Received: {'temperature': 1}"),
        ({"lmzoo_options": {"early_stopping": "soon"}}, "Received: early_stopping='soon'"),
        ({"lmzoo_options": {"bad_words": "x", "presence_penalty": "y"}}, "presence_penalty='y'"),
    ],
    ids=str,
)
def test_fields_that_cannot_be_are_refused(tmp_path, fields, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        read_generation(write(tmp_path, **fields), 10)


def test_a_stranger_s_field_does_not_steer_the_terminal(tmp_path):
    with pytest.warns(UserWarning, match=r"leaves out: '\\x1b\[2Jx'=1. Received") as caught:
        read_generation(write(tmp_path, **{"\x1b[2Jx": 1}), 10)
    assert str(caught[0].message).isprintable()


def test_a_file_that_is_no_object_or_too_large_is_refused(tmp_path):
    path = tmp_path / "generation_config.json"
    path.write_text("[1]")
    with pytest.raises(ValueError, match="must hold a JSON object. Received: .*list"):
        read_generation(tmp_path, 10)
    path.write_text(" " * (2**21 + 1))
    with pytest.raises(ValueError, match="must have at most 2097152 bytes. Received: .*2097153"):
        read_generation(tmp_path, 10)


# Writing

DEFAULTS = [
    {"temperature": 0.7},
    {"temperature": 0, "top_k": 5, "max_new_tokens": 9},
    {"top_p": 0.9},
    {"temperature": 1, "top_k": 3, "min_p": 0.1, "seed": 5},
    {"num_beams": 4, "length_penalty": 2, "early_stopping": True, "num_return_sequences": 2},
    {"length_penalty": 0.5, "early_stopping": "never"},
    {"stop_strings": ["\n"], "bad_words": ["hat"], "presence_penalty": 0.5},
    {"num_beams": 1, "repetition_penalty": 1.2, "no_repeat_ngram_size": 3, "min_new_tokens": 2},
]


@pytest.mark.parametrize("defaults", DEFAULTS, ids=str)
def test_what_is_written_is_read_back_as_the_same_bytes(tmp_path, tokenizer, defaults):
    lm = make_lm(tokenizer, generation_defaults=defaults, end_token_ids=[3, 4])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = read_generation(write(tmp_path, **make_generation_config(lm)), 270, tokenizer)
    again = make_lm(tokenizer, **found)
    assert again.end_token_ids == (3, 4)
    assert make_generation_config(again) == make_generation_config(lm)
    # All the same to `generate`.
    rules = [one.make_options({}).make_static_options((), 64) for one in (lm, again)]
    assert rules[0] == rules[1]
    options = [one.make_options({"seed": 1}) for one in (lm, again)]
    for name in (
        "num_beams",
        "num_return_sequences",
        "early_stopping",
        "stop_strings",
        "bad_words",
    ):
        assert getattr(options[0], name) == getattr(options[1], name)
    parameters = [one.make_parameters(1) for one in options]
    for name, value in parameters[0].items():
        if rules[0].sampled or name not in ("top_k", "top_p", "min_p"):
            assert value.numpy() == parameters[1][name].numpy(), name


def test_a_folder_saved_twice_has_the_same_bytes(tmp_path, tokenizer):
    defaults = {"num_beams": 4, "no_repeat_ngram_size": 2, "stop_strings": ["\n"]}
    make_lm(tokenizer, generation_defaults=defaults).save_pretrained(tmp_path / "a")
    lm = lmzoo.load(tmp_path / "a")
    assert dict(lm.generation_defaults) == defaults and lm._end_token_ids is None
    lm.save_pretrained(tmp_path / "b")
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()


def test_a_task_that_knows_nothing_writes_no_file(tmp_path):
    assert make_generation_config(make_lm()) is None
    make_lm().save_pretrained(tmp_path / "a")
    assert not (tmp_path / "a" / "generation_config.json").exists()


def test_a_seq2seq_says_what_its_decoder_begins_with():
    backbone = lmzoo.models.T5Backbone(
        20, num_layers=1, num_heads=2, hidden_dim=8, head_dim=4, intermediate_dim=8
    )
    lm = lmzoo.tasks.Seq2SeqLM(backbone, start_token_id=5, end_token_ids=[1])
    assert make_generation_config(lm) == {"eos_token_id": 1, "decoder_start_token_id": 5}


@pytest.mark.parametrize("defaults", DEFAULTS, ids=str)
def test_transformers_reads_it_without_a_word(tmp_path, tokenizer, defaults, caplog):
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    lm = make_lm(tokenizer, generation_defaults=defaults)
    folder = write(tmp_path, **make_generation_config(lm))
    config = transformers.GenerationConfig.from_pretrained(folder)
    assert not caplog.records and config.eos_token_id == tokenizer.end_token_id


# Numbers that would never end


@pytest.fixture(scope="module")
def saved(tmp_path_factory, tokenizer):
    folder = tmp_path_factory.mktemp("saved") / "model"
    make_lm(tokenizer).save_pretrained(folder)
    return folder


@pytest.mark.quick("ngrams_and_equal_end_tokens")
@pytest.mark.parametrize(
    "fields",
    [
        {
            "no_repeat_ngram_size": 2000,
            "eos_token_id": [7] * 30_000,
            "max_new_tokens": 2**24,
        },
        {"eos_token_id": list(range(1, 270)), "min_new_tokens": 2**24},
    ],
    ids=["ngrams_and_equal_end_tokens", "end_tokens"],
)
def test_a_folder_that_asks_for_too_much_generates_what_fits_the_model(saved, fields):
    lm = lmzoo.load(write(saved, **fields))
    text, score = lm.generate("a", return_scores=True)
    assert text.startswith("a") and score < 0
    (graph,) = (graph for key, graph in lm.graphs.items() if key[0] == "generate")
    nodes = graph.get_concrete_function().graph.as_graph_def()
    assert len(nodes.node) + sum(len(f.node_def) for f in nodes.library.function) < 2500


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"num_beams": 2**20}, "`num_beams` must be an integer from 1 to 1024"),
        ({"num_return_sequences": 2**22, "do_sample": True}, "from 1 to 1024. Received"),
        ({"stop_strings": ["a" * 2**20]}, "at most 512 bytes. Received: 1 strings"),
        (
            {"stop_strings": [str(n) for n in range(999)]},
            "`stop_strings` must hold at most 128 strings .* Received: 999 strings",
        ),
    ],
    ids=["num_beams", "num_return_sequences", "a_stop_string", "stop_strings"],
)
def test_a_folder_that_asks_for_what_no_machine_has_is_refused(saved, tmp_path, fields, message):
    write(saved, **fields)
    with pytest.raises(ValueError, match=message):
        lmzoo.load(saved)
    assert main(["convert", str(saved), str(tmp_path / "out")]) != 0
    assert main(["info", str(saved)]) == 0
