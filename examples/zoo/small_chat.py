"""Makes `small-chat`: a chat model that talks about Python's library, numbers and dates.

It learns from conversations that `_conversations.py` writes by rules, in English and Chinese. What
it knows of the library are the first lines of its docstrings. Phrasings, numbers, dates and names
are held out.
"""

import _zoo as zoo
from _cards import SMALL_CHAT
from _chat_format import END, START, encode, list_pieces, make_dataset, pack, train_tokenizer
from _conversations import Writer, read_facts
from _generative import WritingLSTM, score_answers
from _helpers.completions import generate_greedily, make_gpt
from _publishing import publish, store

import lmzoo

LENGTH, BATCH_SIZE, MAX_NEW_TOKENS = 256, 16, 64
SKILLS = ("library", "arithmetic", "number words", "calendar", "names", "small talk", "refusal")
SHOWN = (
    ("Hello, I am Ada.", "What does math.sqrt do?", "Which module is it in?", "What is my name?"),
    ("What is 17 plus 25?", "Add 8 to that.", "And in Chinese?"),
    ("os.path.join有什么用？", "怎么导入它？", "法国的首都是哪里？"),
)


def list_turns(facts, tokenizer, count):
    """Rows of held-out turns, each with the turns before it as its `source`, and once."""
    rows = {}
    for number in range(count):
        turns = Writer(facts, f"test {number}", held_out=True).write()
        for index, turn in enumerate(turns):
            before = "".join(text for text, _ in list_pieces(turns[:index]))
            source = f"{before}{START}user\n{turn.question}{END}\n{START}assistant\n"
            if len(tokenizer.tokenize(source, allow_special=True)) <= LENGTH - MAX_NEW_TOKENS:
                rows[source] = {"source": source, "target": turn.answer, **turn._asdict()}
    return list(rows.values())


def retrieve(training, held_out):
    """The answer to the training question that is nearest by BM25."""
    answers = {turn.question: turn.answer for turns in training for turn in turns}
    score = lmzoo.evaluation.baselines.BM25().make_scorer(list(answers))
    nearest = [score([row["question"]])[0].argmax() for row in held_out]
    return [list(answers.values())[index] for index in nearest]


def chat(lm, questions):
    """A conversation with the model: pairs of a question and its own answer."""
    text, pairs = "", []
    for question in questions:
        text += f"{START}user\n{question}{END}\n{START}assistant\n"
        if len(lm.tokenizer.tokenize(text, allow_special=True)) > LENGTH - MAX_NEW_TOKENS:
            break
        answer = lm.generate(text, return_prompt=False, allow_special=True)
        text += f"{answer}{END}\n"
        pairs.append((f"{question}\n", answer))
    return pairs


def evaluate(lm, lstm, training, held_out):
    """The evaluations of the model, of an LSTM and of the answer to the most similar question."""
    tokenizer, sources = lm.tokenizer, [row["source"] for row in held_out]
    prompts = tokenizer.tokenize(sources, allow_special=True).to_list()
    answers = {
        "small-chat": generate_greedily(lm, sources, allow_special=True),
        "LSTM": lstm.write(prompts, MAX_NEW_TOKENS),
        "BM25": retrieve(training, held_out),
    }
    groups = {"refers": [row["refers"] for row in held_out]} | {
        skill: [row["skill"] == skill for row in held_out] for skill in SKILLS
    }
    found = []
    for name, written in answers.items():
        lengths = [len(ids) for ids in tokenizer.tokenize(written).to_list()]
        ended = score_answers(
            lm,
            name,
            [row | {"target": "ended"} for row in held_out],
            ["ended" if length < MAX_NEW_TOKENS - 1 else "not" for length in lengths],
            ["match_rate"],
            {},
        )
        one = score_answers(lm, name, held_out, written, ["match_rate", "chrf", "rougeL"], groups)
        one.scores["ended"] = ended.scores["match_rate"]
        found.append(one)
    return found


def main():
    arguments = zoo.parse(__doc__, "small-chat")
    smoke, facts = arguments.smoke, read_facts()
    count = 200 if smoke else 60_000
    training = [Writer(facts, f"train {number}").write() for number in range(count)]
    tokenizer = train_tokenizer(training[:20_000], 400 if smoke else 1024)
    lm = make_gpt(tokenizer, LENGTH, smoke, 160, temperature=0.0, max_new_tokens=MAX_NEW_TOKENS)
    rows = pack(encode(tokenizer, training, LENGTH + 1), LENGTH + 1)
    print(f"{len(facts)} facts, {count} conversations, {len(rows[0])} rows", flush=True)
    data = make_dataset(rows, BATCH_SIZE, len(rows[0]) // BATCH_SIZE)
    zoo.fit(lm, data, arguments, "training", learning_rate=3e-3, epochs=1)
    stored = store(lm, arguments)
    held_out = list_turns(facts, tokenizer, 5 if smoke else 250)
    lstm = WritingLSTM(tokenizer, tokenizer.end_token_id)
    lstm.fit(data, arguments.folder / "lstm.weights.h5")
    evaluations = evaluate(stored, lstm, training[:5000], held_out)
    shown = [pair for questions in SHOWN for pair in chat(stored, questions)]
    about, sample = SMALL_CHAT._replace(shown=shown), held_out[:100]
    sample = [{name: row[name] for name in ("source", "target")} for row in sample]
    publish(stored, arguments, about, evaluations, sample, continuous_batching=True)


if __name__ == "__main__":
    main()
