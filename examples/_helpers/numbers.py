"""Numbers and dates in three forms: English, Chinese and digits, each by its language's own rules.

The English is British: "and" stands before the last two digits, as in "one thousand and five". The
Chinese is that of everyday writing: 2 is 两 before 千 and alone before 万 (两万两千), and else 二
(二十, 二百, 十二万); zeros inside a number are one 零, wherever they are next to each other.
"""

import datetime
import re

# Of whole numbers and of dates, each range as Python's `range` has it.
NUMBERS = range(1_000_000)
YEARS = range(1900, 2100)

ONES = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen "
    "sixteen seventeen eighteen nineteen"
).split()
TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
MONTHS = (
    "January February March April May June July August September October November December"
).split()
CHARACTERS = "零一二三四五六七八九"
KINDS = ("numbers", "dates")


def write_english(value):
    """An int of `NUMBERS`, or a datetime.date, in English: str."""
    if isinstance(value, datetime.date):
        return f"the {write_ordinal(value.day)} of {MONTHS[value.month - 1]} {value.year}"
    thousands, rest = divmod(value, 1000)
    if not thousands:
        return write_below_thousand(rest)
    words = f"{write_below_thousand(thousands)} thousand"
    if not rest:
        return words
    return f"{words} {'and ' if rest < 100 else ''}{write_below_thousand(rest)}"


def write_below_thousand(number):
    hundreds, rest = divmod(number, 100)
    if not hundreds:
        return write_below_hundred(rest)
    words = f"{ONES[hundreds]} hundred"
    return f"{words} and {write_below_hundred(rest)}" if rest else words


def write_below_hundred(number):
    if number < 20:
        return ONES[number]
    tens, ones = divmod(number, 10)
    return f"{TENS[tens - 2]}-{ONES[ones]}" if ones else TENS[tens - 2]


def write_ordinal(number):
    """1 to "1st", 2 to "2nd", 11 to "11th": int below 100 to str."""
    ending = "th" if number // 10 == 1 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


def write_chinese(value):
    """An int of `NUMBERS`, or a datetime.date, in Chinese: str."""
    if isinstance(value, datetime.date):
        # The digits of a year are read one by one, and there zero is a circle.
        year = "".join("〇一二三四五六七八九"[int(digit)] for digit in str(value.year))
        return f"{year}年{write_chinese(value.month)}月{write_chinese(value.day)}日"
    if value == 0:
        return CHARACTERS[0]
    ten_thousands, rest = divmod(value, 10_000)
    text = write_group(rest, is_first=not ten_thousands)
    if ten_thousands:
        count = "两" if ten_thousands == 2 else write_group(ten_thousands, is_first=True)
        # What stands behind 万 with less than four digits says so.
        text = f"{count}万{'零' if 0 < rest < 1000 else ''}{text}"
    return text


def write_group(number, is_first):
    """Up to four digits; `is_first`: at the beginning of a number, 十 stands without its 一."""
    text, gap = "", False
    for unit, name in ((1000, "千"), (100, "百"), (10, "十"), (1, "")):
        digit = number // unit % 10
        if digit == 0:
            gap = bool(text)
            continue
        character = "两" if digit == 2 and unit == 1000 else CHARACTERS[digit]
        if digit == 1 and unit == 10 and is_first and not text:
            character = ""
        text += ("零" if gap else "") + character + name
        gap = False
    return text


def write_digits(value):
    """An int, or a datetime.date as "2024-05-03": str."""
    return str(value)


FORMS = {"English": write_english, "Chinese": write_chinese, "digits": write_digits}


# Pairs for a model to learn, and a baseline


def draw_value(kind, generator):
    """A number, each count of digits as likely as the others, or a date."""
    if kind == "numbers":
        num_digits = generator.randint(1, len(str(NUMBERS[-1])))
        return generator.randrange(10 ** (num_digits - 1) if num_digits > 1 else 0, 10**num_digits)
    first, last = datetime.date(YEARS[0], 1, 1), datetime.date(YEARS[-1], 12, 31)
    return first + datetime.timedelta(generator.randint(0, (last - first).days))


def list_words():
    """All that the three forms are made of, and the marks of a direction: list of str."""
    words = "hundred thousand and the of English Chinese digits to".split()
    signs = [*"0123456789-:", *CHARACTERS, *"〇两十百千万年月日", "st", "nd", "rd", "th"]
    return [*ONES, *TENS, *MONTHS, *words, *signs]


def make_lexicon(one, other):
    """dict from the words of one form to those of the other."""
    values = [*range(20), *range(20, 100, 10)]
    words = [[write(value) for write in FORMS.values()] for value in values]
    words += [["hundred", "百", "00"], ["thousand", "千", "000"]]
    words += [[name, f"{write_chinese(n)}月", f"{n:02}"] for n, name in enumerate(MONTHS, start=1)]
    entries = [dict(zip(FORMS, row, strict=True)) for row in words]
    # A form may have one word for two; then the number counts, not the month.
    return {entry[one]: entry[other] for entry in reversed(entries)}


def translate_words(text, one, other):
    """Translates word by word, without the words that are in no lexicon."""
    lexicon = make_lexicon(one, other)
    pattern = "|".join(sorted(lexicon, key=len, reverse=True))
    words = [lexicon[word] for word in re.findall(pattern, text)]
    return (" " if other == "English" else "").join(words)
