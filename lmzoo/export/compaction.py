"""Makes the graph of a SavedModel smaller and faster to start. What it computes stays as it is.

TensorFlow writes the output shapes of every operation, which it infers again when it loads, and the
path of each one's layers in its name. Of a tiny model they are half of the file. It also writes how
to save the variables again, a seventh of all operations, for programs that train such a model on.

Most of the first answer's time goes into Grappler, TensorFlow's graph optimizer, which runs all of
its passes twice over all that a signature calls. Here large functions are called, not put in line,
and each call asks for one round of the passes that make a decoder faster.
"""

import tensorflow as tf
from tensorflow.core.framework import function_pb2, node_def_pb2
from tensorflow.core.protobuf import config_pb2, rewriter_config_pb2, saved_model_pb2

from lmzoo.keras_seams import write_fingerprint

__all__ = ["compact_graph"]

# How many nodes a function has that is not put in line. A call costs some 50 microseconds.
_LARGE = 100
# Passes that found nothing to do in a decoder on a CPU; remapping and arithmetic did.
_SKIPPED = (
    *("layout_optimizer", "shape_optimization", "loop_optimization", "implementation_selector"),
    *("function_optimization", "scoped_allocator_optimization", "pin_to_host_optimization"),
    *("auto_mixed_precision", "use_plugin_optimizers"),
)
_LOOPS = ("While", "StatelessWhile")
_CALLS = ("PartitionedCall", "StatefulPartitionedCall")


def compact_graph(folder):
    """Rewrites the file saved_model.pb in the folder of a SavedModel.

    Operations in functions are then named by their kind and a number, such as MatMul7.

    Args:
        folder: pathlib.Path.
    """
    path = folder / "saved_model.pb"
    model = saved_model_pb2.SavedModel()
    model.ParseFromString(path.read_bytes())
    for graph in model.meta_graphs:
        # Functions whose nodes the objects of the SavedModel know by name.
        referenced = {
            each.captured_tensor.concrete_function
            for each in graph.object_graph_def.nodes
            if each.WhichOneof("kind") == "captured_tensor"
        }
        for node in graph.graph_def.node:
            node.attr.pop("_output_shapes", None)
        _drop_saving(graph)
        _call_large_functions(graph.graph_def.library.function)
        for function in graph.graph_def.library.function:
            for node in function.node_def:
                node.attr.pop("_output_shapes", None)
            if function.signature.name not in referenced:
                _rename_nodes(function)
    path.write_bytes(model.SerializeToString(deterministic=True))
    write_fingerprint(folder)


def _drop_saving(graph):
    """Lets the function that would save the variables of a loaded graph refuse to.

    Args:
        graph: MetaGraphDef.
    """
    name = graph.saver_def.save_tensor_name.partition(":")[0]
    calls = [node for node in graph.graph_def.node if node.name == name and node.op in _CALLS]
    for call in calls:
        functions = graph.graph_def.library.function
        [saving] = [each for each in functions if each.signature.name == call.attr["f"].func.name]
        prefix, result = saving.signature.input_arg[0], saving.signature.output_arg[0]
        refusing = function_pb2.FunctionDef()
        refusing.signature.name = saving.signature.name
        refusing.signature.input_arg.append(prefix)
        refusing.signature.output_arg.append(result)
        refusing.signature.is_stateful = True
        refusal = "A SavedModel of lmzoo is not saved again."
        refusing.node_def.extend(
            [
                _make_constant("never", tf.constant(False)),
                _make_constant("refusal", tf.constant(refusal)),
                _make_node("Assert", "assert", ["never:output:0", "refusal:output:0"]),
                _make_node("Identity", "identity", [prefix.name, "^assert"]),
            ]
        )
        assertion, identity = refusing.node_def[2:]
        assertion.attr["T"].list.type.append(tf.string.as_datatype_enum)
        identity.attr["T"].type = tf.string.as_datatype_enum
        refusing.ret[result.name] = "identity:output:0"
        saving.CopyFrom(refusing)
        del call.input[1:]
        del call.attr["Tin"].list.type[1:]


def _make_node(op, name, inputs=()):
    return node_def_pb2.NodeDef(op=op, name=name, input=inputs)


def _make_constant(name, value):
    node = _make_node("Const", name)
    node.attr["dtype"].type = value.dtype.as_datatype_enum
    node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(value))
    return node


def _call_large_functions(functions):
    """Keeps large functions from being put in line, but for those that are called in a loop."""
    if any("_XlaMustCompile" in function.attr for function in functions):
        return
    by_name = {function.signature.name: function for function in functions}
    loops = {
        node.attr[name].func.name
        for function in functions
        for node in function.node_def
        if node.op in _LOOPS
        for name in ("body", "cond")
    }
    calls = [
        (node, by_name[node.attr["f"].func.name], function.signature.name in loops)
        for function in functions
        for node in function.node_def
        if node.op in _CALLS
    ]
    steps = {function.signature.name for _, function, is_in_loop in calls if is_in_loop}
    config = _make_config()
    for node, function, _ in calls:
        if function.signature.name not in steps and len(function.node_def) >= _LARGE:
            function.attr["_noinline"].b = True
            node.attr["config_proto"].s = config


def _make_config():
    """A ConfigProto for calls, as bytes: how Grappler treats the functions that are called."""
    config = config_pb2.ConfigProto()
    options = config.graph_options.rewrite_options
    options.meta_optimizer_iterations = rewriter_config_pb2.RewriterConfig.ONE
    options.memory_optimization = rewriter_config_pb2.RewriterConfig.NO_MEM_OPT
    for name in _SKIPPED:
        setattr(options, name, rewriter_config_pb2.RewriterConfig.OFF)
    return config.SerializeToString(deterministic=True)


def _rename_nodes(function):
    """Gives the nodes of a FunctionDef short names."""
    taken = {each.name for each in function.signature.input_arg}
    names = {}
    for node in function.node_def:
        number = len(names)
        while f"{node.op}{number}" in taken:
            number += 1
        names[node.name] = f"{node.op}{number}"
        taken.add(names[node.name])

    def rename(reference):
        # An input is "node:output:index", "argument" or "^node" for a control dependency.
        control = "^" if reference.startswith("^") else ""
        name, *rest = reference.removeprefix("^").split(":")
        return control + ":".join([names.get(name, name), *rest])

    for node in function.node_def:
        node.name = names[node.name]
        node.input[:] = [rename(each) for each in node.input]
        if "_class" in node.attr:
            values = node.attr["_class"].list.s
            values[:] = [_rename_location(each, names) for each in values]
    for returned in (function.ret, function.control_ret):
        for key, reference in list(returned.items()):
            returned[key] = rename(reference)


def _rename_location(value, names):
    """A node that another stands beside, b"loc:@name"."""
    prefix, at, name = value.partition(b"@")
    return prefix + at + names.get(name.decode(), name.decode()).encode()
