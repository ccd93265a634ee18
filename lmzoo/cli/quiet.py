"""Importing TensorFlow without its start-up messages."""

import contextlib
import os
import sys
import tempfile

__all__ = ["import_tensorflow"]


def import_tensorflow():
    """Imports TensorFlow and lets it look for devices, in silence unless that fails.

    Its C++ half writes to the file descriptor of stderr before it reads any setting: about oneDNN,
    about the absence of CUDA, and that it writes there.

    Returns:
        The module `tensorflow`.
    """
    # TensorFlow reads it once, when it is imported.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with _silent_stderr():
        import tensorflow as tf

        # Where a driver without a device is installed, the first operation complains.
        tf.constant(0)
    return tf


@contextlib.contextmanager
def _silent_stderr():
    """Keeps what is written to file descriptor 2, and shows it only if the block raises."""
    try:
        descriptor = sys.stderr.fileno()
        saved = os.dup(descriptor)
    except (AttributeError, OSError, ValueError):
        # Without a stderr of its own, as in a notebook, there is nothing to keep quiet.
        yield
        return
    with tempfile.TemporaryFile() as kept:
        sys.stderr.flush()
        os.dup2(kept.fileno(), descriptor)
        try:
            yield
        except Exception:
            kept.seek(0)
            os.write(saved, kept.read())
            raise
        finally:
            os.dup2(saved, descriptor)
            os.close(saved)
