import dataclasses

import numpy as np
import pytest

from lmzoo.data.corpus.splits import split_stream
from lmzoo.data.corpus.token_stream import open_stream, write_stream
from lmzoo.data.corpus.without_eos import without_eos

END = 256


@pytest.fixture
def write(tmp_path):
    def write(documents):
        sizes = [len(document) for document in documents]
        starts = np.cumsum([0, *(size + 1 for size in sizes[:-1])])
        ids = np.array([token for document in documents for token in (END, *document)])
        write_stream(tmp_path, [(ids, starts)], END, 257)
        return open_stream(tmp_path)

    return write


def test_all_tokens_but_the_borders_are_found(write):
    draw = np.random.default_rng(0)
    for trial in range(20):
        # Documents without a token are among them, also the first and the last one.
        sizes = draw.integers(0, 4, draw.integers(1, 12))
        documents = [draw.integers(0, 256, size).tolist() for size in sizes]
        stream = without_eos(write(documents))
        expected = [token for document in documents for token in document]
        assert len(stream) == len(expected)
        if expected:
            places = draw.permutation(len(expected)).reshape(-1, 1)
            np.testing.assert_array_equal(
                stream.token_ids[places], np.array(expected)[places], err_msg=str(trial)
            )


def test_a_stream_may_begin_inside_a_document(write):
    whole = write([list(range(100)), list(range(100, 200))])
    # The tail of too few documents is set aside: its first token begins none.
    _, held_out = split_stream(whole, 0.2)
    stream = without_eos(held_out)
    rest = held_out.token_ids[held_out.token_ids != END]
    assert held_out.starts.size == 0 or held_out.starts[0] > 0
    np.testing.assert_array_equal(stream.token_ids[np.arange(len(stream))], rest)


def test_a_stream_without_any_border_is_as_it_was(write):
    whole = write([[1, 2, 3]])
    stream = without_eos(
        dataclasses.replace(whole, token_ids=whole.token_ids[1:], starts=whole.starts[:0])
    )
    assert stream.token_ids[np.array([2, 0])].tolist() == [3, 1]
