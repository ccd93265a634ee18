"""Answers questions about people that never were, from a few sentences about them.

Names and places are put together from syllables, and one in five of each is held out: an answer
can only be read off, not remembered. Each fact can be told in several ways and asked for in
others. In each text there is another person, of whom the same is told.
"""

import collections
import random
import time

from _common import is_held_out, make_parser, open_or_make, parse, print_figures, train
from _text_to_text import make_t5, write_answers

import lmzoo

SYLLABLES = "ba da fe go hu ki lo ma ne pi ro sa te vu wo xi yo zu".split()
TRADES = (
    "baker barber carpenter cook dentist farmer fisher gardener glazier judge lawyer mason miller "
    "nurse painter pilot plumber potter sailor singer surgeon tailor teacher weaver"
).split()
# How each fact may be told, and how it may be asked for.
FACTS = {
    "place": (
        ["{person} comes from {answer}.", "{answer} is the home town of {person}."],
        ["Where does {person} come from?", "What is the home town of {person}?"],
    ),
    "year": (
        ["{person} was born in {answer}.", "It was in {answer} that {person} was born."],
        ["When was {person} born?", "What is the year of birth of {person}?"],
    ),
    "trade": (
        ["{person} works as a {answer}.", "The trade of a {answer} is that of {person}."],
        ["What does {person} work as?", "What is the trade of {person}?"],
    ),
}
EXAMPLE = (
    "question: What is the trade of Zuneba? context: Zuneba comes from Rofeton. Kihu works as a "
    "dentist. Vupiburg is the home town of Kihu. The trade of a glazier is that of Zuneba."
)
MAX_NEW_TOKENS = 12
BATCH_SIZE = 64


def draw_name(generator, held_out, ending=""):
    """A name of two or three syllables, of one side of the split."""
    while True:
        syllables = generator.choices(SYLLABLES, k=generator.randint(2, 3))
        name = "".join(syllables).capitalize() + ending
        if is_held_out(name) == held_out:
            return name


def draw_answer(fact, generator, held_out):
    if fact == "place":
        return draw_name(generator, held_out, generator.choice(("ton", "burg", "ville")))
    return str(generator.randint(1900, 1999)) if fact == "year" else generator.choice(TRADES)


def draw_row(generator, held_out):
    """A question with its context, the answer, and who and what is asked for: dict of str."""
    people = [draw_name(generator, held_out) for _ in range(2)]
    facts = generator.sample(list(FACTS), 2)
    told = {
        (person, fact): draw_answer(fact, generator, held_out)
        for person in people
        for fact in facts
    }
    sentences = [
        generator.choice(FACTS[fact][0]).format(person=person, answer=answer)
        for (person, fact), answer in told.items()
    ]
    generator.shuffle(sentences)
    person, fact = generator.choice(list(told))
    question = generator.choice(FACTS[fact][1]).format(person=person)
    source = f"question: {question} context: {' '.join(sentences)}"
    return {"source": source, "target": told[person, fact], "person": person, "fact": fact}


def draw_rows(count, seed, held_out=False):
    generator = random.Random(seed)
    rows = [draw_row(generator, held_out) for _ in range(count)]
    return lmzoo.data.make_rows(**{name: [row[name] for row in rows] for name in rows[0]})


def make_task(rows, arguments):
    def learn():
        # Large enough for each word of the sentences, and for each syllable.
        texts = (row["source"] for row in rows.select(range(min(len(rows), 2000))))
        train = lmzoo.tokenizers.SentencePieceTokenizer.train
        return train(texts, 300, "bpe", num_sentinels=0)

    sizes = {"num_buckets": 64, "max_distance": 64}
    return lmzoo.tasks.Seq2SeqLM(*make_t5(learn, arguments.smoke, **sizes))


def take_last_word(source, person):
    """The last word of the first sentence about a person."""
    context = source.partition(" context: ")[2]
    return next(text for text in context.split(".") if person in text).split()[-1]


def compare(lm, training, held_out):
    """Exact match, by what is asked for and of all, and F1, as SQuAD has them."""
    common = collections.Counter(row["target"] for row in training).most_common(1)[0][0]
    sources = [row["source"] for row in held_out]
    answers = {
        "T5": write_answers(lm, sources, MAX_NEW_TOKENS),
        "last word about the person": [
            take_last_word(row["source"], row["person"]) for row in held_out
        ],
        "most frequent answer": [common] * len(sources),
    }
    rows = {}
    for name, found in answers.items():
        metrics = {fact: lmzoo.metrics.ExactMatch() for fact in (*FACTS, "all")}
        f1 = lmzoo.metrics.SquadF1()
        for row, answer in zip(held_out, found, strict=True):
            for metric in (metrics[row["fact"]], metrics["all"], f1):
                metric.update_state([[row["target"]]], [answer])
        rows[name] = [float(metric.result()) / 100 for metric in (*metrics.values(), f1)]
    title = f"Exact match on {len(sources)} questions about people who were held out"
    print_figures(title, [*FACTS, "all", "F1 of all"], rows)


def main():
    arguments = parse(make_parser(__doc__, epochs=6))
    sizes = (300, 30) if arguments.smoke else (60_000, 600)
    training = draw_rows(sizes[0], arguments.seed)
    held_out = draw_rows(sizes[1], arguments.seed + 1, held_out=True)
    lm = open_or_make(arguments, lambda: make_task(training, arguments))
    started = time.perf_counter()
    train(lm, training, arguments, learning_rate=3e-3, batch_size=BATCH_SIZE, warmup=500)
    print(f"{lm.optimizer.iterations.numpy()} steps, {time.perf_counter() - started:.0f} seconds")
    compare(lm, training, held_out)
    for row in held_out.select(range(3)):
        print(row["source"], "->", lm.generate(row["source"], max_new_tokens=MAX_NEW_TOKENS))
    print(EXAMPLE, "->", lm.generate(EXAMPLE, max_new_tokens=MAX_NEW_TOKENS))


if __name__ == "__main__":
    main()
