"""Functions that TensorFlow traces once for each object, without its warning about retracing.

TensorFlow counts tracings by the code of a function. A process with several models traces the same
code once for each of them, which is not the retracing that its warning is about.
"""

import functools
import weakref

import tensorflow as tf

__all__ = ["trace_once", "traced_method"]


def trace_once(function, input_signature=None, **options):
    """Makes a tf.function whose tracings are counted apart from others of the same code.

    Args:
        function: callable.
        input_signature: list of tf.TensorSpec, or None.
        **options: as for `tf.function`.
    Returns:
        tf.function, without AutoGraph.
    """
    # A partial has no code of its own, so TensorFlow counts by the object.
    own = functools.partial(function)
    return tf.function(own, input_signature=input_signature, autograph=False, **options)


def traced_method(input_signature):
    """A decorator like `tf.function` for methods, with one tf.function for each object.

    TensorFlow saves every tf.function that is an attribute of what it saves, used or not. Such a
    method is saved only where a saved function calls it.

    Args:
        input_signature: list of tf.TensorSpec.
    """
    return functools.partial(_TracedMethod, input_signature=input_signature)


class _TracedMethod:
    def __init__(self, method, input_signature):
        functools.update_wrapper(self, method)
        self._method, self._signature = method, input_signature
        self._functions = weakref.WeakKeyDictionary()

    def __get__(self, instance, owner=None):
        if instance is None:
            return self
        if instance not in self._functions:
            # A strong reference in the value would keep the instance for ever.
            weak = weakref.ref(instance)
            method = self._method

            def call(*arguments):
                return method(weak(), *arguments)

            # TensorFlow does not know a partial for a function of its own.
            self._functions[instance] = functools.partial(trace_once(call, self._signature))
        return self._functions[instance]
