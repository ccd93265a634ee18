"""Makes the root a place to import `tests` from, whichever test is run alone; saves time."""

import collections
import fnmatch
import functools
import gc
import os
import sys

import psutil
import pytest

# Graphs and models are many objects that stay while a file is tested: to look through all of them
# as often as Python does takes nearly a tenth of the time of a run.
gc.set_threshold(100_000, 20, 20)


# Two processes share the cores: threads of their own would wait for each other. Measured on two
# cores, the tests of export take a tenth less time.
for _name in ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
    os.environ.setdefault(_name, "1")

# No test waits for a measurement, or depends on one, but those of the measurement itself.
os.environ.setdefault("LMZOO_MEASURE_ENGINES", "0")


# Files of a minute and more come first, so that no process is left with one of them at the end.
_LONGEST = (
    "runtime/tasks/test_causal_lm.py",
    "export/test_saved_model.py",
    "serving/test_server.py",
    "generation/test_text_generation.py",
    "export/test_reading_tasks.py",
    "tasks/test_question_answerer.py",
    "cli/test_main.py",
    "models/test_backbone.py",
    "tasks/test_text_classifier.py",
    "test_readme.py",
    "cli/commands/test_demo.py",
    "generation/test_beam.py",
    "hub/families/test_added_families.py",
    "tasks/test_seq2seq_lm.py",
    "examples/test_coming_from.py",
    "tokenizers/test_export.py",
    "training/test_replicas.py",
)


# Rooms whose files share what takes seconds to make, such as servers and exported models: the files
# of each go to one process, which makes them once. Compared once, these two rooms took 220 s of
# processor time in place of 252.
_TOGETHER = ("tests/export/test_", "tests/serving/")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    if config.getvalue("dist") != "loadfile":
        return None
    from xdist.scheduler import LoadFileScheduling

    class LoadRoomScheduling(LoadFileScheduling):
        def _split_scope(self, nodeid):
            rooms = (room for room in _TOGETHER if nodeid.startswith(room))
            return next(rooms, super()._split_scope(nodeid))

    return LoadRoomScheduling(config, log)


def pytest_collection_modifyitems(config, items):
    _mark_slow_cases(config, items)
    order = {os.path.join("tests", name): number for number, name in enumerate(_LONGEST)}
    items.sort(key=lambda item: order.get(item.nodeid.partition("::")[0], len(order)))


def _mark_slow_cases(config, items):
    """Marks cases as slow that the `quick` of their test does not name.

    Each argument of `pytest.mark.quick` is the id of a case, in which * stands for anything. Where
    one names no case, the first case fails and says so, unless a part of the cases was asked for.
    """
    cases = collections.defaultdict(list)
    for item in items:
        if (marker := item.get_closest_marker("quick")) is not None:
            cases[item.nodeid.partition("[")[0], marker.args].append(item)
    is_whole = not any("::" in argument for argument in config.args)
    for (_, patterns), its in cases.items():
        unused = set(patterns)
        slow = []
        for item in its:
            found = {each for each in patterns if _is_case(item.callspec.id, each)}
            unused -= found
            if not found:
                slow.append(item)
        if unused and is_whole:
            message = f"`quick` names no case by {sorted(unused)}."
            its[0].runtest = functools.partial(pytest.fail, message, pytrace=False)
            slow = [item for item in slow if item is not its[0]]
        for item in slow:
            item.add_marker(pytest.mark.slow)


def _is_case(name, pattern):
    return fnmatch.fnmatchcase(name, pattern.replace("[", "[[]"))


def pytest_collection_finish():
    """Leaves graphs as they were traced: a quarter of the time of `fit` on a few texts is Grappler.

    Children, which run examples, artefacts and the command line, rewrite their graphs as usual.
    """
    if "tensorflow" in sys.modules:
        import tensorflow as tf

        tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
        _trace_without_stacks()
    # What was imported stays: the collector need not walk it again.
    gc.freeze()


def _trace_without_stacks():
    """Gives each op of a graph one and the same stack: under pytest, a twentieth of the time of a
    run is to write down, for each, the hundred frames that made it, which nothing here reads.
    """
    from tensorflow.python.util import tf_stack

    stack = tf_stack.extract_stack()
    tf_stack.extract_stack = lambda stacklevel=1: stack


# What the memory of a process may grow by before what is not used any more is looked for, in bytes.
_GROWTH = 200 << 20
# What it was after the last time.
_memory = 0


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item, nextitem):
    """Frees the models and graphs of large files after them: in gigabytes, memory is slow.

    They are cycles, which go only when all objects are looked through, and nothing holds them when
    the last test of the file has let go of its fixtures.
    """
    global _memory
    result = yield
    is_last = nextitem is None or nextitem.path != item.path
    if is_last and psutil.Process().memory_info().rss > _memory + _GROWTH:
        gc.collect()
        _memory = psutil.Process().memory_info().rss
    return result


@pytest.fixture
def eagerly():
    """Runs functions without graphs: a few steps are done before a graph is traced."""
    import tensorflow as tf

    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)
