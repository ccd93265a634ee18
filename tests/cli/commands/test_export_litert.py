"""lmzoo export to a file for LiteRT, as it is typed."""

import json
import pathlib

import pytest

from lmzoo.cli import main
from lmzoo.runtime import open_model_file
from tests.export.litert.conftest import convert_here

__all__ = ["convert_here"]

GOLDEN = str(pathlib.Path(__file__).parents[2] / "golden" / "gpt2")


def test_a_file_is_written_by_its_suffix_with_the_options_as_defaults(tmp_path, capsys):
    out = tmp_path / "lm.tflite"
    options = ["--quantization", "float16", "--temperature", "0.5", "--json"]
    assert main(["export", GOLDEN, str(out), *options]) == 0
    report = json.loads(capsys.readouterr().out)
    manifest = open_model_file(out).manifest
    assert report["bytes"] == out.stat().st_size
    assert report["quantization"] == manifest.quantization == "float16"
    assert manifest.generation_defaults == {"temperature": 0.5}
    assert main(["export", GOLDEN, str(out)]) == 2
    assert "lm.tflite', which exists" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("out", "option", "message"),
    [
        ("lm.tflite", ["--check"], "`--check` must come with the folder of a SavedModel"),
        (
            "folder",
            ["--quantization", "float16"],
            "ends in .tflite or .litertlm. Received: 'folder'",
        ),
    ],
)
def test_options_of_the_other_kind_of_output_are_refused(capsys, out, option, message):
    assert main(["export", GOLDEN, out, *option]) == 2
    assert message in capsys.readouterr().err
