"""Requests in and out of the slots of a running batch."""

import collections
from typing import Any

import numpy as np
import tensorflow as tf

from lmzoo.runtime.tokenization.streaming import StreamingDetokenizer
from lmzoo.serving.worker.chat import render_chat
from lmzoo.serving.worker.process import describe_error

__all__ = ["SlotScheduler"]

# Steps between two looks at what has come: prompts wait so long, and the state is copied once.
_STEPS = 4
_STATE, _OPTION = "state_", "new_"


class _Request:
    """A text that is generated.

    identity: int, of its messages. stop: list of str. token_ids: int32 (P,), its prompt. options:
    dict of numbers. limit: int, the most new tokens.
    """

    def __init__(self, identity, token_ids, options, stop, streams):
        self.identity = identity
        self.token_ids = token_ids
        self.options = options
        self.stop = stop
        self.streams = streams
        self.limit: Any = None
        # It is given the whole text each time, and holds back what may become a stop string.
        self.detokenizer = StreamingDetokenizer(lambda text: text, tuple(stop))


class SlotScheduler:
    """Generates texts in the rows of one state.

    Args:
        model: OpenModel with the signatures `encode`, `start`, `advance` and `decode`.
        num_slots: int. The rows.
        send: callable of a message.
    """

    def __init__(self, model, num_slots, send):
        self.model = model
        self.num_slots = num_slots
        self._send = send
        self._encode, self._start, self._advance, self._decode = (
            model.signatures[name] for name in ("encode", "start", "advance", "decode")
        )
        self._waiting = collections.deque()
        self._rows = [None] * num_slots
        self._specs = {
            name.removeprefix(_STATE): spec
            for name, spec in self._advance.inputs.items()
            if name.startswith(_STATE)
        }
        self._state = self._make_empty()

    @property
    def is_busy(self):
        """bool. Whether a text is being generated or waits for it."""
        return bool(self._waiting) or any(self._rows)

    def warm_up(self):
        """Generates a text, so that the first request does not pay for what happens once."""
        send, self._send = self._send, lambda message: None
        self.add(0, {"prompt": "a", "options": {"max_new_tokens": _STEPS}})
        while self.is_busy:
            self.step()
        self._send = send

    def add(self, identity, message):
        """Takes a request.

        Args:
            identity: int.
            message: dict of `prompt` str or `messages` list, and `options`, `stop`, `streams`.
        Raises:
            tf.errors.InvalidArgumentError, ValueError: if the prompt does not fit the model.
        """
        if "messages" in message:
            prompt, allow_special = render_chat(self.model, message["messages"])
        else:
            prompt, allow_special = message["prompt"], False
        outputs = self._encode(text=tf.constant([prompt]), allow_special=tf.constant(allow_special))
        token_ids = outputs["token_ids"][0].numpy()[outputs["padding_mask"][0].numpy()]
        self._waiting.append(
            _Request(
                identity,
                token_ids,
                message.get("options", {}),
                message.get("stop", []),
                message.get("streams", False),
            )
        )

    def cancel(self, identity):
        """Forgets a request; its row is free for another one."""
        self._waiting = collections.deque(
            request for request in self._waiting if request.identity != identity
        )
        for row, request in enumerate(self._rows):
            if request is not None and request.identity == identity:
                self._free(row)

    def step(self):
        """Puts waiting requests into free rows, or else goes on by a few steps."""
        free = [row for row, request in enumerate(self._rows) if request is None]
        joining = [self._waiting.popleft() for _ in range(min(len(free), len(self._waiting)))]
        if joining:
            self._join(free[: len(joining)], joining)
        elif any(self._rows):
            try:
                self._state = self._call(self._advance, steps=tf.constant(_STEPS))
            except tf.errors.OpError as error:
                self._fail(error)
                return
        self._report()

    def _join(self, rows, requests):
        width = max(len(request.token_ids) for request in requests)
        token_ids = np.zeros((len(requests), width), np.int32)
        mask = np.zeros(token_ids.shape, bool)
        for index, request in enumerate(requests):
            token_ids[index, width - len(request.token_ids) :] = request.token_ids
            mask[index, width - len(request.token_ids) :] = True
        try:
            self._state = self._call(
                self._start,
                rows=tf.constant(rows, tf.int32),
                token_ids=tf.constant(token_ids),
                padding_mask=tf.constant(mask),
                **self._make_options(requests),
            )
        except tf.errors.OpError as error:
            if len(requests) == 1:
                self._send({"id": requests[0].identity, **describe_error(error)})
                return
            # One of them does not fit the model: the others must not notice.
            for row, request in zip(rows, requests, strict=True):
                self._join([row], [request])
            return
        limits = self._state["option_max_new_tokens"].numpy()
        for row, request in zip(rows, requests, strict=True):
            self._rows[row], request.limit = request, int(limits[row])

    def _make_options(self, requests):
        defaults = {
            "temperature": 0.0,
            "top_p": 1.0,
            "repetition_penalty": 1.0,
            "max_new_tokens": 16,
        }
        found = {}
        for name, spec in self._start.inputs.items():
            if name.startswith(_OPTION):
                option = name.removeprefix(_OPTION)
                values = [
                    request.options.get(option, defaults.get(option, 0)) for request in requests
                ]
                found[name] = tf.constant(values, spec.dtype)
        return found

    def _call(self, function, **inputs):
        state = {_STATE + name: value for name, value in self._state.items()}
        return dict(function(**inputs, **state))

    def _report(self):
        """Sends each text that has grown, and frees the rows of those that are finished."""
        finished = self._state["finished"].numpy()
        told = [
            row
            for row, request in enumerate(self._rows)
            if request is not None and (request.streams or request.stop or finished[row])
        ]
        if not told:
            return
        ids, mask = self._state["token_ids"].numpy(), self._state["mask"].numpy()
        firsts = self._state["prompt_length"].numpy()
        mask &= np.arange(mask.shape[1]) >= firsts[:, np.newaxis]
        outputs = self._decode(
            token_ids=tf.constant(ids[told]), padding_mask=tf.constant(mask[told])
        )
        texts = outputs["text"].numpy().tolist()
        log_probs = self._state["log_prob"].numpy()
        for row, text in zip(told, texts, strict=True):
            request, count = self._rows[row], int(mask[row].sum())
            if not np.isfinite(log_probs[row]):
                self._send(
                    {
                        "id": request.identity,
                        "error": "The model's scores must be finite, and are not.",
                        "status": 500,
                    }
                )
                self._free(row)
                continue
            is_last = bool(finished[row])
            piece = request.detokenizer.update(text.decode("utf-8", "replace"), is_last)
            is_done = is_last or request.detokenizer.finished
            message = {"id": request.identity, "text": piece}
            if is_done:
                ends_there = is_last and count >= request.limit
                message |= {
                    "reason": "length" if ends_there else "stop",
                    "prompt_tokens": len(request.token_ids),
                    "new_tokens": count,
                }
                self._free(row)
            if piece or is_done:
                self._send(message)

    def _free(self, row):
        self._rows[row] = None
        finished = self._state["finished"].numpy().copy()
        finished[row] = True
        self._state["finished"] = tf.constant(finished)

    def _fail(self, error):
        """Refuses all that is being generated, and begins with an empty state."""
        for request in self._rows:
            if request is not None:
                self._send({"id": request.identity, **describe_error(error)})
        self._rows = [None] * self.num_slots
        self._state = self._make_empty()

    def _make_empty(self):
        def zeros(spec):
            sizes = [1 if size is None else size for size in spec.shape.as_list()]
            if sizes:
                sizes[0] = self.num_slots
            return tf.zeros(sizes, spec.dtype)

        state = {name: zeros(spec) for name, spec in self._specs.items()}
        return {**state, "finished": tf.ones([self.num_slots], tf.bool)}
