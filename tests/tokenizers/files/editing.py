"""Changes to the JSON files of a saved tokenizer."""

import json

__all__ = [
    "SMALL_FILES",
    "assert_second_save_is_the_same",
    "edit",
    "remove",
    "remove_spaces",
    "set_value",
]

SMALL_FILES = ["special_tokens_map.json", "tokenizer_config.json"]


def edit(path, change):
    """Reads a JSON file, lets `change` work on its content, and writes it back."""
    content = json.loads(path.read_text(encoding="utf-8"))
    change(content)
    path.write_text(json.dumps(content), encoding="utf-8")


def remove(folder, *names):
    for name in names:
        (folder / name).unlink()


def set_value(*path_and_value):
    """A change for `edit`: puts the last argument where the keys before it lead."""
    *path, last, value = path_and_value

    def change(content):
        for key in path:
            content = content[key]
        content[last] = value

    return change


def assert_second_save_is_the_same(kind, folder, tmp_path_factory, names):
    """A folder has these names, sorted; opened and saved again it has the same bytes."""
    second = tmp_path_factory.mktemp("again") / "new"
    kind.load(folder).save(second)
    for saved in (folder, second):
        assert sorted(path.name for path in saved.iterdir()) == names
    for name in names:
        assert (second / name).read_bytes() == (folder / name).read_bytes(), name


def remove_spaces(content, at_start=True, replacement=" "):
    """Lets a normalizer remove double spaces and those at the ends, as multilingual E5's does."""
    strip = {"type": "Strip", "strip_left": at_start, "strip_right": True}
    replace = {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": replacement}
    parts = [content["normalizer"], strip, replace]
    content["normalizer"] = {"type": "Sequence", "normalizers": parts}
    metaspace = {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "always"}
    content["pre_tokenizer"] = metaspace
