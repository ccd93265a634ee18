"""Which folders are models, and which of their versions are served."""

import pytest

from lmzoo.serving.models.repository import find_versions


@pytest.fixture
def root(tmp_path):
    """`films` with two versions, `vectors` in Hugging Face's layout, and `both`."""
    for name in ("films/1", "films/12", "both/1"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "saved_model.pb").touch()
    for name in ("vectors", "both"):
        (tmp_path / name).mkdir(exist_ok=True)
        for file in ("config.json", "model.safetensors"):
            (tmp_path / name / file).touch()
    return tmp_path


def describe(versions):
    return [(one.number, one.kind, one.folder.name) for one in versions]


def test_versions_go_before_the_folder_that_they_were_exported_from(root):
    found = {name: describe(versions) for name, versions in find_versions(root).items()}
    assert found == {
        "both": [(1, "saved_model", "1")],
        "films": [(12, "saved_model", "12"), (1, "saved_model", "1")],
        "vectors": [(1, "model_folder", "vectors")],
    }


@pytest.mark.parametrize("name, kind", [("both", "saved_model"), ("vectors", "model_folder")])
def test_the_folder_of_one_model_is_served_under_its_name(root, name, kind):
    [(found, versions)] = find_versions(root / name).items()
    assert (found, [one.kind for one in versions]) == (name, [kind])
