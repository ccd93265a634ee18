"""The rules of the house, read from the source itself: who imports whom, what is never written."""

import ast
import collections
import configparser
import functools
import importlib
import importlib.util
import json
import pathlib
import re
import subprocess
import sys

import pytest

from lmzoo import startup
from tests.speed import scale_limit

ROOT = pathlib.Path(__file__).parent.parent
PACKAGE = ROOT / "lmzoo"

# What stands below every room, and which rooms a room may import beside its own modules.
GROUND = {
    *("files", "json_files", "keras_seams", "keywords", "runtime", "tensor_files"),
    *("tensorflow_ops", "text_files", "tracing"),
}
MAY_IMPORT = {
    "files": set(),
    "json_files": set(),
    "keras_seams": set(),
    "keywords": set(),
    "tensor_files": set(),
    "tensorflow_ops": set(),
    "text_files": set(),
    "tracing": set(),
    "layers": set(),
    "models": {"layers"},
    "tokenizers": set(),
    "data": {"tokenizers"},
    "metrics": set(),
    "generation": {"layers", "data", "tokenizers"},
    "tasks": {"layers", "data", "metrics", "generation"},
    "hub": {"models", "tasks", "tokenizers"},
    "training": {"tasks", "data", "metrics"},
    "runtime": set(),
    "export": {"layers", "tasks", "tokenizers", "generation", "runtime"},
    "runs": {"models", "tokenizers", "data", "tasks", "hub", "training", "export", "zoo"},
    "explain": {"layers", "data"},
    "tuning": {"tasks", "hub", "training", "runs", "zoo"},
    "evaluation": {"layers", "data", "metrics", "generation", "tasks", "hub"},
    "serving": {"tokenizers", "generation", "tasks", "hub", "export", "explain"},
}
# The folder of a distribution of its own: it imports nothing of the package, but its own modules,
# and these by relative names.
STANDALONE = {"runtime"}
# The front, which imports whatever it wants and which no room imports.
FRONT = ("__init__", "cli", "startup", "zoo")
# Beside the standard library; a room that is not named takes what setup.cfg declares.
THIRD_PARTY = {
    "files": set(),
    "json_files": set(),
    "keywords": set(),
    "tensor_files": {"ml_dtypes", "numpy"},
    "tensorflow_ops": {"tensorflow"},
    "text_files": set(),
    "tracing": {"tensorflow"},
    # TensorFlow inside of functions: the seams of training under a strategy.
    "keras_seams": {"keras", "tensorflow"},
    "layers": {"keras", "numpy"},
    "models": {"keras", "numpy"},
    "metrics": {"tensorflow", "keras", "numpy", "sacrebleu"},
    "generation": {"tensorflow", "numpy"},
    # grpc comes with keras-tuner, scikit-learn with its extra for BayesianOptimization.
    "tuning": {
        "grpc",
        "keras",
        "keras_tuner",
        "matplotlib",
        "numpy",
        "rich",
        "sklearn",
        "tensorflow",
    },
    "runtime": {"ai_edge_litert", "numpy", "sentencepiece", "tokenizers"},
}
# Whose private names may not be used or overridden, as modules below keras/src.
KERAS_BASES = (
    *("layers/layer", "models/model", "trainers/trainer", "losses/loss", "metrics/metric"),
    *("backend/tensorflow/trainer", "backend/tensorflow/layer", "ops/operation"),
    *("metrics/reduction_metrics", "optimizers/base_optimizer", "backend/tensorflow/optimizer"),
)
# Private names of lmzoo's own classes, not derived from Keras, that Keras happens to have too.
OWN_NAMES = {"_lock", "_path"}
# Their methods are where a Keras user looks for what later rooms do, so they import inside.
FACADES = {PACKAGE / "tasks" / "task.py", PACKAGE / "models" / "backbone.py"}
MODULES = sorted(PACKAGE.rglob("*.py"))
# Of one folder. What is more has a folder of its own, by what it is about.
MOST_MODULES = 16


def every_module(check):
    """A test that checks each module and names all that fail: as so many tests, it takes longer."""

    def test():
        failures = []
        for path in MODULES:
            try:
                check(path)
            except AssertionError as error:
                failures.append(f"{path.relative_to(ROOT)}: {error}")
        assert not failures, "\n".join(failures)

    return test


@functools.cache
def parse(path):
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def room_of(path):
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def dotted_name(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports_of(tree):
    """(node, module, name or None) of each import, wherever it stands."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node, alias.name, None) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            yield from ((node, module, alias.name) for alias in node.names)


def own_imports_of(tree):
    """(node, room, whole dotted path as a tuple) of each import of the package's own."""
    for node, module, name in imports_of(tree):
        parts = (*module.split("."), *([name] if name else []))
        if parts[0] == "lmzoo" and len(parts) > 1:
            yield node, parts[1], parts
    for node in ast.walk(tree):
        # After `import lmzoo`, each attribute is an import.
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            if node.value.id == "lmzoo":
                yield node, node.attr, ("lmzoo", node.attr)


def nodes_in_functions(tree):
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    outer = [node for node in ast.walk(tree) if isinstance(node, functions)]
    return {inner for node in outer for inner in ast.walk(node)}


def declared_packages():
    """The names in setup.cfg, as Python imports them."""
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg", encoding="utf-8")
    extras = (text for _, text in config.items("options.extras_require", raw=True))
    lines = "\n".join([config["options"]["install_requires"], *extras]).splitlines()
    names = (re.match(r"[A-Za-z][\w.-]*", line.strip()) for line in lines)
    return {name.group().replace("-", "_") for name in names if name}


@every_module
def test_imports_run_one_way(path):
    room, tree = room_of(path), parse(path)
    if room in FRONT:
        return
    assert room in MAY_IMPORT, f"Name the room {room!r} in MAY_IMPORT, with what it may import."
    relative = [module for _, module, _ in imports_of(tree) if module.startswith(".")]
    if room in STANDALONE:
        assert not list(own_imports_of(tree)), f"{room} may not import what is beside it"
        depth = len(path.relative_to(PACKAGE / room).parts)
        assert all(re.match(r"\.*", module).end() <= depth for module in relative)
        return
    allowed = MAY_IMPORT[room] | GROUND | {room, "__version__"}
    inside = nodes_in_functions(tree) if path in FACADES else set()
    wrong = [
        ".".join(parts)
        for node, other, parts in own_imports_of(tree)
        if other not in allowed and node not in inside
    ]
    assert not wrong, f"{room} may not import {wrong}"
    assert not relative


@every_module
def test_other_packages_are_declared_and_allowed(path):
    room = room_of(path)
    allowed = THIRD_PARTY.get(room, declared_packages())
    modules = {module for _, module, _ in imports_of(parse(path))}
    tops = {module.split(".")[0] for module in modules if not module.startswith(".")}
    assert tops - set(sys.stdlib_module_names) - {"lmzoo"} <= allowed


@every_module
def test_rooms_take_public_names_from_each_other(path):
    for _, room, parts in own_imports_of(parse(path)):
        if room == room_of(path) or parts[1:] == ("__version__",):
            continue
        assert not [part for part in parts if part.startswith("_")], ".".join(parts)
        module, name = importlib.import_module("lmzoo"), None
        for name in parts[1:]:
            if name not in getattr(module, "__all__", ()):
                importlib.import_module(f"{module.__name__}.{name}")
            module = getattr(module, name)


@every_module
def test_a_module_lists_its_public_names_and_has_them(path):
    module = importlib.import_module(dotted_name(path))
    assert hasattr(module, "__all__"), f"{dotted_name(path)} has no __all__"
    assert len(set(module.__all__)) == len(module.__all__)
    for name in module.__all__:
        assert not name.startswith("_")
        assert getattr(module, name) is not None


@pytest.mark.parametrize("room", sorted(p.parent.name for p in PACKAGE.glob("*/__init__.py")))
def test_a_room_hands_out_public_names_of_its_modules(room):
    module = importlib.import_module(f"lmzoo.{room}")
    assert module.__all__
    for name in module.__all__:
        home = getattr(getattr(module, name), "__module__", f"lmzoo.{room}")
        # A room may hand on what stands below every room.
        homes = (f"lmzoo.{room}", *(f"lmzoo.{ground}" for ground in GROUND))
        assert home.startswith(homes), f"{name} comes from {home}"


def nodes_nobody_can_silence(tree):
    """All but those under `if verbose:`, which a caller may switch off."""
    switched = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If)
        and isinstance(node.test, ast.Name)
        and node.test.id == "verbose"
        for inner in ast.walk(node)
    }
    return set(ast.walk(tree)) - switched


def broken_rules(tree, may_print):
    """What the library never writes: each as "line: rule"."""
    unsafe_modules = {"pickle", "cPickle", "dill", "marshal", "shelve", "cloudpickle", "joblib"}
    for node, module, _ in imports_of(tree):
        if module.split(".")[0] in unsafe_modules:
            yield f"{node.lineno}: import of {module}"
    unsafe_calls = {"eval", "exec", "compile", "__import__"}
    quiet = [] if may_print else nodes_nobody_can_silence(tree)
    unsafe_keywords = {"allow_pickle": True, "safe_mode": False, "trust_remote_code": True}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assert):
            yield f"{node.lineno}: assert"
        if isinstance(node, ast.ExceptHandler) and node.type is None:
            yield f"{node.lineno}: bare except"
        if isinstance(node, ast.Call):
            if isinstance(node.func, ast.Name) and node.func.id in unsafe_calls:
                yield f"{node.lineno}: {node.func.id}()"
            if node in quiet and isinstance(node.func, ast.Name) and node.func.id == "print":
                yield f"{node.lineno}: print()"
            for keyword in node.keywords:
                value = getattr(keyword.value, "value", None)
                if keyword.arg in unsafe_keywords and value is unsafe_keywords[keyword.arg]:
                    yield f"{node.lineno}: {keyword.arg}={value}"


def private_names_of_keras():
    """Private methods and attributes of what lmzoo derives from, read without an import."""
    folder = pathlib.Path(importlib.util.find_spec("keras").origin).parent / "src"
    names = set()
    for module in KERAS_BASES:
        for node in ast.walk(parse(folder / f"{module}.py")):
            if isinstance(node, ast.FunctionDef):
                names.add(node.name)
            if isinstance(node, ast.Attribute) and getattr(node.value, "id", "") == "self":
                names.add(node.attr)
    return {name for name in names if re.match(r"_[a-z]", name)}


def test_private_parts_of_keras_stand_in_keras_seams():
    private, found = private_names_of_keras() - OWN_NAMES, []
    assert {"_loss_tracker", "_flatten_layers", "_symbolic_build"} <= private
    for path in MODULES:
        for node in ast.walk(parse(path)) if path.stem != "keras_seams" else ():
            name = getattr(node, "attr", None) or getattr(node, "name", None)
            if isinstance(node, ast.Constant):
                name = node.value
            elif isinstance(node, ast.ImportFrom | ast.Import):
                name = "keras.src" if "keras.src" in ast.unparse(node) else None
            if name == "keras.src" or (isinstance(name, str) and name in private):
                found.append(f"{path.relative_to(ROOT)}:{node.lineno}: {name}")
    assert not found, f"Move these to lmzoo/keras_seams.py, or call your own otherwise: {found}"


@every_module
def test_the_kind_of_a_task_is_read_from_the_task(path):
    looks = [
        node.lineno
        for node in ast.walk(parse(path))
        if isinstance(node, ast.Call)
        and getattr(node.func, "id", "") == "hasattr"
        and getattr(node.args[0], "id", "") in ("task", "lm")
    ]
    assert not looks, f"lines {looks}: read `task.is_generative`, `task.head` and their like"


@every_module
def test_the_library_never_writes_what_is_unsafe(path):
    assert not list(broken_rules(parse(path), may_print=room_of(path) in FRONT))


@pytest.mark.parametrize(
    "line",
    [
        "import pickle",
        "from pickle import loads",
        "assert x",
        "try:\n  x\nexcept:\n  y",
        "eval('x')",
        "exec('x')",
        "print('x')",
        "np.load(f, allow_pickle=True)",
    ],
)
def test_each_unsafe_line_is_found(line):
    assert list(broken_rules(ast.parse(line), may_print=False))


def test_a_caller_who_asks_for_words_gets_them():
    assert not list(broken_rules(ast.parse("if verbose:\n  print('x')"), may_print=False))


def tracked_files():
    """What git tracks; without git, what is there but caches and dot-files."""
    try:
        listed = subprocess.run(
            ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, timeout=30
        )
        names = [name for name in listed.stdout.decode().split("\0") if name]
    except (OSError, subprocess.CalledProcessError):
        names = [str(path.relative_to(ROOT)) for path in ROOT.rglob("*") if path.is_file()]
    hidden = re.compile(r"(^|/)(__pycache__|[^/]+\.egg-info|build|dist)/|^\.(?!ci|pre|gitignore)")
    return [name for name in names if not hidden.search(name) and (ROOT / name).is_file()]


def test_the_top_level_holds_the_fixed_names():
    fixed = {"setup.cfg", "pyproject.toml", "README.md", "LICENSE"}
    fixed |= {"lmzoo", "tests", "examples", "saved_models"}
    found = {name.split("/")[0] for name in tracked_files()}
    assert {name for name in found if not name.startswith(".")} == fixed


def test_a_folder_holds_no_more_modules_than_a_reader_looks_through():
    folders = collections.Counter(
        name.rpartition("/")[0]
        for name in tracked_files()
        if re.match(r"(lmzoo|examples/\w+)/", name) and name.endswith(".py")
    )
    assert folders["lmzoo/layers"] > 5
    assert not {folder: count for folder, count in folders.items() if count > MOST_MODULES}


def read_tree(text):
    """The paths of an indented tree, two spaces a level, `name/  # what it is` on each line."""
    paths, folders = [], []
    for line in filter(str.strip, text.splitlines()):
        indent, name = re.match(r"( *)(\S+)(?:\s+#.*)?$", line).groups()
        del folders[len(indent) // 2 :]
        if len(indent) % 2 or len(folders) != len(indent) // 2:
            raise ValueError(f"A level of the tree is two spaces. Received: {line!r}.")
        paths.append("/".join([*folders, name.rstrip("/")]))
        folders.append(name.rstrip("/"))
    return paths


def test_a_tree_is_read_level_by_level():
    text = "a/  # one\n  b/\n    c.py   # two words\n  d.py\ne\n"
    assert read_tree(text) == ["a", "a/b", "a/b/c.py", "a/d.py", "e"]
    with pytest.raises(ValueError, match="'    b'"):
        read_tree("a/\n    b")


def tree_in_readme():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    block = re.search(
        r"^#+ [^\n]*\btree\b[^\n]*\n.*?^```\w*\n(.*?)^```", readme, re.S | re.M | re.I
    )
    assert block, "README.md has no heading with the word tree and a fenced block below it."
    return read_tree(block.group(1))


def test_the_tree_in_the_readme_is_the_tree_on_disk():
    named = tree_in_readme()
    assert len(set(named)) == len(named)
    missing = [path for path in named if not (ROOT / path).exists()]
    assert not missing, f"The tree names what is not there: {missing}"
    tracked = [pathlib.PurePath(name) for name in tracked_files() if not name.startswith(".")]
    there = {path.parts[0] for path in tracked}
    # Rooms are the entries of the package and the folders of examples.
    there |= {"/".join(p.parts[:2]) for p in tracked if p.parts[0] == "lmzoo" and len(p.parts) > 1}
    there |= {
        "/".join(p.parts[:2]) for p in tracked if p.parts[0] == "examples" and len(p.parts) > 2
    }
    there.discard("lmzoo/__init__.py")
    assert not there - set(named), "The tree does not name what is there."


def test_no_tracked_text_holds_a_private_path_or_a_registry():
    # Written in pieces, so that this file does not find itself.
    folders = "|".join(["home", "Users", "root", "work", "workspace", "mnt"])
    hosts = "|".join([r"pypi\.o" + "rg", "pythonhos" + "ted", "npm" + "js", "artifact" + "ory"])
    wrong = re.compile(rf"(?<![\w./-])/({folders})/[\w.]|{hosts}")
    found = []
    for name in tracked_files():
        content = (ROOT / name).read_bytes()
        if b"\0" in content:
            continue
        for number, line in enumerate(content.decode("utf-8", "replace").splitlines(), 1):
            if wrong.search(line):
                found.append(f"{name}:{number}: {line.strip()[:80]}")
    assert not found


def registers_with_keras(node):
    return any("register_keras_serializable" in ast.unparse(line) for line in node.decorator_list)


def test_startup_names_every_class_that_registers_itself_with_keras():
    registered = {
        node.name
        for path in MODULES
        for node in ast.walk(parse(path))
        if isinstance(node, ast.ClassDef) and registers_with_keras(node)
    }
    # Keras opens a file by these names after nothing but `import lmzoo`.
    assert set(startup.CLASSES) == registered


def run_child(code):
    child = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert child.returncode == 0, child.stderr[-2000:]
    return json.loads(child.stdout.splitlines()[-1])


@pytest.mark.slow
def test_importing_the_package_costs_little_beside_keras():
    code = """
import json, statistics, sys, time
import keras
seconds = []
for _ in range(3):
    for name in [name for name in sys.modules if name.split(".")[0] == "lmzoo"]:
        del sys.modules[name]
    start = time.perf_counter()
    import lmzoo
    seconds.append(time.perf_counter() - start)
print(json.dumps(statistics.median(seconds)))
"""
    assert run_child(code) <= scale_limit(0.3)


def test_importing_the_package_loads_nothing_heavy():
    code = "import sys, json, lmzoo\nprint(json.dumps(sorted(sys.modules)))"
    heavy = {"tensorflow", "tensorflow_text", "keras", "keras_hub", "keras_tuner", "torch"}
    assert not heavy & set(run_child(code))


# Words of an earlier vocabulary, for which the field has a term: what to say instead.
BANNED_IDENTIFIERS = {
    # layers
    "SinusoidalPositions": "SinePositionEncoding",
    # tokenizers
    "encloses": "add_bos_and_eos",
    "strip_left": "lstrip",
    "learn_byte_pairs": "train_byte_pairs",
    "learn_word_pieces": "train_word_pieces",
    "learn_sentence_pieces": "train_sentence_pieces",
    "make_fast_form": "make_unigram_json",
    "read_fast_form": "read_unigram_json",
    "make_pair_form": "make_bpe_json",
    "read_pair_form": "read_bpe_json",
    "composes": "normalize_nfc",
    "visible_tokens": "added_tokens",
    "first_pieces": "initial_tokens",
    "further_pieces": "continuing_tokens",
    "composer": "NFCNormalizer",
    "start_templates": "post_processors",
    # data
    "borderless": "without_eos",
    "is_cut": "is_truncated",
    "find_room": "count_text_tokens",
    "without_borders": "without_eos",
    "unit_noise": "uniform_noise",
    "fixed_masks": "fixed_noise",
    "make_datasets": "build_datasets",
    # generation
    "text_pieces": "streaming",
    "apply_prohibitions": "apply_logits_processors",
    "cut_pieces": "StreamingDetokenizer",
    "forbid_repeated_ngrams": "mask_repeated_ngrams",
    "forbid_sequences": "mask_bad_words",
    "forbid_tokens": "mask_tokens",
    "make_beam_chooser": "make_beam_selector",
    "make_chooser": "make_token_selector",
    "prompt_is_text": "is_encoder_decoder",
    "token_texts": "stop_strings",
    # tasks
    "label_answers": "choose_labels",
    "CutReport": "TruncationReport",
    "word_places": "word_positions",
    "widen_numbers": "ints_to_floats",
    # hub/files, hub/remote
    "copy_texts": "copy_documents",
    "fetch_start": "fetch_first_bytes",
    "find_remote_weights": "read_remote_headers",
    "read_licence": "read_license",
    "read_shard_size": "parse_shard_size",
    "refuse_weightless": "make_no_weights_error",
    "tell_errors": "translate_errors",
}


def identifiers_of(tree):
    """(line, identifier) of each name, attribute, argument, definition and module in a file."""
    for node in ast.walk(tree):
        line = getattr(node, "lineno", 0)
        if isinstance(node, ast.Name):
            yield line, node.id
        elif isinstance(node, ast.Attribute):
            yield line, node.attr
        elif isinstance(node, ast.arg | ast.keyword) and node.arg:
            yield line, node.arg
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield line, node.name
        elif isinstance(node, ast.Import | ast.ImportFrom):
            parts = (getattr(node, "module", None) or "").split(".")
            yield from ((line, part) for part in parts)
            yield from ((line, alias.asname or alias.name) for alias in node.names)


def banned_identifiers_in(tree):
    return [
        f"{line}: {name} (say {BANNED_IDENTIFIERS[name.strip('_')]})"
        for line, name in identifiers_of(tree)
        if name.strip("_") in BANNED_IDENTIFIERS
    ]


def test_identifiers_are_the_terms_of_the_field():
    found = []
    for name in tracked_files():
        if name.endswith(".py"):
            path = ROOT / name
            words = banned_identifiers_in(parse(path))
            if path.stem.removeprefix("test_") in BANNED_IDENTIFIERS:
                words.append(f"file name {path.name}")
            found += [f"{name}:{word}" for word in words]
    assert not found


@pytest.mark.parametrize(
    "line",
    ["borderless = 1", "x.borderless", "def borderless(): pass", "f(_borderless=1)"],
)
def test_each_place_of_a_banned_identifier_is_found(line):
    assert banned_identifiers_in(ast.parse(line)) == ["1: " + banned_word(line)]


def banned_word(line):
    name = "_borderless" if "_borderless" in line else "borderless"
    return f"{name} (say without_eos)"
