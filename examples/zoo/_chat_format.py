"""The turn format of `small_chat.py`: conversations as text, as tokens, and as batches."""

import numpy as np
import tensorflow as tf

import lmzoo
from lmzoo.data.pipeline import step_dataset

START, END = "<|im_start|>", "<|im_end|>"
# ChatML, in which a system message changes nothing: the model has learnt from none.
TEMPLATE = (
    "{% for message in messages %}{% if message['role'] != 'system' %}"
    "{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}"
    "{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)


def list_pieces(turns):
    """A conversation in the form of `TEMPLATE`: pairs of text and whether the model writes it."""
    for question, answer, *_ in turns:
        yield f"{START}user\n{question}{END}\n{START}assistant\n", False
        yield f"{answer}{END}", True
        yield "\n", False


def train_tokenizer(conversations, size):
    """Byte pairs in which each digit is a token, so that sums are learnt digit by digit."""
    digits = str.maketrans("", "", "0123456789")
    texts = ("".join(piece for piece, _ in list_pieces(turns)) for turns in conversations)
    texts = (text.replace(START, "").replace(END, "").translate(digits) for text in texts)
    tokenizer = lmzoo.tokenizers.BytePairTokenizer.train(texts, size, special_tokens=[END, START])
    tokenizer.chat_template = TEMPLATE
    return tokenizer


def encode(tokenizer, conversations, length):
    """Each conversation as (ids, whether each is learnt): the turns that fit in `length`."""
    pieces = [list(list_pieces(turns)) for turns in conversations]
    texts, ids = sorted({text for row in pieces for text, _ in row}), {}
    for start in range(0, len(texts), 4096):
        part = texts[start : start + 4096]
        ids.update(zip(part, tokenizer.tokenize(part, allow_special=True).to_list(), strict=True))
    for row in pieces:
        found, learnt = [], []
        for index in range(0, len(row), 3):
            turn = [(token, flag) for text, flag in row[index : index + 3] for token in ids[text]]
            if len(found) + len(turn) > length:
                break
            found += [token for token, _ in turn]
            learnt += [flag for _, flag in turn]
        yield found, learnt


def pack(encoded, length):
    """Whole conversations in rows: int arrays (R, length) of ids, learnt and conversation."""
    waiting, rows = [], []
    for one in encoded:
        waiting.append(one)
        if len(waiting) >= 64:
            rows.append(fill_row(waiting, length))
    while waiting:
        rows.append(fill_row(waiting, length))
    return [np.array(array) for array in zip(*rows, strict=True)]


def fill_row(waiting, length):
    """Takes the longest conversations that fit out of those that wait: int array (3, length)."""
    row = np.zeros([3, length], "int32")
    row[2] = -1
    used = number = 0
    for index in sorted(range(len(waiting)), key=lambda index: -len(waiting[index][0])):
        ids, learnt = waiting[index]
        if used + len(ids) <= length:
            row[:, used : used + len(ids)] = ids, learnt, [number] * len(ids)
            used, number = used + len(ids), number + 1
            waiting[index] = None
    waiting[:] = [one for one in waiting if one is not None]
    return row


def make_dataset(rows, batch_size, num_steps):
    """Batches in which no token attends to another conversation, and answers alone are learnt."""
    token_ids, learnt, documents = rows

    def fetch(step):
        chosen = np.arange(step * batch_size, (step + 1) * batch_size) % len(token_ids)
        ids, weights, numbers = token_ids[chosen], learnt[chosen], documents[chosen]
        return [
            np.maximum(numbers[:, :-1], 0),
            numbers[:, :-1] >= 0,
            ids[:, :-1],
            ids[:, 1:],
            weights[:, 1:].astype("float32"),
        ]

    shape = (batch_size, token_ids.shape[1] - 1)
    inputs = {
        "document_ids": tf.TensorSpec(shape, tf.int32),
        "padding_mask": tf.TensorSpec(shape, tf.bool),
        "token_ids": tf.TensorSpec(shape, tf.int32),
    }
    signature = (inputs, tf.TensorSpec(shape, tf.int32), tf.TensorSpec(shape, tf.float32))
    return step_dataset(fetch, signature, num_steps)
