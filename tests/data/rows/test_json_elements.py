import json
import random
import re

import pytest

from lmzoo.data.rows.json_elements import read_elements


def read(content, size=7, keys=("data",)):
    """Reads in blocks so small that every value is cut somewhere."""
    content = content if isinstance(content, bytes) else content.encode()
    blocks = [content[begin : begin + size] for begin in range(0, len(content), size)]
    return list(read_elements(blocks, *keys))


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
@pytest.mark.parametrize("indent", [None, 2])
def test_elements_come_with_their_bytes(size, indent):
    elements = [{"a": "é三😀" * 5}, [1, 2, {"b": None}], "x", 123456, -1.5e3, True, {}, "😀"]
    found = {"version": 1.25, "more": {"data": [0]}, "data": elements, "last": [[]]}
    text = json.dumps(found, ensure_ascii=False, indent=indent)
    content = f" {text}\n".encode()
    results = read(content, size)
    assert [value for *_, value in results] == elements
    assert [numbers for numbers, *_ in results] == [(n,) for n in range(len(elements))]
    for _, begin, length, value in results:
        assert json.loads(content[begin : begin + length]) == value


def test_elements_larger_than_a_block_are_read():
    draw = random.Random(0)
    elements = [{"text": "x" * draw.randrange(300_000)} for _ in range(10)]
    content = json.dumps({"data": elements}).encode()
    assert [value for *_, value in read(content, 1 << 16)] == elements


def test_a_number_that_a_block_cuts_is_read_whole():
    elements = list(range(100_000, 130_000))
    assert [value for *_, value in read(json.dumps({"data": elements}))] == elements


@pytest.mark.parametrize("size", [1, 5, 1000])
def test_elements_of_inner_arrays_have_a_number_for_each_array(size):
    data = [{"b": ["é", 1], "c": {"b": 0}}, {"a": [1], "b": []}, {"b": [{"x": "三"}]}]
    content = json.dumps({"a": 0, "data": data}, ensure_ascii=False).encode()
    results = read(content, size, ("data", "b"))
    expected = [((0, 0), "é"), ((0, 1), 1), ((2, 0), {"x": "三"})]
    assert [(numbers, value) for numbers, _, _, value in results] == expected
    for _, begin, length, value in results:
        assert json.loads(content[begin : begin + length]) == value


def test_an_inner_array_that_is_missing_is_told_where():
    with pytest.raises(ValueError, match=r"data\[1\] must have an array under 'b'. Received: none"):
        read('{"data": [{"b": [1]}, {"c": [1]}]}', keys=("data", "b"))
    with pytest.raises(ValueError, match=r"data\[0\] must have '\{'. Received: '3\]\}' at byte 10"):
        read('{"data": [3]}', 64, keys=("data", "b"))
    with pytest.raises(ValueError, match=r"data\[0\]\.b\[1\] must be JSON. Received: 'x\]"):
        read('{"data": [{"b": [1, x]}]}', 64, keys=("data", "b"))


def test_an_empty_array_has_no_elements():
    assert read('{"data": [ ] }') == []


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[1]", r"The file must have '\{'. Received: '\[1\]' at byte 0"),
        ('{"version": 1}', r"The file must have an array under 'data'. Received: none"),
        ("{}", r"The file must have an array under 'data'. Received: none"),
        ('{"data": {"a": 1}}', r"data must have '\['. Received: '\{\"a.* at byte 9"),
        ('{"data": [1 2]}', r"data\[0\] must have ','. Received: '2.*' at byte 12"),
        ('{"data": [1, 2', r"data\[1\] must have ','. Received: '' at byte 14"),
        ('{"data": [1, nope]}', r"data\[1\] must be JSON. Received: 'nope.*' at byte 13, which"),
        ('{"data": [{"a": 1', r"data\[0\] must be JSON. Received: '\{\"a\": 1' at byte 10"),
        ('{"data": [1,]}', r"data\[1\] must be JSON. Received: '\]\}' at byte 12"),
        ('{"data" [1]}', r"The key 'data' must have ':'. Received: '\[1\]\}' at byte 8"),
        ('{"data": [1], 3}', r"A key must be a string. Received: 3"),
        ('{"data": [1]', r"The file must have '\}'. Received: '' at byte 12"),
        ('{"data": [1]} x', r"end behind its object. Received: 'x'"),
        ('{"data": [' + "[" * 100_000, r"data\[0\] must be JSON. Received: '\[\[\["),
    ],
)
def test_a_file_of_another_structure_is_told_where(text, reason):
    with pytest.raises(ValueError, match=reason):
        read(text, 64)


def test_an_element_without_an_end_does_not_fill_the_memory():
    blocks = [b'{"data": ["']
    read_bytes = []

    def endless():
        yield from blocks
        while True:
            read_bytes.append(1 << 20)
            yield b"x" * (1 << 20)

    with pytest.raises(ValueError, match=re.escape("data[0] must be JSON. Received: '\"xxx")):
        list(read_elements(endless(), "data"))
    assert sum(read_bytes) <= 256 << 20


def test_text_that_is_not_utf8_is_refused():
    with pytest.raises(ValueError, match=r"must be in UTF-8. Received: b'\\xe9'"):
        read(b'{"data": ["caf\xe9 x"]}')
