import os
import pathlib
import re
import resource
import sys

import numpy as np
import pytest

import lmzoo
from lmzoo.tasks import CausalLM
from tests.export.graph_files import read_graph
from tests.export.killed_export import export_and_die
from tests.export.serving_process import ServingError, encode
from tests.export.tiny_lm import CONTEXT, TEXT, make_task

PROMPTS = ["a cat", "", "the rat ate", "naïve 猫 🙂", "  two  spaces\n", "that hat on", "x"]
GREEDY = {
    "max_new_tokens": np.int32(8),
    "temperature": np.float32(0),
    "top_k": np.int32(0),
    "top_p": np.float32(1),
    "seed": np.int32(0),
}
SAMPLED = {"temperature": 0.8, "top_k": 20, "top_p": 0.95}
OPTIONS = {"stop_strings": ["at"], "bad_words": ["cat"], "repetition_penalty": 1.3}
BARE = {**SAMPLED, "seed": 5, "return_prompt": False}
# Single characters that no merge joins: so many characters are so many tokens.
DIGITS = "0123456789"


def scalars(**values):
    """The inputs of the signature `generate`, those of GREEDY where nothing else is said."""
    return {
        name: np.asarray(values.get(name, default), default.dtype)
        for name, default in GREEDY.items()
    }


def to_text(texts):
    return [text.decode("utf-8", "replace") for text in texts]


def left_aligned(rows, side="right"):
    width = max(map(len, rows))
    ids, mask = np.zeros((len(rows), width), np.int32), np.zeros((len(rows), width), bool)
    for index, row in enumerate(rows):
        part = slice(None, len(row)) if side == "right" else slice(width - len(row), None)
        ids[index, part], mask[index, part] = row, True
    return {"token_ids": ids, "padding_mask": mask}


# What is served


def test_a_process_with_tensorflow_alone_completes_text(server, lm, export):
    got = server.call(export(), "serving_default", text=PROMPTS)
    wanted, scores = lm.generate(PROMPTS, max_new_tokens=8, return_scores=True)
    assert to_text(got["text"]) == wanted
    np.testing.assert_allclose(got["log_prob"], scores, rtol=1e-5, atol=1e-5)
    assert len(set(wanted)) == len(PROMPTS)
    assert server.ask("imported") == []


def test_the_signatures_are_as_documented(server, export):
    text, one = ["string", [None]], ["float32", [None]]
    texts = {"text": text, "log_prob": one}
    chosen = {name: [value.dtype.name, None] for name, value in GREEDY.items()}
    ids, mask = ["int32", [None, None]], ["bool", [None, None]]
    got = server.ask("describe", folder=str(export()))
    assert got == {
        "serving_default": [{"text": text}, texts],
        "generate": [{"text": text, **chosen}, texts],
        "tokens": [
            {"token_ids": ids, "padding_mask": mask},
            {"token_ids": ids, "padding_mask": mask, "log_prob": one},
        ],
        "self_test": [{}, {"passed": ["bool", None]}],
    }


@pytest.mark.parametrize("batch_size", [1, 2, 3, 7, 8, 33])
def test_every_batch_size_gives_each_row_what_it_gets_alone(server, lm, export, batch_size):
    prompts = [PROMPTS[index % len(PROMPTS)] + "a" * (index % 5) for index in range(batch_size)]
    got = server.call(export(), "generate", text=prompts, **scalars())
    wanted, scores = lm.generate(prompts, max_new_tokens=8, temperature=0.0, return_scores=True)
    assert to_text(got["text"]) == wanted
    np.testing.assert_allclose(got["log_prob"], scores, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("length", [1, 2, 15, 16, 17, CONTEXT - 1, CONTEXT])
def test_every_length_of_prompt_up_to_the_context_is_served(server, lm, export, length):
    prompt = (DIGITS * 4)[:length]
    assert len(lm.tokenizer.tokenize(prompt)) == length
    got = server.call(export(), "generate", text=[prompt, "a"], **scalars())
    assert to_text(got["text"]) == lm.generate([prompt, "a"], max_new_tokens=8)
    if length == CONTEXT:
        assert got["text"][0] == prompt.encode() and got["log_prob"][0] == 0


@pytest.mark.parametrize("side", ["right", "left"])
def test_tokens_are_those_of_the_task_on_ids(server, lm, export, side):
    generator = np.random.default_rng(0)
    rows = [generator.integers(1, 285, n).tolist() for n in (1, 2, 15, 16, 17, 24)]
    got = server.call(export(), "tokens", **left_aligned(rows, side))
    pairs = zip(got["token_ids"], got["padding_mask"], strict=True)
    new = [row[mask].tolist() for row, mask in pairs]
    wanted = CausalLM(lm.backbone).generate(rows, max_new_tokens=8, return_prompt=False)
    # The task without a tokenizer knows no end token, and gives prompts of ids back.
    wanted = [row[-8:] for row in wanted]
    end = lm.tokenizer.end_token_id
    assert new == [row[: row.index(end) + 1] if end in row else row for row in wanted]


def test_ids_alone_are_served_by_a_task_without_a_tokenizer(server, lm, export):
    bare = CausalLM(lm.backbone)
    folder = export(bare)
    assert sorted(server.ask("describe", folder=str(folder))) == ["self_test", "tokens"]
    rows = [[5, 6, 7], [9, 10, 11]]
    got = server.call(folder, "tokens", **left_aligned(rows))
    wanted = np.array(bare.generate(rows, max_new_tokens=8))[:, -8:]
    np.testing.assert_array_equal(got["token_ids"], wanted)


# What a request may choose


@pytest.mark.parametrize("seed", [0, 1, -7, 2**31 - 1])
def test_the_same_seed_draws_the_same_texts(server, lm, export, seed):
    got = server.call(export(), "generate", text=PROMPTS, **scalars(**SAMPLED, seed=seed))
    wanted = lm.generate(PROMPTS, max_new_tokens=8, **SAMPLED, seed=seed)
    assert to_text(got["text"]) == wanted
    assert wanted != lm.generate(PROMPTS, max_new_tokens=8)


def test_each_row_may_have_its_own_numbers(server, lm, export):
    chosen = {
        "max_new_tokens": [0, 1, 8, 3],
        "temperature": [0.0, 1.5, 0.7, 0.0],
        "top_k": [0, 5, 0, 1],
        "top_p": [1.0, 0.9, 0.5, 1.0],
    }
    got = server.call(export(), "generate", text=PROMPTS[:4], **scalars(**chosen, seed=3))
    assert to_text(got["text"]) == lm.generate(PROMPTS[:4], **chosen, seed=3)
    assert to_text(got["text"])[0] == PROMPTS[0]


def test_more_tokens_than_the_context_holds_end_with_it(server, lm, export):
    got = server.call(export(), "generate", text=["a cat"], **scalars(max_new_tokens=10**6))
    assert to_text(got["text"]) == lm.generate(["a cat"], max_new_tokens=CONTEXT)


def assert_both_signatures_give(server, folder, wanted):
    for signature, inputs in (("serving_default", {}), ("generate", scalars())):
        got = server.call(folder, signature, text=PROMPTS, **inputs)
        assert to_text(got["text"]) == wanted


def test_options_are_baked_into_every_signature(server, lm, export):
    folder = export(truncate_prompts=True, **OPTIONS)
    wanted = lm.generate(PROMPTS, max_new_tokens=8, **OPTIONS)
    assert_both_signatures_give(server, folder, wanted)
    assert wanted != lm.generate(PROMPTS, max_new_tokens=8)


@pytest.mark.slow
def test_sampling_is_baked_in_with_its_seed_and_the_prompt_may_be_left_out(server, lm, export):
    got = server.call(export(**BARE), "serving_default", text=PROMPTS)
    assert to_text(got["text"]) == lm.generate(PROMPTS, max_new_tokens=8, **BARE)


@pytest.mark.slow
def test_beams_are_served(server, lm, export):
    folder = export(num_beams=3, length_penalty=0.5)
    wanted = lm.generate(PROMPTS, max_new_tokens=8, num_beams=3, length_penalty=0.5)
    assert_both_signatures_give(server, folder, wanted)
    assert wanted != lm.generate(PROMPTS, max_new_tokens=8)


@pytest.mark.slow
def test_a_compiled_artefact_says_the_same(server, lm, export):
    folder = export(jit_compile=True)
    got = server.call(folder, "generate", text=PROMPTS, **scalars())
    assert to_text(got["text"]) == lm.generate(PROMPTS, max_new_tokens=8)


# What is refused, by a process that lives on

GOOD = {"text": ["a cat"], **scalars()}
IDS = left_aligned([[5, 6], [7]])
REFUSED = {
    "a prompt beyond the context": ("generate", {"text": [(DIGITS * 4)[: CONTEXT + 1]]}),
    "a temperature below 0": ("generate", {"temperature": np.float32(-0.1)}),
    "a temperature that is no number": ("generate", {"temperature": np.float32("nan")}),
    "a temperature without end": ("generate", {"temperature": np.float32("inf")}),
    "a top_p of 0": ("generate", {"top_p": np.float32(0)}),
    "a top_p above 1": ("generate", {"top_p": np.float32(1.5)}),
    "a top_k below 0": ("generate", {"top_k": np.int32(-1)}),
    "fewer than no tokens": ("generate", {"max_new_tokens": np.int32(-1)}),
    "numbers for other rows": ("generate", {"top_k": np.array([1, 2, 3], np.int32)}),
    "text of another type": ("generate", {"text": np.array([1, 2])}),
    "text of another rank": ("generate", {"text": [["a", "b"]]}),
    "a number of another type": ("generate", {"top_k": np.float32(1)}),
    "an unknown input": ("generate", {"top_q": np.float32(1)}),
    "ids beyond the vocabulary": ("tokens", {"token_ids": np.array([[5, 285], [7, 0]], np.int32)}),
    "negative ids": ("tokens", {"token_ids": np.array([[5, -1], [7, 0]], np.int32)}),
    "ids of another type": ("tokens", {"token_ids": np.zeros([2, 2], np.float32)}),
    "ids of another rank": ("tokens", {"token_ids": np.array([5, 6], np.int32)}),
    "a mask of another shape": ("tokens", {"padding_mask": np.ones([2, 3], bool)}),
    "a row without a token": ("tokens", {"padding_mask": np.array([[True, True], [False, False]])}),
    "too many ids": ("tokens", left_aligned([[5] * (CONTEXT + 1)])),
    "far too many ids": ("tokens", left_aligned([[5], [5] * 20_000])),
    "a mask that would be broadcast": ("tokens", {"padding_mask": np.ones([1, 2], bool)}),
}
SAID = {
    "a prompt beyond the context": f"context of {CONTEXT} tokens. Received: row 0 of 33 tokens",
    "too many ids": f"context of {CONTEXT} tokens. Received: row 0 of 33 tokens",
    "far too many ids": f"context of {CONTEXT} tokens. Received: row 1 of 20000 tokens",
    "text of another rank": r"Shape of tensor text \[1,2\] is not compatible",
    "ids of another rank": r"Shape of tensor token_ids \[2\] is not compatible",
    "a mask of another shape": "`padding_mask` must have the shape of `token_ids`",
    "a mask that would be broadcast": "`padding_mask` must have the shape of `token_ids`",
    "numbers for other rows": "`top_k` must be one number, or one for each row",
    "a temperature below 0": "`temperature` must be finite and at least 0",
    "a temperature that is no number": "`temperature` must be finite and at least 0",
    "a temperature without end": "`temperature` must be finite and at least 0",
    "a top_p of 0": r"`top_p` must be in \(0, 1\]",
    "a top_p above 1": r"`top_p` must be in \(0, 1\]",
    "a top_k below 0": "`top_k` must be at least 0",
    "fewer than no tokens": "`max_new_tokens` must be at least 0",
    "negative ids": "`token_ids` must be from 0 to 284",
    "ids beyond the vocabulary": "`token_ids` must be from 0 to 284",
    "a row without a token": "Each row of `padding_mask` must have a True",
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_bad_request_is_an_error_and_the_next_one_is_answered(server, lm, export, case):
    signature, inputs = REFUSED[case]
    inputs = {**(GOOD if signature == "generate" else IDS), **inputs}
    with pytest.raises(ServingError, match=SAID.get(case, "Error")):
        server.call(export(), signature, **inputs)
    got = server.call(export(), "serving_default", text=["a cat"])
    assert to_text(got["text"]) == lm.generate(["a cat"], max_new_tokens=8)


def test_an_overlong_prompt_may_lose_its_left_side(server, lm, export):
    folder = export(truncate_prompts=True, **OPTIONS)
    long, room = (DIGITS * 9)[:80], 8
    kept = long[-(CONTEXT - room) :]
    prompts = ["a cat", long, DIGITS * 3]
    for signature, inputs in (("serving_default", {}), ("generate", scalars())):
        texts = to_text(server.call(folder, signature, text=prompts, **inputs)["text"])
        whole = lm.generate(["a cat", kept, DIGITS * 3], max_new_tokens=room, **OPTIONS)
        assert texts == [whole[0], long + whole[1][len(kept) :], whole[2]]
    # However many tokens are asked for, half of the context is kept.
    inputs = scalars(max_new_tokens=10**6)
    (text,) = to_text(server.call(folder, "generate", text=[long], **inputs)["text"])
    kept = long[-CONTEXT // 2 :]
    assert text == long + lm.generate(kept, max_new_tokens=CONTEXT // 2, **OPTIONS)[len(kept) :]


def test_weights_that_are_not_finite_are_not_exported(tokenizer, tmp_path):
    lm = make_task(tokenizer)
    lm.backbone.final_norm.gamma.assign(np.full(16, np.nan))
    with pytest.raises(ValueError, match="must be finite .* Received: .*final_norm/gamma"):
        lm.export(tmp_path / "1")
    assert not (tmp_path / "1").exists()


def test_a_batch_of_nothing_is_answered_with_nothing(server, export):
    for signature, inputs in (("serving_default", {}), ("generate", scalars())):
        got = server.call(export(), signature, text=[], **inputs)
        assert got["text"] == [] and got["log_prob"].shape == (0,)


def test_no_new_tokens_give_the_prompts_back(server, lm, export):
    got = server.call(export(), "generate", text=PROMPTS, **scalars(max_new_tokens=0))
    assert to_text(got["text"]) == PROMPTS == lm.generate(PROMPTS, max_new_tokens=0)
    np.testing.assert_array_equal(got["log_prob"], np.zeros(len(PROMPTS), np.float32))


def test_text_that_is_not_utf8_is_read_with_replacements(server, lm, export):
    broken = [b"\xff\xfe a cat", b"\xc3", b"a\x80\xed\xa0\x80", b"\0\0"]
    got = server.call(export(), "generate", text=broken, **scalars())
    mended = [text.decode("utf-8", "replace") for text in broken]
    assert to_text(got["text"]) == lm.generate(mended, max_new_tokens=8)


def test_many_threads_get_each_their_own_answer(server, lm, export):
    cases = []
    for index in range(8):
        text = [PROMPTS[index % 7] + DIGITS[index], "a " * index]
        chosen = {"temperature": 0.5 * (index % 3), "max_new_tokens": index + 1, "seed": index}
        inputs = {"text": text, **scalars(**chosen)}
        wanted = server.call(export(), "generate", **inputs)["text"]
        assert to_text(wanted) == lm.generate(text, **chosen)
        inputs = {name: encode(value) for name, value in inputs.items()}
        cases.append({"inputs": inputs, "text": [text.hex() for text in wanted]})
    assert server.ask("hammer", folder=str(export()), cases=cases, rounds=20) == 0


@pytest.mark.slow
def test_many_requests_take_no_more_memory(server, export):
    inputs = [
        {name: encode(v) for name, v in {"text": [text] * size, **scalars()}.items()}
        for text in PROMPTS
        for size in (1, 3, 8)
    ]
    arguments = {"folder": str(export()), "inputs": inputs, "warm": 100}
    assert server.ask("grow", **arguments, rounds=500) < 10 * 2**20


# What is written


def functions_that_must_compile(folder):
    library = read_graph(folder).graph_def.library
    return [f.signature.name for f in library.function if f.attr["_XlaMustCompile"].b]


def test_nothing_must_be_compiled_unless_the_caller_asks(lm, export):
    assert functions_that_must_compile(export()) == []
    assert b"_XlaMustCompile" not in (export() / "saved_model.pb").read_bytes()
    # Ids alone have one graph to trace, not three.
    bare = CausalLM(lm.backbone)
    assert functions_that_must_compile(export(bare, jit_compile=True))


def test_every_op_is_tensorflows_own(export):
    graph = read_graph(export())
    ops = {node.op for node in graph.graph_def.node}
    for function in graph.graph_def.library.function:
        ops |= {node.op for node in function.node_def}
    # Python or a random source of the process would not travel.
    assert not [op for op in ops if re.match("(Eager)?PyFunc|RandomUniform|RandomStandard", op)]
    assert {"StatelessWhile", "While"} & ops


def test_an_artefact_tells_nothing_of_where_it_was_made(export):
    root = pathlib.Path(lmzoo.__file__).parents[1]
    secrets = {str(root), str(pathlib.Path.home()), sys.prefix, str(export()), TEXT[:24]}
    secrets |= {os.environ.get("USER") or "/home/", "Traceback", ".py"}
    for path in export().rglob("*"):
        content = path.read_bytes() if path.is_file() else b""
        found = [secret for secret in secrets if len(secret) > 2 and secret.encode() in content]
        assert found == [], path.name


def test_a_saved_model_appears_whole_and_replaces_only_when_told(tmp_path, lm, other_lm, export):
    folder = export()
    files = sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())
    assert files == [
        "README.md",
        "assets.extra/tf_serving_warmup_requests",
        "fingerprint.pb",
        "saved_model.pb",
        "variables/variables.data-00000-of-00001",
        "variables/variables.index",
    ]
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "vocab.txt").write_text("mine")
    with pytest.raises(FileExistsError, match="`folder` must be new or empty. Received: .*mine'"):
        lm.export(tmp_path / "mine")
    assert os.listdir(tmp_path / "mine") == ["vocab.txt"]
    CausalLM(lm.backbone).export(tmp_path / "mine", overwrite=True)
    assert "vocab.txt" not in os.listdir(tmp_path / "mine")
    assert os.listdir(tmp_path) == ["mine"]


def test_a_full_disk_is_told_in_words_and_the_old_model_stays(tmp_path, lm):
    (tmp_path / "1").mkdir()
    (tmp_path / "1" / "saved_model.pb").write_text("old")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    # To the writer it is a disk on which no file may grow beyond 4 kB.
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        with pytest.raises(OSError, match="File too large; nothing was changed: .*1'"):
            CausalLM(lm.backbone).export(tmp_path / "1", overwrite=True)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert os.listdir(tmp_path) == ["1"] and os.listdir(tmp_path / "1") == ["saved_model.pb"]


KILLED = """
import os, signal, sys
import tensorflow as tf
import lmzoo

def die(*arguments, **kwargs):
    os.kill(os.getpid(), signal.SIGKILL)

save = tf.saved_model.save

def save_and_die(module, folder, **kwargs):
    save(module, folder, **kwargs)
    os.remove(os.path.join(folder, "variables", "variables.index"))
    die()

tf.saved_model.save = save_and_die
backbone = lmzoo.models.GPTBackbone(9, num_layers=1, num_heads=1, hidden_dim=2)
lmzoo.tasks.CausalLM(backbone).export(sys.argv[1], overwrite=True)
"""


@pytest.mark.slow
def test_an_export_that_is_killed_leaves_the_old_one_whole(tmp_path):
    folder = tmp_path / "1"
    export_and_die(KILLED, folder)
    # A server looks at names that are numbers: the half-written one is none.
    others = [path.name for path in tmp_path.iterdir() if path != folder]
    assert others and all(name.startswith(".1-") for name in others)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_return_sequences": 2, "temperature": 1.0}, "Received: num_return_sequences=2"),
        ({"temperature": -1.0}, "`temperature` must be .* at least 0. Received: temperature=-1.0"),
        ({"top_k": [3, 4]}, r"`top_k` must be one number .* Received: top_k=\[3, 4\]"),
        ({"top_p": 0.0}, r"`top_p` must be in \(0, 1\]. Received: top_p=0.0"),
        ({"format": "onnx"}, "`format` must be .*Received: format='onnx'"),
    ],
)
def test_a_wrong_option_is_refused_before_anything_is_written(tmp_path, lm, options, message):
    with pytest.raises(ValueError, match=message):
        lm.export(tmp_path / "new", **options)
    assert os.listdir(tmp_path) == []


def test_bad_words_need_a_tokenizer(tmp_path, lm):
    for name in ("bad_words", "stop_strings"):
        with pytest.raises(ValueError, match=f"`{name}` needs a task with a tokenizer.*=None"):
            CausalLM(lm.backbone).export(tmp_path / "new", **{name: ["cat"]})
    assert os.listdir(tmp_path) == []


def test_an_export_has_the_weights_of_its_moment(server, tmp_path, tokenizer):
    lm = CausalLM(make_task(tokenizer, seed=2).backbone)
    rows = [[5, 6, 7], [9, 10, 11]]
    lm.generate(rows, max_new_tokens=8)
    for variable in lm.backbone.weights:
        variable.assign(variable * 0.5)
    lm.export(tmp_path / "1", max_new_tokens=8)
    got = server.call(tmp_path / "1", "tokens", **left_aligned(rows))
    wanted = np.array(lm.generate(rows, max_new_tokens=8))[:, -8:]
    np.testing.assert_array_equal(got["token_ids"], wanted)
