import itertools
import json
import random

import pytest

from lmzoo.data.rows.json_elements import read_elements
from lmzoo.text_files.bounded_reading import ReadLimits


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


def test_a_number_across_two_blocks_is_read_whole():
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


def test_another_structure_of_inner_arrays_is_told_where():
    with pytest.raises(ValueError, match=r"data\[0\] must have '\{'. Received: '3\]\}' at byte 10"):
        read('{"data": [3]}', 64, keys=("data", "b"))
    with pytest.raises(ValueError, match=r"data\[0\]\.b\[1\] must be JSON. Received: 'x\]"):
        read('{"data": [{"b": [1, x]}]}', 64, keys=("data", "b"))


def test_an_empty_array_has_no_elements():
    assert read('{"data": [ ] }') == []


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("3", r"The file must have '\{'. Received: '3' at byte 0"),
        ('{"other": nope}', r"The value of 'other' must be JSON. Received: 'nope\}' at byte 10"),
        ('{"other": [1', r"The value of 'other' must be JSON. Received: .*, which does not end"),
        ('{"other": [1}}', r"The value of 'other' must be JSON. .* '\}' closes another bracket"),
        ('{"other": ' + "[" * 100_000, r"The value of 'other' must be JSON. .*nested too deeply"),
        ('{"data": {"a": 1}}', r"data must have '\['. Received: '\{\"a.* at byte 9"),
        ('{"data": [1 2]}', r"data\[0\] must have ','. Received: '2.*' at byte 12"),
        ('{"data": [1, 2', r"data\[1\] must have ','. Received: '' at byte 14"),
        ('{"data": [1, nope]}', r"data\[1\] must be JSON. Received: 'nope.*' at byte 13, which"),
        (
            '{"data": [{"a": 1',
            r"data\[0\] must be JSON. Received: '\{\"a\": 1' at byte 10, wh",
        ),
        ('{"data": [1,]}', r"data\[1\] must be JSON. Received: '\]\}' at byte 12"),
        ('{"data" [1]}', r"The key 'data' must have ':'. Received: '\[1\]\}' at byte 8"),
        ('{"data": [1], 3}', r"A key must be a string. Received: 3"),
        ('{"data": [1]', r"The file must have '\}'. Received: '' at byte 12"),
        ('{"data": [1]} x', r"end after its value. Received: 'x'"),
        ('{"data": [' + "[" * 100_000, r"data\[0\] must be JSON. Received: '\[\[\["),
    ],
)
def test_a_file_of_another_structure_is_told_where(text, reason):
    with pytest.raises(ValueError, match=reason):
        read(text, 64)


def test_an_element_without_an_end_is_refused_at_the_limit():
    num_blocks = itertools.count()

    def endless(start):
        yield start
        while next(num_blocks) < 100:
            yield b"x" * 1000

    limits = ReadLimits(max_record_bytes=10_000)
    with pytest.raises(ValueError, match=r"data\[0\]: A record must have at most 10000 bytes"):
        list(read_elements(endless(b'{"data": ["'), "data", limits=limits))
    with pytest.raises(ValueError, match=r"A key of the file: A record must have at most 10000"):
        list(read_elements(endless(b'{"'), "data", limits=limits))
    assert next(num_blocks) < 80 * 2


def test_an_element_of_many_values_is_refused_before_it_is_parsed():
    content = json.dumps({"data": ["[,{" * 9, [[]] * 9]})
    assert (
        len(list(read_elements([content.encode()], "data", limits=ReadLimits(max_items=20)))) == 2
    )
    with pytest.raises(ValueError, match=r"data\[1\] must be JSON. .* 18 values. Received: 19"):
        list(read_elements([content.encode()], "data", limits=ReadLimits(max_items=18)))


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_values_under_other_keys_are_skipped_whatever_they_are(size):
    nasty = ['"', "\\", '\\"', "[", "}", "é😀", "", {"]": ["{"]}, [], 1.5, None, "x" * 50]
    found = {**{f"a{n}\\": value for n, value in enumerate(nasty)}, "data": [1], "z": nasty}
    content = json.dumps(found, ensure_ascii=False).encode()
    ((indices, begin, length, value),) = read(content, size)
    assert (indices, value, content[begin : begin + length]) == ((0,), 1, b"1")


@pytest.mark.parametrize("size", [1, 4, 1000])
def test_the_array_may_be_the_whole_file(size):
    content = b' [{"b": [1, 2]}, {"c": [0]}, {"b": []}] '
    results = read(content, size, ("data", "b"))
    assert [(indices, value) for indices, _, _, value in results] == [
        ((0, 0), 1),
        ((0, 1), 2),
        ((1,), None),
    ]
    assert [content[b : b + n] for _, b, n, _ in results] == [b"1", b"2", b'{"c": [0]}']


def test_an_object_without_the_key_is_an_element_and_json_lines_are_several():
    content = b'{"b": 1}\n{"b": [{}]}\r\n\n{}\n'
    results = read(content, 5)
    assert [(indices, value) for indices, _, _, value in results] == [((), None)] * 3
    assert [content[b : b + n] for _, b, n, _ in results] == [b'{"b": 1}', b'{"b": [{}]}', b"{}"]
    with pytest.raises(ValueError, match=r"end after its value. Received: '\{'"):
        read('{"data": []}{"data": []}')


def test_text_that_is_not_utf8_is_refused():
    with pytest.raises(ValueError, match=r"must be in UTF-8. Received: b'\\xe9'"):
        read(b'{"data": ["caf\xe9 x"]}')
