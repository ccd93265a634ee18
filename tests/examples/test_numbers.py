"""The numbers of the translation example are what the languages say, by hand and read back."""

import datetime
import importlib.util
import pathlib
import random
import re

import pytest

FILE = pathlib.Path(__file__).parents[2] / "examples" / "_helpers" / "numbers.py"

# Written by hand.
NUMBERS = """
0 | zero | 零
1 | one | 一
2 | two | 二
7 | seven | 七
10 | ten | 十
11 | eleven | 十一
12 | twelve | 十二
13 | thirteen | 十三
15 | fifteen | 十五
18 | eighteen | 十八
19 | nineteen | 十九
20 | twenty | 二十
21 | twenty-one | 二十一
22 | twenty-two | 二十二
30 | thirty | 三十
40 | forty | 四十
58 | fifty-eight | 五十八
80 | eighty | 八十
99 | ninety-nine | 九十九
100 | one hundred | 一百
101 | one hundred and one | 一百零一
110 | one hundred and ten | 一百一十
111 | one hundred and eleven | 一百一十一
112 | one hundred and twelve | 一百一十二
120 | one hundred and twenty | 一百二十
200 | two hundred | 二百
202 | two hundred and two | 二百零二
222 | two hundred and twenty-two | 二百二十二
305 | three hundred and five | 三百零五
310 | three hundred and ten | 三百一十
999 | nine hundred and ninety-nine | 九百九十九
1000 | one thousand | 一千
1001 | one thousand and one | 一千零一
1010 | one thousand and ten | 一千零一十
1012 | one thousand and twelve | 一千零一十二
1100 | one thousand one hundred | 一千一百
1101 | one thousand one hundred and one | 一千一百零一
2000 | two thousand | 两千
2002 | two thousand and two | 两千零二
2020 | two thousand and twenty | 两千零二十
2222 | two thousand two hundred and twenty-two | 两千二百二十二
5040 | five thousand and forty | 五千零四十
9090 | nine thousand and ninety | 九千零九十
10000 | ten thousand | 一万
10001 | ten thousand and one | 一万零一
10010 | ten thousand and ten | 一万零一十
10200 | ten thousand two hundred | 一万零二百
12000 | twelve thousand | 一万两千
12034 | twelve thousand and thirty-four | 一万两千零三十四
20000 | twenty thousand | 两万
20002 | twenty thousand and two | 两万零二
22000 | twenty-two thousand | 两万两千
30303 | thirty thousand three hundred and three | 三万零三百零三
50600 | fifty thousand six hundred | 五万零六百
100000 | one hundred thousand | 十万
100001 | one hundred thousand and one | 十万零一
102000 | one hundred and two thousand | 十万两千
110000 | one hundred and ten thousand | 十一万
120305 | one hundred and twenty thousand three hundred and five | 十二万零三百零五
200000 | two hundred thousand | 二十万
202020 | two hundred and two thousand and twenty | 二十万两千零二十
220022 | two hundred and twenty thousand and twenty-two | 二十二万零二十二
300300 | three hundred thousand three hundred | 三十万零三百
605000 | six hundred and five thousand | 六十万五千
707070 | seven hundred and seven thousand and seventy | 七十万七千零七十
999999 | nine hundred and ninety-nine thousand nine hundred and ninety-nine | 九十九万九千九百九十九
"""  # noqa: E501
DATES = """
1900-01-01 | the 1st of January 1900 | 一九〇〇年一月一日
1912-02-02 | the 2nd of February 1912 | 一九一二年二月二日
1949-10-10 | the 10th of October 1949 | 一九四九年十月十日
1969-07-20 | the 20th of July 1969 | 一九六九年七月二十日
1984-03-03 | the 3rd of March 1984 | 一九八四年三月三日
1999-12-31 | the 31st of December 1999 | 一九九九年十二月三十一日
2000-02-29 | the 29th of February 2000 | 二〇〇〇年二月二十九日
2008-08-08 | the 8th of August 2008 | 二〇〇八年八月八日
2010-11-11 | the 11th of November 2010 | 二〇一〇年十一月十一日
2024-05-03 | the 3rd of May 2024 | 二〇二四年五月三日
2030-06-12 | the 12th of June 2030 | 二〇三〇年六月十二日
2042-09-13 | the 13th of September 2042 | 二〇四二年九月十三日
2051-04-21 | the 21st of April 2051 | 二〇五一年四月二十一日
2076-01-22 | the 22nd of January 2076 | 二〇七六年一月二十二日
2099-12-23 | the 23rd of December 2099 | 二〇九九年十二月二十三日
"""


@pytest.fixture(scope="module")
def numbers():
    spec = importlib.util.spec_from_file_location("numbers_of_examples", FILE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def values(numbers):
    """All small numbers, the neighbours of round ones, and some drawn from the others."""
    drawn = random.Random(0).sample(numbers.NUMBERS, 20000)
    near = [around + step for around in range(0, 1_000_000, 1000) for step in (-1, 0, 1, 10, 100)]
    return sorted({*range(3000), *drawn, *near} & set(numbers.NUMBERS))


@pytest.fixture(scope="module")
def days(numbers):
    """Each day of all months comes, if not in each year."""
    first, last = datetime.date(numbers.YEARS[0], 1, 1), datetime.date(numbers.YEARS[-1], 12, 31)
    return [first + datetime.timedelta(day) for day in range(0, (last - first).days + 1, 5)]


def read_table(table, read):
    rows = [line.split(" | ") for line in table.strip().splitlines()]
    return [(read(digits), {"English": e, "Chinese": c, "digits": digits}) for digits, e, c in rows]


def read_english(text):
    """Adds and multiplies words as they come; knows nothing of hundreds and thousands inside."""
    names = dict(zip(
        "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen "
        "fifteen sixteen seventeen eighteen nineteen".split(), range(20), strict=True,
    ))  # fmt: skip
    tens = "twenty thirty forty fifty sixty seventy eighty ninety".split()
    names |= {name: 10 * number for number, name in enumerate(tens, start=2)}
    total = group = 0
    for word in text.replace(" and ", " ").replace("-", " ").split():
        if word == "thousand":
            total, group = 1000 * group, 0
        else:
            group = group * 100 if word == "hundred" else group + names[word]
    return total + group


def read_chinese(text):
    units = {"十": 10, "百": 100, "千": 1000}
    total = group = 0
    digit = None
    for character in text:
        if character == "万":
            total, group, digit = 10000 * (group + (digit or 0)), 0, None
        elif character in units:
            group, digit = group + units[character] * (digit or 1), None
        else:
            digit = 2 if character == "两" else "零一二三四五六七八九".index(character)
    return total + group + (digit or 0)


def read_english_date(text):
    day, month, year = re.fullmatch(r"the (\d+)[a-z]{2} of ([A-Z][a-z]+) (\d{4})", text).groups()
    return datetime.datetime.strptime(f"{day} {month} {year}", "%d %B %Y").date()


def read_chinese_date(text):
    year, month, day = re.fullmatch("(.{4})年(.{1,2})月(.{1,3})日", text).groups()
    year = int("".join(str("〇一二三四五六七八九".index(character)) for character in year))
    return datetime.date(year, read_chinese(month), read_chinese(day))


@pytest.mark.parametrize(
    ("value", "texts"),
    read_table(NUMBERS, int) + read_table(DATES, datetime.date.fromisoformat),
    ids=lambda value: None if isinstance(value, dict) else str(value),
)
def test_a_value_is_written_as_by_hand(numbers, value, texts):
    assert {form: write(value) for form, write in numbers.FORMS.items()} == texts


def test_every_number_is_read_back(numbers, values):
    for write, read in (
        (numbers.write_english, read_english),
        (numbers.write_chinese, read_chinese),
        (numbers.write_digits, int),
    ):
        assert [read(write(value)) for value in values] == values


def test_every_date_is_read_back(numbers, days):
    for write, read in (
        (numbers.write_english, read_english_date),
        (numbers.write_chinese, read_chinese_date),
        (numbers.write_digits, datetime.date.fromisoformat),
    ):
        assert [read(write(day)) for day in days] == days


def test_no_two_values_are_written_alike(numbers, values, days):
    for write in numbers.FORMS.values():
        assert len({write(value) for value in values + days}) == len(values) + len(days)


def test_the_forms_that_nobody_writes_do_not_come(numbers, values):
    english = [numbers.write_english(value) for value in values]
    chinese = [numbers.write_chinese(value) for value in values]
    for text in english:
        # An "and" is for the last two digits, of the thousands or of all.
        assert not re.search(r"\band (and|\w+ hundred)|(thousand|hundred) zero|  |^ | $", text)
    for text in chinese[1:]:
        # Zeros come one by one and not at the end; 一十 not at the beginning.
        assert not re.search("零零|零$|零万|^一十|^零", text)
        # 两 stands before 千, and before 万 where it is alone.
        assert not re.search("二千|^二万|两[^千万]|两$|.两万", text)


def test_ordinals_have_their_endings(numbers):
    last = {1: "st", 2: "nd", 3: "rd", 21: "st", 22: "nd", 23: "rd", 31: "st"}
    for day in range(1, 32):
        assert numbers.write_ordinal(day) == f"{day}{last.get(day, 'th')}"
