"""The loop of a worker: takes messages, runs signatures, and keeps the slots going."""

import queue
import re
import socket
import threading

from lmzoo.serving.frames import encode_frame, read_frame

__all__ = ["run"]

_ASSERTED = re.compile(r"assertion failed: \[(.*?)\](?:\s|$)", re.S)
_MOST_WORDS = 500


def run(descriptor, kind, folder, num_slots):
    """Opens a model, says so, and answers until the other side closes.

    Args:
        descriptor: int. Of a connected socket.
        kind: "saved_model" or "model_folder".
        folder: str.
        num_slots: int.
    """
    connection = socket.socket(fileno=descriptor)
    stream = connection.makefile("rb")

    def send(message):
        try:
            connection.sendall(encode_frame(message))
        except OSError as error:
            # Nobody is left to answer to.
            raise SystemExit from error

    try:
        model, slots, info = _open(kind, folder, num_slots, send)
    except Exception as error:
        send({"failed": f"{type(error).__name__}: {error}"[:_MOST_WORDS]})
        return
    send(info)
    messages = queue.SimpleQueue()
    threading.Thread(target=_read, args=(stream, messages), daemon=True).start()
    while True:
        # Slots go on without waiting, and look for messages between their steps.
        is_busy = slots is not None and slots.is_busy
        if not _take_messages(messages, is_busy, model, slots, send):
            return
        if slots is not None and slots.is_busy:
            slots.step()


def _open(kind, folder, num_slots, send):
    from lmzoo.serving.worker.model import open_model
    from lmzoo.serving.worker.slot_scheduler import SlotScheduler

    model = open_model(kind, folder)
    model.self_test()
    slots = None
    if model.has_slots:
        slots = SlotScheduler(model, num_slots, send)
        slots.warm_up()
    return model, slots, model.describe()


def _read(stream, messages):
    """Puts what comes into a queue, and None at the end."""
    while True:
        message = read_frame(stream)
        messages.put(message)
        if message is None:
            return


def _take_messages(messages, is_busy, model, slots, send):
    """Handles what is there, or waits for one message. False at the end."""
    while True:
        try:
            message = messages.get(block=not is_busy)
        except queue.Empty:
            return True
        if message is None:
            return False
        _handle(message, model, slots, send)
        is_busy = True


def _handle(message, model, slots, send):
    identity, op = message["id"], message["op"]
    try:
        if op == "run":
            outputs = model.run(message["signature"], message["inputs"])
            send({"id": identity, "outputs": outputs})
        elif op == "generate":
            slots.add(identity, message)
        else:
            slots.cancel(identity)
    except Exception as error:
        send({"id": identity, **describe_error(error)})


def describe_error(error):
    """What a client is told of an exception: dict of `error` str and `status` int."""
    name = type(error).__name__
    if name == "InvalidArgumentError":
        # The words of a rule stand in the message of TensorFlow, with the names of nodes.
        found = _ASSERTED.search(str(error))
        words = found.group(1) if found else "The inputs do not fit the model."
        return {"error": words[:_MOST_WORDS], "status": 400}
    if isinstance(error, ValueError | TypeError):
        return {"error": str(error)[:_MOST_WORDS], "status": 400}
    if name == "ResourceExhaustedError":
        return {"error": "The request needs more memory than there is.", "status": 413}
    return {"error": f"The model failed: {name}.", "status": 500}
