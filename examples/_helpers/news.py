"""Short news that never were: people, places, dates and sums, and the tag of each word.

Names and templates are held out, but not what may stand before and behind them. Some names, such as
Austin, are those of people and of places, so that the sentence has to tell.
"""

import random
import re

from _helpers.common import is_held_out
from _helpers.numbers import MONTHS

KINDS = ("PERSON", "PLACE", "DATE", "SUM")
TAGS = ["O", *(f"{prefix}-{kind}" for kind in KINDS for prefix in "BI")]


def join(starts, ends):
    """Every start with every end: more names than can be learnt by heart."""
    return [start + end for start in starts.split() for end in ends.split()]


FIRST_NAMES = join(
    "An Bru Car Da El Fe Gre Hu Ire Jo Ka Le Ma Ni Ol Pa Ro Si Tan Um Ve Wal Xe Yu Zo",
    "na no la vid lix ta go ne nas rin ria ls ga blo sa mon ja berto ra ter nia suf",
)
SURNAMES = join(
    "Abb Bak Cast Diet Erik Fisch Gall Hans Ivan Jans Kell Lop Mor Now Okaf Petr Quin Ross Schmid",
    "ott er ro rich sen o ov ez eau ak or i a el berg mann ski",
)
TOWNS = join(
    "Aar Ber Cor Dres Eind Flor Gdan Hel Iz Ja Kra Lis Mal Nai Os Por Qui Ri Se Tu Va War Xia Za",
    "hus gen doba den hoven ence sk sinki mir karta kow bon mo robi lo to ga ville rin lencia saw",
)
# Of people and of places, on both sides of the split.
BOTH = "Austin Charlotte Chelsea Dallas Georgia Jordan Lincoln Madison Sydney Victoria".split()
STREETS = "Harbour Street|Mill Lane|Station Road|Market Square|Castle Hill|River Bank".split("|")
THINGS = "Apollo Mercury Falcon Orion Comet Pioneer Vega Atlas".split()
TEMPLATES = """
{person} was born in {place} on {date} .
{person} sold the house in {place} for {sum} .
On {date} {person} paid {sum} for a used car .
The museum in {place} opened on {date} .
A fine of {sum} was given to {person} in {place} .
{person} and {person} met in {place} .
May I ask whether {person} still lives in {place} ?
The {thing} costs {sum} in every shop from {place} to {place} .
Trains from {place} to {place} will not run before {date} .
{number} people came to {place} to hear {person} sing .
Dr. {person} left the hospital in {place} on {date} .
The bridge in {place} cost {sum} and took {number} days to repair .
Mrs. {person} lent her brother {sum} on {date} .
In room {number} {person} found a letter from {place} .
It rained in {place} , said {person} .
Since {date} the town of {place} has had a new mayor , {person} .
The {thing} will fly on {date} , weather permitting .
{person} won {sum} in the lottery .
Call {person} before {date} and ask for the keys .
Police in {place} stopped {number} cars on {date} .
{person} , {number} , teaches music in {place} .
The school gave {person} a prize of {sum} .
Nobody in {place} knows where {person} went .
{place} has raised its taxes by {sum} for each house .
For {number} years {person} has baked bread in {place} .
The deal between {person} and the bank is worth {sum} .
March on , said {person} , and they walked to {place} .
A ticket to {place} was {sum} until {date} .
"""
HELD_OUT = """
When {person} came back to {place} , the shop had closed .
Until {date} , guests may stay in {place} for {sum} a night .
The painter {person} died on {date} , {number} miles from {place} .
{place} : {person} elected with {number} votes .
We owe {person} {sum} .
The letter of {date} was never read by {person} .
Snow fell in {place} yesterday , the first since {date} .
{sum} were stolen from the office of {person} .
Both {place} and {place} want to buy the {thing} .
According to {person} , the repair took {number} hours and {sum} .
Visitors of {person} should take the bus from {place} .
Without {person} the choir would have lost {sum} on {date} .
"""


# What may stand before and behind a sentence.
BEFORE = (
    "On {date} :|In short :|As {person} told us ,|Again ,|From {place} :|So far ,|{date} ."
).split("|")
BEHIND = (
    ", said {person}|, as in {date}|, it was reported from {place}|, at last|, for {sum}"
).split("|")


class Writer:
    """Draws sentences.

    Args:
        seed: int.
        held_out: bool. Whether templates and names are those that nobody learns from.
    """

    def __init__(self, seed, held_out=False):
        self.draw, self.held_out = random.Random(f"{seed} {held_out}"), held_out
        self.templates = (HELD_OUT if held_out else TEMPLATES).strip().split("\n")

    def write(self):
        """One sentence to three: the words and their tags."""
        words, tags = [], []
        for _ in range(self.draw.choice((1, 1, 2, 3))):
            template = self.draw.choice(self.templates)
            if self.draw.random() < 0.3:
                template = f"{self.draw.choice(BEFORE)} {template}"
            if self.draw.random() < 0.3:
                template = f"{template[:-2]} {self.draw.choice(BEHIND)} {template[-1]}"
            for found in (self.fill(part) for part in template.split()):
                words += found[0]
                tags += found[1]
        return words, tags

    def fill(self, part):
        """The words of a part of a template and their tags."""
        if part[0] != "{":
            return [part], ["O"]
        slot = part.strip("{}")
        found = re.findall(r"\w+|[^\w\s]", getattr(self, f"draw_{slot}")())
        if slot.upper() not in KINDS:
            return found, ["O"] * len(found)
        return found, [f"B-{slot.upper()}"] + [f"I-{slot.upper()}"] * (len(found) - 1)

    def pick(self, names):
        while True:
            name = self.draw.choice(names)
            if is_held_out(name, share=4) == self.held_out:
                return name

    def draw_person(self):
        first = self.draw.choice(BOTH) if self.draw.random() < 0.2 else self.pick(FIRST_NAMES)
        forms = [first, f"{first} {self.pick(SURNAMES)}", f"{first[0]}. {self.pick(SURNAMES)}"]
        return self.draw.choices(forms, (3, 6, 1))[0]

    def draw_place(self):
        town = self.draw.choice(BOTH) if self.draw.random() < 0.2 else self.pick(TOWNS)
        street = f"{self.draw.randint(1, 99)} {self.draw.choice(STREETS)}, {town}"
        return self.draw.choices([town, f"New {town}", street], (8, 1, 1))[0]

    def draw_date(self):
        day, year = self.draw.randint(1, 28), self.draw.randint(1950, 2030)
        month = self.draw.choice(MONTHS)
        number = MONTHS.index(month) + 1
        forms = (
            f"{day} {month} {year}",
            f"{month} {day}, {year}",
            f"{month} {day}",
            f"{year}-{number:02}-{day:02}",
            f"the {day}th of {month}",
            f"{month} {year}",
            "Monday Tuesday Friday Sunday".split()[day % 4],
        )
        return self.draw.choice(forms)

    def draw_sum(self):
        amount = self.draw.choice(
            [str(self.draw.randint(2, 999)), f"{self.draw.randint(1, 99)},000"]
        )
        name = self.draw.choice("euros dollars pounds francs crowns".split())
        few = self.draw.choice("two five ten twenty ninety".split())
        sign = self.draw.choice("$€£")
        forms = (
            f"{amount} {name}",
            f"{sign}{amount}",
            f"{few} million {name}",
            f"{few} {name}",
            f"{sign}{self.draw.randint(1, 9)}.{self.draw.randint(1, 9)} million",
        )
        return self.draw.choice(forms)

    def draw_number(self):
        return str(self.draw.randint(3, 2000))

    def draw_thing(self):
        return self.draw.choice(THINGS)
