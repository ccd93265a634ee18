import numpy as np
import tensorflow as tf

from lmzoo.tokenizers.unicode.bert_characters import IRREGULAR, LETTER, MOVES, CharacterTables
from lmzoo.tokenizers.unicode.character_map import CharacterMap


def make_map():
    entries = np.arange(0x110000, dtype=np.int32)
    entries[ord("A") : ord("Z") + 1] += LETTER + 32
    entries[ord("0")] = IRREGULAR  # to nothing
    entries[0x10FFFF] = MOVES + IRREGULAR + 1  # to three
    entries[0x10FFFE] = IRREGULAR + 99  # behind the last row: to nothing
    return CharacterMap(
        CharacterTables(entries, np.array([7, 8, 9], np.int32), np.array([0, 0, 3], np.int32))
    )


def test_each_code_point_has_its_entry():
    points = tf.constant([ord("a"), ord("Q"), ord("0"), 0x10FFFF, 0x4E00])
    expected = [ord("a"), LETTER + ord("q"), IRREGULAR, MOVES + IRREGULAR + 1, 0x4E00]
    assert make_map().look_up(points).numpy().tolist() == expected


def test_expansions_take_the_places_of_their_entries():
    tables = make_map()
    entries = tables.look_up(tf.constant([ord(c) for c in "0a0\U0010ffffb\U0010fffe"]))
    expanded, splits, sources = tables.expand(entries, tf.constant([0, 1, 1, 4, 6], tf.int64))
    assert expanded.numpy().tolist() == [ord("a"), 7, 8, 9, ord("b")]
    assert splits.numpy().tolist() == [0, 0, 0, 4, 5]
    assert sources.numpy().tolist() == [1, 3, 3, 3, 4]


def test_the_tables_are_small_in_a_graph():
    tables = make_map()
    assert len(tables._differences) == 3 * 256
