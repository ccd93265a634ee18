"""The converter in a process of its own: errors name op and layer, and no process is left over."""

import contextlib
import os
import signal
import subprocess
import sys
import textwrap
import time

import psutil
import pytest

from lmzoo.export.litert.conversion import ConverterProcess, make_error

MESSAGE = (
    '<unknown>:0: error: loc(callsite(callsite(fused["Erf:", "block_0/dense/Erf@__inference_f_1"] '
    "at ...))): 'tf.Erf' op is neither a custom op nor a flex op"
)


def list_converters(process):
    children = process.children(recursive=True)
    return [child for child in children if "converter_process" in " ".join(child.cmdline())]


def wait_until_dead(process):
    """Waits until a process has ended; it is left to its parent to ask how."""
    deadline = time.monotonic() + 10
    # It may be gone between the two questions.
    with contextlib.suppress(psutil.NoSuchProcess):
        while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
            assert time.monotonic() < deadline
            time.sleep(0.01)


def test_an_error_names_the_op_and_its_layer():
    with pytest.raises(ValueError, match="Received: Erf in 'block_0/dense'"):
        raise make_error(MESSAGE)


def test_an_error_of_another_kind_is_handed_on():
    with pytest.raises(ValueError, match="the converter says 'it is broken'"):
        raise make_error("it is broken")


def test_a_converter_that_dies_is_reported(tmp_path):
    with ConverterProcess() as process:
        [child] = list_converters(psutil.Process())
        child.kill()
        # Only a pipe whose reader is gone is broken.
        wait_until_dead(child)
        with pytest.raises(RuntimeError, match="Received: signal SIGKILL"):
            process.convert(tmp_path / "none", [], tmp_path / "out.tflite")


@pytest.mark.slow
def test_an_op_without_a_kernel_is_refused_by_name_and_nothing_is_left(tmp_path):
    """In a child, with the real converter, which is killed by Ctrl-C in another one."""
    code = textwrap.dedent(
        """
        import sys
        import tensorflow as tf
        from lmzoo.export.litert.conversion import convert
        from lmzoo.export.litert.signatures import Signature

        def f(x):
            with tf.name_scope("my_layer"):
                return {"y": tf.math.erfinv(x)}

        try:
            convert({"f": Signature(f, {"x": tf.TensorSpec([2], tf.float32)})}, [])
        except ValueError as error:
            print(error)
        """
    )
    child = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=200
    )
    assert "Received: Erfinv in 'my_layer/erfinv'" in child.stdout, child.stderr[-2000:]


@pytest.mark.slow
def test_an_interrupt_ends_the_converter(tmp_path):
    code = "from lmzoo.export.litert.conversion import ConverterProcess\n"
    code += "import time\nwith ConverterProcess():\n  print('up', flush=True)\n  time.sleep(60)\n"
    parent = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert parent.stdout.readline() == b"up\n"
    [converter] = list_converters(psutil.Process(parent.pid))
    os.kill(parent.pid, signal.SIGINT)
    parent.wait(30)
    parent.stdout.close()
    wait_until_dead(converter)
