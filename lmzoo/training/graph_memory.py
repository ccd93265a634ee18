"""The memory that a graph of TensorFlow takes, found without running it.

Operations are taken in the order in which they were made. A tensor takes its room from the
operation that makes it to the last one that reads it.
"""

import collections
import math

from lmzoo.keras_seams import list_called_graphs

__all__ = ["find_peak"]

# Their result is the buffer of their input.
_VIEWS = {
    *("Identity", "IdentityN", "StopGradient", "PreventGradient", "Reshape", "ExpandDims"),
    *("Squeeze", "EnsureShape", "Snapshot", "While", "StatelessWhile"),
}
# They write into the buffer of an input that nothing else reads, if it has their size.
_IN_PLACE = {
    *("Add", "AddV2", "AddN", "Sub", "Mul", "RealDiv", "DivNoNan", "Maximum", "Minimum", "Pow"),
    *("Neg", "Exp", "Log", "Tanh", "Erf", "Square", "Sqrt", "Rsqrt", "Sigmoid", "Relu", "Cos"),
    *("Sin", "Softmax", "BiasAdd", "TanhGrad", "RsqrtGrad", "SqrtGrad", "SigmoidGrad", "ReluGrad"),
    *("SquaredDifference", "LogicalAnd", "LogicalOr"),
}
# What they give is there with the model, or needs no room.
_NO_ROOM = {"VarHandleOp", "ReadVariableOp", "Placeholder", "Const", "Shape", "NoOp"}
_LOOPS = {"While", "StatelessWhile"}


def find_peak(graph, outputs):
    """The bytes of all tensors of a graph that are there at once.

    Args:
        graph: tf.Graph.
        outputs: list of its tensors, which stay. Operations that none of them needs do not run.
    Returns:
        int. Variables, constants and what is fed do not count.
    """
    operations = _list_needed(graph, [tensor.op for tensor in outputs])
    same = _find_same(operations)
    operations = [op for op in operations if same[op.name] == op.name]
    buffers = _Buffers(operations, same, outputs)
    return max(buffers.run(operations), default=0)


def _list_needed(graph, outputs):
    """The operations that the outputs need, in the order in which they were made."""
    found, stack = set(), list(outputs)
    while stack:
        op = stack.pop()
        if op not in found:
            found.add(op)
            stack += [tensor.op for tensor in op.inputs]
            stack += op.control_inputs
    return [op for op in graph.get_operations() if op in found]


def _find_same(operations):
    """The name of the first operation that computes the same, for each name.

    TensorFlow's optimizer computes it once.
    """
    first, same = {}, {}
    for op in operations:
        same[op.name] = op.name
        if op.type in ("VarHandleOp", "Placeholder") or op.op_def.is_stateful:
            continue
        inputs = tuple((same[tensor.op.name], tensor.value_index) for tensor in op.inputs)
        attributes = op.node_def.attr
        own = {
            key: attributes[key].SerializeToString(deterministic=True)
            for key in attributes
            if not key.startswith("_")
        }
        key = (op.type, inputs, tuple(sorted(own.items())))
        same[op.name] = first.setdefault(key, op.name)
    return same


class _Buffers:
    """Which tensors share a buffer, and how often each buffer is still read."""

    def __init__(self, operations, same, outputs):
        self._same = same
        self._buffer_of, self._sizes = {}, {}
        self._readers = collections.Counter()
        for op in operations:
            for index, tensor in enumerate(op.outputs):
                self._buffer_of[op.name, index] = self._find_buffer(op, index)
                buffer = self._buffer_of[op.name, index]
                if buffer == (op.name, index):
                    self._sizes[buffer] = 0 if op.type in _NO_ROOM else _count_bytes(tensor)
        for tensor in outputs:
            self._readers[self._buffer_of[self._key(tensor)]] += 1
        for op in operations:
            for buffer in self._list_inputs(op):
                self._readers[buffer] += 1

    def _key(self, tensor):
        return self._same[tensor.op.name], tensor.value_index

    def _find_buffer(self, op, index):
        if op.type in _VIEWS and index < len(op.inputs):
            return self._buffer_of[self._key(op.inputs[index])]
        return op.name, index

    def _list_inputs(self, op):
        return [self._buffer_of[self._key(tensor)] for tensor in op.inputs]

    def run(self, operations):
        """Yields the bytes in use while each operation runs."""
        used = 0
        for op in operations:
            reads = collections.Counter(self._list_inputs(op))
            dying = [buffer for buffer, count in reads.items() if self._readers[buffer] == count]
            made = [
                (op.name, index)
                for index in range(len(op.outputs))
                if self._buffer_of[op.name, index] == (op.name, index)
            ]
            for buffer in made:
                size = self._sizes[buffer]
                taken = None
                if op.type in _IN_PLACE and size:
                    taken = next((one for one in dying if self._sizes[one] == size), None)
                if taken is None:
                    used += size
                else:
                    self._sizes[taken] = 0
            yield used + _find_inner_peak(op)
            self._readers.subtract(reads)
            unread = [buffer for buffer in made if not self._readers[buffer]]
            used -= sum(self._sizes[buffer] for buffer in (*dying, *unread))


def _find_inner_peak(op):
    """The bytes within a loop: what its variables hold between two rounds counts outside of it."""
    if op.type not in _LOOPS:
        return 0
    return max(find_peak(graph, list(graph.outputs)) for graph in list_called_graphs(op))


def _count_bytes(tensor):
    """The bytes of a tensor; of a dimension that is not known, one row."""
    if tensor.dtype.size is None or tensor.shape.rank is None:
        return 0
    return math.prod(size or 1 for size in tensor.shape) * tensor.dtype.size
