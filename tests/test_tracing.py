"""Functions traced once for each object, beside others of the same code."""

import ast
import gc
import logging
import pathlib
import weakref

import pytest
import tensorflow as tf

import lmzoo
from lmzoo.tracing import trace_once, traced_method

ROW = [tf.TensorSpec([None], tf.int32)]


@pytest.fixture
def warnings_of_tensorflow():
    """The messages that TensorFlow logs."""
    messages, handler = [], logging.Handler()
    handler.emit = lambda record: messages.append(record.getMessage())
    tf.get_logger().addHandler(handler)
    yield messages
    tf.get_logger().removeHandler(handler)


def make_function(make):
    """One of several functions of the same code."""
    return make(lambda row: row + 1)


def test_many_functions_of_one_code_are_traced_without_a_warning(warnings_of_tensorflow):
    row = tf.constant([1])
    for _ in range(8):
        assert make_function(lambda f: trace_once(f, ROW))(row).numpy() == [2]
    assert not warnings_of_tensorflow
    for _ in range(8):
        make_function(lambda f: tf.function(f, input_signature=ROW, autograph=False))(row)
    assert any("retracing" in message for message in warnings_of_tensorflow)


def test_a_traced_method_is_traced_once_for_each_object_and_keeps_none_alive():
    traces = []

    class Adder(tf.Module):
        def __init__(self, number):
            super().__init__()
            self.number = number

        @traced_method(ROW)
        def add(self, row):
            """Adds the number."""
            traces.append(self.number)
            return row + self.number

    adders = [Adder(1), Adder(2)]
    for length in (1, 2):
        for adder in adders:
            assert (
                adder.add(tf.ones(length, tf.int32)).numpy().tolist() == [adder.number + 1] * length
            )
    assert traces == [1, 2] and Adder.add.__doc__ == "Adds the number."
    seen = weakref.ref(adders[0])
    del adders, adder
    gc.collect()
    assert seen() is None


def test_functions_of_the_package_are_traced_by_this_module():
    package = pathlib.Path(lmzoo.__file__).parent
    made = {
        str(path.relative_to(package))
        for path in package.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and ast.unparse(node) == "tf.function"
    }
    # An export traces its signatures once and is not called.
    assert {name for name in made if not name.startswith("export/")} == {"tracing.py"}
