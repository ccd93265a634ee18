"""Conversations in English and Chinese, written by rules: what `small_chat.py` learns from.

Each topic is a function of a `Writer`. It says one question and its answer, and what the next
questions may refer to. Phrasings stand in `examples/data/conversations.txt`; the last fourth of
each list is held out, and so are one number, sum and date in ten and one name in five.
"""

import datetime
import importlib
import inspect
import pathlib
import random
from typing import NamedTuple

from _helpers.common import is_held_out
from _helpers.numbers import MONTHS as MONTHS_IN_ENGLISH
from _helpers.numbers import write_chinese, write_english

DATA = pathlib.Path(__file__).parents[1] / "data" / "conversations.txt"
MODULES = (
    "os os.path json re math random shutil glob time statistics string textwrap itertools "
    "functools operator heapq bisect copy collections datetime calendar csv base64 hashlib html "
    "tempfile subprocess threading queue logging argparse pathlib zipfile gzip pprint fractions "
    "decimal enum dataclasses contextlib struct urllib.parse"
).split()
DAYS = {
    "en": "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split(),
    "zh": "星期一 星期二 星期三 星期四 星期五 星期六 星期日".split(),
}
MONTHS = {
    "en": MONTHS_IN_ENGLISH,
    "zh": "一月 二月 三月 四月 五月 六月 七月 八月 九月 十月 十一月 十二月".split(),
}
NAMES = {
    "en": (
        "Anna Ben Carla David Emma Frank Grace Henry Iris Jack Kate Leo Mary Nick Olivia Paul "
        "Rosa Sam Tina Victor Wendy Alice Bob Clara Daniel Eva Felix George Helen Ivan Julia Kevin "
        "Laura Martin Nora Oscar Peter Rita Simon Tom Ursula Vera William Yara Zoe Adam Bella "
        "Chris Diana Eric Fiona Gina Hugo Ida Jonas Karen Linda Max Nina Otto Petra Robert Sara "
        "Theo Uma Walter"
    ).split(),
    "zh": (
        "小明 小红 小华 小丽 小刚 小芳 小军 小兰 小林 小梅 小东 小雪 小龙 小燕 小云 小强 李明 "
        "王芳 张伟 刘洋 陈静 杨帆 赵磊 黄丽 周杰 吴敏 徐强 孙丽 马超 朱红 胡军 郭静 何伟 高雪 "
        "林峰 罗兰"
    ).split(),
}
PLACES = "France Japan Peru Kenya Canada Norway Egypt India Spain Brazil Chile Italy".split()
SMALL_TALK = ("hello", "how", "who", "can", "thanks", "bye", "human", "language")
# What may stand before an English question.
START = ("Please: ", "Hey, ", "Now, ", "Okay, ", "One more thing: ", "Tell me: ", "Well, ", "So, ")


class Turn(NamedTuple):
    """A question and its answer.

    skill: str. What the answer takes, such as "arithmetic".
    refers: bool. Whether it takes an earlier turn.
    """

    question: str
    answer: str
    skill: str
    refers: bool = False


def read_facts():
    """dict of name to the first line of its docstring: modules, and functions and classes in them.

    Of Python's standard library as it is installed; a name whose line is long or no sentence is
    left out.
    """
    facts = {}
    for name in MODULES:
        module = importlib.import_module(name)
        public = [key for key in getattr(module, "__all__", dir(module)) if key[0] != "_"]
        values = {f"{name}.{key}": getattr(module, key) for key in public}
        for key, value in {name: module, **values}.items():
            if key.rpartition(".")[2].isupper() or not callable(value) and value is not module:
                continue
            line = (inspect.getdoc(value) or "").split("\n")[0].strip()
            if 12 <= len(line) <= 80 and line.endswith(".") and line.isascii() and "<" not in line:
                facts.setdefault(key, line)
    return facts


def read_phrasings():
    """dict of name and language, such as "hello.en", to (answer, list of questions)."""
    found = {}
    for line in DATA.read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            key, _, answer = line[1:].partition("] ")
            found[key] = answer, []
        elif line and not line.startswith("#"):
            found[key][1].append(line)
    return found


PHRASINGS = read_phrasings()


class Writer:
    """Writes one conversation.

    Args:
        facts: dict, as `read_facts` gives it.
        seed: int or str. Of all that is drawn.
        held_out: bool. Whether phrasings and values are those that nobody learns from.
    """

    def __init__(self, facts, seed, held_out=False):
        self.draw = random.Random(seed)
        self.held_out = held_out
        self.facts, self.names = facts, list(facts)
        self.language = self.draw.choice(("en", "en", "zh"))
        self.turns = []
        self.user = self.number = self.sum = self.fact = self.day = None

    def write(self, most=8):
        """list of Turn, from 1 to `most`."""
        count = min(most, self.draw.choice((1, 1, 2, 2, 3, 3, 4, 5, 6, 8)))
        while len(self.turns) < count:
            topic = self.draw.choices(list(TOPICS), list(TOPICS.values()))[0]
            if turn := topic(self):
                self.turns.append(turn)
        return self.turns

    def say(self, kind, skill, refers=False, /, **values):
        """A turn of a phrasing; its answer stands beside it."""
        answer, questions = PHRASINGS[f"{kind}.{self.language}"]
        split = len(questions) - max(1, len(questions) // 4)
        question = self.draw.choice(questions[split:] if self.held_out else questions[:split])
        question = question.format(**values)
        if self.language == "en" and self.draw.random() < 0.2:
            if question[1:2].islower():
                question = question[0].lower() + question[1:]
            question = self.draw.choice(START) + question
        return Turn(question, answer.format(**values), skill, refers)

    def draw_number(self, least, most):
        """A number of its own side of the split."""
        while True:
            number = self.draw.randint(least, most)
            if is_held_out(f"n{number}", share=10) == self.held_out:
                return number

    def draw_one(self, values):
        """One of some texts, of its own side of the split."""
        chosen = [one for one in values if is_held_out(one, share=5) == self.held_out]
        return self.draw.choice(chosen)


def talk(writer):
    kind = writer.draw.choice(SMALL_TALK)
    return writer.say(kind, "small talk")


def refuse(writer):
    if writer.draw.random() < 0.5:
        return writer.say("unknown", "refusal", place=writer.draw.choice(PLACES))
    module, other = writer.draw.choice(MODULES), writer.draw.choice(writer.names)
    name = f"{module}.{other.rpartition('.')[2]}"
    if "." not in other or hasattr(importlib.import_module(module), name.rpartition(".")[2]):
        return None
    writer.fact = None
    turn = writer.say("does", "refusal", name=name, line="")
    answer = {"en": f"I do not know {name}.", "zh": f"我不知道{name}。"}[writer.language]
    return turn._replace(answer=answer)


def explain(writer):
    name = writer.draw.choice(writer.names)
    kind = "does" if "." in name and name not in MODULES else "module"
    again = writer.fact is not None and writer.draw.random() < 0.4
    writer.fact = name
    return writer.say("again" if again else kind, "library", name=name, line=writer.facts[name])


def locate(writer):
    if writer.fact is None or writer.fact in MODULES:
        return None
    module, _, name = writer.fact.rpartition(".")
    kind = writer.draw.choice(("where", "import"))
    return writer.say(kind, "library", True, module=module, name=name)


def add(writer):
    while True:
        first, second = writer.draw.randint(0, 99), writer.draw.randint(0, 99)
        kind = writer.draw.choice(("plus", "minus"))
        second = min(first, second) if kind == "minus" else second
        if is_held_out(f"{first} {kind} {second}", share=10) == writer.held_out:
            break
    return calculate(writer, kind, first, second)


def calculate(writer, kind, first, second, name=None):
    result = first + second if kind == "plus" else first - second
    writer.sum, writer.number = (kind, first, second), result
    values = {"first": first, "second": second, "result": result}
    return writer.say(name or kind, "arithmetic", name is not None, **values)


def add_more(writer):
    if writer.number is None or writer.sum is None or writer.number > 180:
        return None
    second = writer.draw.randint(1, 20)
    kind = writer.draw.choice(("plus", "minus")) if writer.number >= second else "plus"
    return calculate(writer, kind, writer.number, second, f"then {kind}")


def correct(writer):
    if writer.sum is None or writer.turns[-1].skill != "arithmetic":
        return None
    kind, first, _ = writer.sum
    second = writer.draw.randint(0, first if kind == "minus" else 99)
    return calculate(writer, kind, first, second, f"meant {kind}")


def spell(writer):
    again = writer.number is not None and writer.draw.random() < 0.6
    number = writer.number if again else writer.draw_number(0, 999)
    writer.number, writer.sum = number, None
    to = writer.draw.choice(("english", "chinese"))
    words = write_english(number) if to == "english" else write_chinese(number)
    name = f"that in {to}" if again else f"in {to}"
    return writer.say(name, "number words", again, number=number, words=words)


def read(writer):
    number = writer.draw_number(0, 999)
    writer.number, writer.sum = number, None
    words = writer.draw.choice((write_english, write_chinese))(number)
    return writer.say("number", "number words", number=number, words=words)


def order(writer):
    names = writer.draw.choice((DAYS, MONTHS))[writer.language]
    again = writer.day in names and writer.draw.random() < 0.6
    first = names.index(writer.day) if again else writer.draw.randrange(len(names))
    step = writer.draw.choice((1, -1))
    writer.day = names[(first + step) % len(names)]
    kind = ("then " if again else "") + ("after" if step == 1 else "before")
    kind += " day" if len(names) == 7 else " month"
    return writer.say(kind, "calendar", again, first=names[first], second=writer.day)


def date(writer):
    while True:
        value = datetime.date(1950, 1, 1) + datetime.timedelta(writer.draw.randrange(36_500))
        if is_held_out(str(value), share=10) == writer.held_out:
            break
    to = writer.draw.choice(("english", "chinese"))
    words = write_english(value) if to == "english" else write_chinese(value)
    return writer.say(f"date in {to}", "calendar", number=value, words=words)


def meet(writer):
    writer.user = writer.draw_one(NAMES[writer.language])
    return writer.say("name", "names", user=writer.user)


def ask_name(writer):
    if writer.user is None:
        return writer.say("no name", "names", True) if writer.draw.random() < 0.2 else None
    return writer.say("my name", "names", True, user=writer.user)


def repeat(writer):
    if not writer.turns or writer.turns[-1].skill == "repetition":
        return None
    last = writer.turns[-1]
    kind = writer.draw.choice(("repeat", "asked"))
    text = last.answer if kind == "repeat" else last.question
    return writer.say(kind, "repetition", True, text=text)


# How often each topic is drawn.
TOPICS = {
    talk: 8,
    refuse: 6,
    explain: 26,
    locate: 14,
    add: 9,
    add_more: 14,
    correct: 5,
    spell: 9,
    read: 4,
    order: 6,
    date: 4,
    meet: 5,
    ask_name: 7,
    repeat: 3,
}
