"""How does a model hold a conversation? Turns, a history, and a stop at the end of an answer.

Trains a small GPT on the conversations of `zoo/_conversations.py`, or opens one (`--model
small-chat`). It is measured turn by turn, with its own answers as the history, on phrasings,
numbers and names that were held out. `--chat` lets you talk to it.
"""

import pathlib
import sys

from _helpers import common
from _helpers.chat import MAX_NEW_TOKENS, Chat, say
from _helpers.completions import fit_lstm, make_gpt, write_greedily

sys.path.append(str(pathlib.Path(__file__).parent / "zoo"))

from _chat_format import encode, make_dataset, pack, train_tokenizer
from _conversations import Writer, read_facts

import lmzoo

LENGTH, BATCH_SIZE = 256, 16
TALK = ("Hello, I am Ada.", "What is 17 plus 25?", "Add 8 to that.", "What is my name?")


def hold(answer, conversations):
    """Whether each turn is answered right, with the answers before it as they were given."""
    histories, right = [[] for _ in conversations], [[] for _ in conversations]
    for index in range(max(map(len, conversations))):
        asked = [number for number, turns in enumerate(conversations) if len(turns) > index]
        for number in asked:
            histories[number].append(say("user", conversations[number][index].question))
        answers = answer([histories[number] for number in asked])
        for number, text in zip(asked, answers, strict=True):
            histories[number].append(say("assistant", text))
            right[number].append(text.strip() == conversations[number][index].answer)
    return right


def compare(lm, lstm, training, held_out):
    """Shares of right answers, of those that need an earlier turn, and of whole conversations."""
    known = {turn.question: turn.answer for turns in training for turn in turns}
    score = lmzoo.evaluation.baselines.BM25().make_scorer(list(known))
    answers, chat = list(known.values()), Chat(lm)

    def write(many):
        prompts = [chat.write_prompt(messages) for messages in many]
        return write_greedily(lstm, prompts, MAX_NEW_TOKENS, lm.tokenizer.end_token_id.__eq__)

    def search(many):
        return [answers[score([one[-1]["content"]])[0].argmax()] for one in many]

    speakers = {
        "GPT": chat.answer,
        "GPT without history": Chat(lm, remembers=False).answer,
        "LSTM": write,
        "nearest question": search,
    }
    turns = [turn for conversation in held_out for turn in conversation]
    figures = {}
    for name, speaker in speakers.items():
        right = hold(speaker, held_out)
        each = [is_right for row in right for is_right in row]
        referring = [is_it for turn, is_it in zip(turns, each, strict=True) if turn.refers]
        shares = each, referring, [all(row) for row in right if len(row) > 1]
        figures[name] = [sum(share) / max(len(share), 1) for share in shares]
    common.print_figures(
        f"{len(held_out)} held-out conversations, {len(turns)} answers",
        ["answers", "that refer back", "whole conversations"],
        figures,
    )


def talk(chat, questions):
    """Streams the answers to some questions, a tuple, or to what is typed."""
    messages = []
    for question in questions:
        messages.append(say("user", question))
        print(f"{question} -> " if isinstance(questions, tuple) else "", end="")
        answer = ""
        try:
            for piece in chat.stream(messages):
                answer += piece
                print(piece, end="", flush=True)
            messages.append(say("assistant", answer))
        except ValueError as error:
            print(error, end="")
            messages.pop()
        print(flush=True)


def main():
    parser = common.make_parser(__doc__, epochs=1)
    parser.add_argument("--model", help="open this one, such as small-chat, and train nothing")
    parser.add_argument("--chat", action="store_true", help="talk to it; an empty line ends")
    arguments = common.parse(parser)
    facts, smoke = read_facts(), arguments.smoke
    seeds = [f"train {number}" for number in range(200 if smoke else 20_000)]
    training = [Writer(facts, seed).write() for seed in seeds]

    def make():
        return make_gpt(train_tokenizer(training, 400 if smoke else 2048), LENGTH, smoke)

    lm = lmzoo.load(arguments.model) if arguments.model else common.open_or_make(arguments, make)
    rows = pack(encode(lm.tokenizer, training, LENGTH + 1), LENGTH + 1)
    size = BATCH_SIZE, len(rows[0]) // BATCH_SIZE
    if not arguments.model:
        common.train(lm, make_dataset(rows, *size), arguments, learning_rate=3e-3, warmup=50)
    if arguments.chat:
        talk(Chat(lm), iter(lambda: input("> "), ""))
        return
    lstm = fit_lstm(lm.tokenizer, make_dataset(rows, *size), LENGTH)
    seeds = [f"test {number}" for number in range(10 if smoke else 200)]
    held_out = [Writer(facts, seed, held_out=True).write() for seed in seeds]
    compare(lm, lstm, training[:5000], held_out)
    talk(Chat(lm), TALK)


if __name__ == "__main__":
    main()
