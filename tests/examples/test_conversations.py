"""The conversations that `examples/zoo/small_chat.py` learns from: right, held out, and masked."""

import pathlib
import re
import sys

import pytest

FOLDER = pathlib.Path(__file__).parents[2] / "examples"
# What is asked by a number, a sum, a date or a name: its question is never in both sides.
OF_VALUES = {"arithmetic", "number words", "names"}


def import_examples():
    """The modules that write conversations and that turn them into batches."""
    folders = [str(FOLDER), str(FOLDER / "zoo")]
    sys.path[:0] = folders
    try:
        import _chat_format
        import _conversations
    finally:
        for folder in folders:
            sys.path.remove(folder)
    return _conversations, _chat_format


@pytest.fixture(scope="module")
def conversations():
    """(module, conversations to train on, held-out ones)."""
    _conversations, _ = import_examples()
    facts = {"math.sqrt": "Return the square root of x.", "os": "OS routines for this system."}
    sides = [
        [
            _conversations.Writer(facts, f"{held_out} {number}", held_out).write()
            for number in range(2500)
        ]
        for held_out in (False, True)
    ]
    return _conversations, *sides


def test_every_sum_is_right(conversations):
    _, *sides = conversations
    found = 0
    for turn in (turn for side in sides for turns in side for turn in turns):
        if turn.skill == "arithmetic":
            first, sign, second, result = re.fullmatch(
                r"(\d+) ?(plus|minus|加|减) ?(\d+)(?: is |等于)(\d+)[.。]", turn.answer
            ).groups()
            first, second = int(first), int(second)
            assert int(result) == (first + second if sign in "plus加" else first - second)
            found += 1
    assert found > 500


def test_a_sum_that_refers_to_the_last_one_goes_on_from_its_result(conversations):
    _, training, _ = conversations
    found = 0
    for turns in training:
        for before, turn in zip(turns, turns[1:], strict=False):
            if turn.question.startswith("Add ") and turn.question.endswith(" to that."):
                if before.skill == "arithmetic":
                    assert turn.refers
                    result = re.search(r"(\d+)\D*$", before.answer)[1]
                    assert re.match(r"\d+", turn.answer)[0] == result
                    found += 1
    assert found > 5


def test_a_name_is_known_only_after_it_was_said(conversations):
    _, training, _ = conversations
    known = unknown = 0
    for turns in training:
        user = None
        for turn in turns:
            if turn.skill != "names":
                continue
            if not turn.refers:
                user = re.search(r"(?:you, |认识你，)(.*)[.。]$", turn.answer)[1]
            elif user is None:
                assert turn.answer in ("You have not told me your name.", "你没有告诉我你的名字。")
                unknown += 1
            else:
                assert user in turn.answer
                known += 1
    assert known > 50 and unknown > 5


def test_held_out_phrasings_and_values_are_in_no_training_conversation(conversations):
    module, training, held_out = conversations
    seen = {turn.question for turns in training for turn in turns}
    for _, questions in module.PHRASINGS.values():
        assert len(set(questions)) == len(questions) >= 4
    same = [
        turn.question
        for turns in held_out
        for turn in turns
        if turn.question in seen and turn.skill in OF_VALUES
    ]
    assert same == []


@pytest.fixture(scope="module")
def tokenizer(conversations):
    _, training, _ = conversations
    _, form = import_examples()
    return form.train_tokenizer(training[:500], 500)


def test_the_answers_and_their_ends_are_learnt_and_nothing_else(conversations, tokenizer):
    _, training, _ = conversations
    _, form = import_examples()
    (token_ids, learnt, numbers) = form.pack(form.encode(tokenizer, training[:200], 257), 257)
    found = []
    for ids, flags, row in zip(token_ids, learnt, numbers, strict=True):
        for number in range(row.max() + 1):
            part = (row == number) & (flags == 1)
            text = tokenizer.detokenize(ids[part], skip_special=False).numpy().decode()
            found.append(tuple(text.split(form.END)[:-1]))
    # Packing changes the order alone, and what fits is whole.
    wanted = [tuple(turn.answer for turn in turns) for turns in training[:200]]
    fitting = {answers for answers in found if answers in set(wanted)}
    assert len(found) == len(wanted)
    assert len(fitting) > 0.9 * len(set(wanted))
    assert (learnt[numbers < 0] == 0).all()


def test_each_digit_is_a_token(tokenizer):
    ids = tokenizer.tokenize("1234").numpy()
    assert [tokenizer.id_to_token(token) for token in ids] == list("1234")


def test_the_template_writes_what_the_model_has_learnt(conversations, tokenizer):
    jinja2 = pytest.importorskip("jinja2")
    _, training, _ = conversations
    _, form = import_examples()
    turns = max(training[:100], key=len)
    messages = [{"role": "system", "content": "Be brief."}]
    for turn in turns:
        messages.append({"role": "user", "content": turn.question})
        messages.append({"role": "assistant", "content": turn.answer})
    template = jinja2.Environment().from_string(tokenizer.chat_template)
    text = "".join(piece for piece, _ in form.list_pieces(turns))
    assert template.render(messages=messages) == text
    asked = template.render(messages=messages[:-1], add_generation_prompt=True)
    assert asked + turns[-1].answer + form.END + "\n" == text


def test_a_writer_with_the_same_seed_writes_the_same(conversations):
    module, *_ = conversations
    facts = {"math.sqrt": "Return the square root of x."}
    assert module.Writer(facts, 7).write() == module.Writer(facts, 7).write()
