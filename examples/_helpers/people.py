"""Fictitious people: facts about them, told in sentences and asked for in questions."""

import itertools
import random

import lmzoo
from _helpers.common import is_held_out

SYLLABLES = "ba fe go hi ku la me no pi su".split()
PEOPLE = [f"{one}{other}".capitalize() for one in SYLLABLES for other in SYLLABLES if one != other]
TRADES = (
    "baker barber carpenter cook dentist farmer fisher gardener glazier judge lawyer mason miller "
    "nurse painter pilot plumber potter sailor singer surgeon tailor teacher weaver"
).split()
ANSWERS = {
    "place": [f"{name}{ending}" for name in PEOPLE[::3] for ending in ("ton", "burg")],
    "year": [str(year) for year in range(1920, 2000)],
    "trade": TRADES,
}
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


def draw_row(generator, held_out):
    """dict of str: a question with its context, the answer, the person and the fact.

    Of a held-out row only the fact that is asked for is held out.
    """
    people, facts = generator.sample(PEOPLE, 2), generator.sample(list(FACTS), 2)
    asked = generator.choice(people), generator.choice(facts)
    told = {}
    for person, fact in itertools.product(people, facts):
        wanted = held_out and (person, fact) == asked
        told[person, fact] = draw_answer(person, fact, generator, wanted)
    sentences = [
        generator.choice(FACTS[fact][0]).format(person=person, answer=answer)
        for (person, fact), answer in told.items()
    ]
    generator.shuffle(sentences)
    person, fact = asked
    question = generator.choice(FACTS[fact][1]).format(person=person)
    source = f"question: {question} context: {' '.join(sentences)}"
    return {"source": source, "target": told[asked], "person": person, "fact": fact}


def draw_answer(person, fact, generator, held_out):
    while True:
        answer = generator.choice(ANSWERS[fact])
        if is_held_out(f"{person} {answer}") == held_out:
            return answer


def draw_rows(count, seed, held_out=False):
    generator = random.Random(seed)
    rows = [draw_row(generator, held_out) for _ in range(count)]
    return lmzoo.data.make_rows(**{name: [row[name] for row in rows] for name in rows[0]})
