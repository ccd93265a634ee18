"""Converts SavedModels to .tflite files; run as a script, in a process that has TensorFlow alone.

It reads one line of JSON from standard input, with `saved_model`, `signatures` and `out`, and
writes the file `out`, or what went wrong to `out` + ".error". It ends when standard input is
closed, so that it does not outlive its parent.
"""

import json
import os
import sys
import threading

__all__ = ["convert", "main"]


def convert(saved_model, signatures):
    """Converts a SavedModel with built-in ops alone.

    Args:
        saved_model: str. Its folder.
        signatures: list of str. The signatures that shall be converted.
    Returns:
        bytes of a .tflite file.
    """
    import tensorflow as tf

    converter = tf.lite.TFLiteConverter.from_saved_model(saved_model, signature_keys=signatures)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    return converter.convert()


def _end_with_parent():
    sys.stdin.read()
    os._exit(1)


def main():
    """Imports TensorFlow, waits for a request and answers it."""
    import tensorflow  # noqa: F401

    line = sys.stdin.readline()
    if not line:
        return
    request = json.loads(line)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        content = convert(request["saved_model"], request["signatures"])
    except Exception as error:
        with open(request["out"] + ".error", "w", encoding="utf-8") as file:
            file.write(str(error))
        os._exit(1)
    with open(request["out"], "wb") as file:
        file.write(content)
    file.close()
    os._exit(0)


if __name__ == "__main__":
    main()
