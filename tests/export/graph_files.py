"""The graph of a SavedModel as its file has it."""

from tensorflow.core.protobuf import saved_model_pb2


def read_graph(folder):
    """The MetaGraphDef of a SavedModel."""
    model = saved_model_pb2.SavedModel()
    model.ParseFromString((folder / "saved_model.pb").read_bytes())
    [graph] = model.meta_graphs
    return graph


def list_unrestored(folder):
    """The variables that functions of a SavedModel read and its restoring function does not fill.

    TensorFlow Serving calls that function. `tf.saved_model.load` does not: it has Python's objects.
    """
    graph = read_graph(folder)
    nodes = {node.name: node for node in graph.graph_def.node}
    read = {
        name
        for node in nodes.values()
        if node.op == "StatefulPartitionedCall"
        for name in node.input
        if name in nodes and nodes[name].op == "VarHandleOp"
    }
    assert read
    return sorted(read - {*nodes[graph.saver_def.restore_op_name].input})
