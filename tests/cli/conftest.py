"""Runs commands in the test's process."""

import json

import pytest

from lmzoo.cli import main


@pytest.fixture
def run_command(capsys):
    """Runs a command and gives what it printed: parsed with --json, or the error."""

    def run(*arguments, code=0):
        assert main(list(arguments)) == code
        printed = capsys.readouterr()
        if code:
            return printed.err
        return json.loads(printed.out) if "--json" in arguments else printed.out

    return run
