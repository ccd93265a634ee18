"""Writes Chinese: how far does a small GPT get beyond n-grams on 13,000 characters of text?

Neither Python nor the packages of the examples bring Chinese prose. So the text was written for
this project: the short texts of `data/chinese.txt` and the Chinese sentences of
`data/sentiment.tsv`. One in eight is held out. The judge of fluency has read all of them.
"""

import pathlib

from _helpers import common, writing

import lmzoo
from lmzoo.evaluation import baselines

DATA = pathlib.Path(__file__).parent / "data"
PROMPT = "我喜欢编程。"
MAX_NEW_TOKENS = 60


def read_texts(smoke):
    """Texts to train on, and texts held out; each ends with its line."""
    texts = (DATA / "chinese.txt").read_text(encoding="utf-8").splitlines()
    for row in lmzoo.data.read_table(DATA / "sentiment.tsv", label="label", language="language"):
        if row["language"] == "zh":
            texts.append(row["text"])
    halves = [], []
    for text in texts[:: 4 if smoke else 1]:
        halves[common.is_held_out(text, share=8)].append(f"{text}\n")
    return halves


def make_task(texts, smoke):
    # Merges of bytes make characters. With 2,500 tokens most are rare: the GPT took 2.87 bits per
    # byte of held-out texts after 10 epochs and 3.37 after 30, with 700 tokens 2.52 after 16.
    size = 400 if smoke else 700
    tokenizer = lmzoo.tokenizers.BytePairTokenizer.train(iter(texts), vocabulary_size=size)
    return writing.make_gpt(tokenizer, smoke, max_sequence_length=64, dropout=0.2)


def fit_baselines(tokenizer, texts, epochs, smoke):
    """An LSTM and a 3-gram on the tokens of the model."""
    print("Fitting an LSTM and n-grams beside it", flush=True)
    lstm = baselines.LSTMLM(tokenizer, 32 if smoke else 256, max_sequence_length=64)
    return {
        "LSTM": lstm.fit(texts, epochs=epochs, verbose=False),
        "Kneser-Ney": baselines.KneserNeyLM(tokenizer, order=3).fit(texts, verbose=False),
    }


def write(model, prompts, seed, max_new_tokens, **ends):
    """Texts that a model draws, each up to the end of its line; `ends` as in `write_texts`."""
    texts = writing.write_texts(model, prompts, max_new_tokens, seed, **ends)
    return [text.partition("\n")[0] for text in texts]


def compare(models, held_out, judge, smoke):
    """Bits per byte of held-out texts, and figures of texts that begin as the held-out ones."""
    rows = {name: [writing.measure_bits(model, held_out)] for name, model in models.items()}
    title = f"Bits per byte of {len(held_out)} held-out texts"
    common.print_figures(title, ["bits/byte"], rows, writing.LOWER)
    chosen = held_out[: 4 if smoke else 40]
    starts = [text[:4] for text in chosen]
    count = 8 if smoke else MAX_NEW_TOKENS
    texts = {name: write(model, starts, 1, count) for name, model in models.items()}
    texts["held-out texts"] = [text.strip() for text in chosen]
    rows = {name: writing.measure_texts(each, judge, "characters") for name, each in texts.items()}
    title = f"{len(starts)} texts that begin with four characters of a held-out one"
    common.print_figures(title, writing.NAMES, rows, writing.LOWER, ["length"])


def main():
    arguments = common.parse(common.make_parser(__doc__, epochs=16))
    texts, held_out = read_texts(arguments.smoke)
    print(f"{len(texts)} texts to train on, {len(held_out)} held out", flush=True)
    lm = common.open_or_make(arguments, lambda: make_task(texts, arguments.smoke))
    writing.train_lm(lm, texts, arguments, learning_rate=3e-3, batch_size=8, warmup=40)
    models = {"GPT": lm, **fit_baselines(lm.tokenizer, texts, arguments.epochs, arguments.smoke)}
    judge = baselines.KneserNeyLM(lm.tokenizer, order=4).fit(texts + held_out, verbose=False)
    compare(models, held_out, judge, arguments.smoke)
    # The end of the prompt is the end of many texts, so the next tokens must not end it again.
    ends = [lm.tokenizer.end_token_id, *lm.tokenizer.tokenize("\n").numpy().tolist()]
    for name, model in models.items():
        ends_late = {"end_token_ids": ends, "min_new_tokens": 1 if arguments.smoke else 8}
        for text in write(model, [PROMPT] * 3, arguments.seed, MAX_NEW_TOKENS, **ends_late):
            print(f"{name}: {text}")


if __name__ == "__main__":
    main()
