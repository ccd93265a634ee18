"""The journal of a search: what was written is there after a kill, once."""

import json

import pytest

from lmzoo.tuning.journal import Journal


def test_events_stay_and_a_line_that_was_cut_goes(tmp_path):
    with Journal(tmp_path) as journal:
        journal.write(event="begin", trial="0000", values={"rate": 0.1 + 0.2})
        journal.write(event="end", trial="0000")
    path = tmp_path / "journal.jsonl"
    whole = path.read_bytes()
    for cut in range(1, len(whole), 9):
        path.write_bytes(whole[:cut])
        with Journal(tmp_path) as journal:
            assert len(journal.events) == whole[:cut].count(b"\n")
            journal.write(event="end", trial="0001")
        assert json.loads(path.read_bytes().splitlines()[-1])["trial"] == "0001"
    path.write_bytes(whole)
    with Journal(tmp_path) as journal:
        assert journal.events[0]["values"] == {"rate": 0.1 + 0.2}


def test_one_process_at_a_time_searches_in_a_folder(tmp_path):
    with Journal(tmp_path):
        with pytest.raises(RuntimeError, match="one search at a time.*another process"):
            Journal(tmp_path)
    Journal(tmp_path).close()


def test_a_broken_line_is_named(tmp_path):
    (tmp_path / "journal.jsonl").write_text('{"event": "end"}\n{oops\n{}\n')
    with pytest.raises(ValueError, match="line 2: b'{oops'"):
        Journal(tmp_path)
