"""The tables of a tokenizer as variables, which a SavedModel has in a file beside its graph.

Of a tokenizer with 50,257 byte pairs the tables are 3.5 MB. As constants they would be in the
graph, which is read as a whole and whose constants are kept.
"""

import contextlib

import tensorflow as tf

from lmzoo.export.quantization import swapped

__all__ = ["stored_tables"]

# How many numbers or strings a table has that is worth a variable.
_LEAST_SIZE = 256


@contextlib.contextmanager
def stored_tables(task):
    """A context in which a task has a tokenizer whose large tables are variables.

    Args:
        task: a task of `lmzoo.tasks`.
    Yields:
        StoredTables.
    """
    model = task.get_scored_model()
    tables = StoredTables(model.tokenizer)
    with contextlib.ExitStack() as stack:
        stack.enter_context(swapped(model, "tokenizer", tables.tokenizer))
        # What is traced here reads these tables, which go when the export is done.
        for owner in (task, model):
            stack.enter_context(swapped(owner, "_graphs", {}))
        yield tables


class StoredTables:
    """A copy of a tokenizer whose large tables are variables.

    Args:
        tokenizer: a tokenizer of `lmzoo.tokenizers`, or None.
    Attributes:
        tokenizer: the copy, which gives the same ids and texts; or None.
    """

    def __init__(self, tokenizer):
        self._copies = {}
        self._stored = []
        self.tokenizer = tokenizer
        if tokenizer is not None:
            # They are built at their first use.
            _ = tokenizer._encoder, tokenizer._decoder
            self.tokenizer = self._copy(tokenizer)

    def _copy(self, module):
        if id(module) not in self._copies:
            new = self._copies[id(module)] = object.__new__(type(module))
            tf.Module.__init__(new, name=module.name)
            for name, value in vars(module).items():
                if name not in vars(new) and not name.startswith("_self_"):
                    setattr(new, name, self._store(new, name, value))
        return self._copies[id(module)]

    def _store(self, owner, name, value):
        """A part of a module, as it is or copied."""
        if isinstance(value, tf.Module):
            return self._copy(value)
        if isinstance(value, tf.lookup.StaticHashTable):
            keys, values = value.export()
            if keys.shape[0] >= _LEAST_SIZE:
                stored = {f"{name}_keys": keys, f"{name}_values": values}
                stored = {each: self._make_variable(each, stored[each]) for each in stored}
                value = tf.lookup.StaticHashTable(_Stored(*stored.values()), value.default_value)
                for each, variable in stored.items():
                    setattr(owner, each, variable)
                self._stored.append((owner, (name, *stored), value.resource_handle))
        elif isinstance(value, tf.Tensor) and value.shape.num_elements() >= _LEAST_SIZE:
            value = self._make_variable(name, value)
            self._stored.append((owner, (name,), value.handle))
        return value

    def _make_variable(self, name, value):
        with tf.device("/CPU:0"):
            return tf.Variable(value, trainable=False, name=name.strip("_"))

    def drop_unused(self, functions):
        """Lets go of the tables that no function reads, so that they are not saved.

        Args:
            functions: iterable of concrete functions.
        """
        captured = set()
        for function in functions:
            captured |= {id(each) for each in function.captured_inputs}
        for owner, names, handle in self._stored:
            if id(handle) not in captured:
                for name in names:
                    delattr(owner, name)


class _Stored(tf.lookup.KeyValueTensorInitializer):
    """Fills a table from variables, which are restored before tables are filled."""

    def __init__(self, keys, values):
        super().__init__(keys, values)
        self.variables = keys, values

    def initialize(self, table):
        keys, values = (variable.read_value() for variable in self.variables)
        return tf.raw_ops.LookupTableImportV2(
            table_handle=table.resource_handle, keys=keys, values=values
        )
