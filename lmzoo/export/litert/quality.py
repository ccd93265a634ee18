"""How far the scores of a file are from those of the model it was made of.

Shapes: B batch, T length, C classes or tokens of the vocabulary.
"""

import numpy as np
import tensorflow as tf

__all__ = ["FileRunner", "measure_quality"]

_BATCH_SIZE = 8


class FileRunner:
    """Runs the signatures of a .tflite with ai-edge-litert.

    Args:
        content: bytes of the file.
        num_threads: int or None.
    """

    def __init__(self, content, num_threads=None):
        from ai_edge_litert.interpreter import Interpreter

        self._interpreter = Interpreter(model_content=content, num_threads=num_threads)

    def open(self, name):
        """A signature as a function of named arrays to a dict of arrays."""
        return self._interpreter.get_signature_runner(name)

    @property
    def names(self):
        """list of str. The signatures."""
        return list(self._interpreter.get_signature_list())

    def make_inputs(self, name, length=1):
        """Zeros for each input of a signature: dict of name to array.

        Args:
            name: str.
            length: int. What an open size becomes, but for a batch, which becomes 1.
        """
        inputs = {}
        for key, spec in self.open(name).get_input_details().items():
            signature = spec["shape_signature"]
            sizes = [(1, length)[axis] if size < 0 else size for axis, size in enumerate(signature)]
            inputs[key] = np.zeros(sizes, spec["dtype"])
        return inputs


def measure_quality(task, content, data):
    """Compares a file with its task on data.

    Args:
        task: the task, in float32.
        content: bytes of a .tflite.
        data: of a `CausalLM` texts or lists of ids; of a `Seq2SeqLM` (sources, targets); of another
            task texts, or a tuple of texts for each of its columns. Of a `TextClassifier` also
            (texts, labels), the names of the labels.
    Returns:
        dict: `largest_difference` of a score; `argmax_agreement`, the share of rows or tokens whose
        largest score is the same; for a language model `perplexity_before` and `perplexity_after`;
        with labels `accuracy_before` and `accuracy_after`; for an embedder `least_cosine`.
    Raises:
        ValueError: if there is no data.
    """
    if not len(data):
        raise ValueError("`evaluation_data` must not be empty. Received: evaluation_data=[].")
    runner = FileRunner(content)
    if not task.is_generative:
        return _measure_token_task(task, runner, data)
    rows = _list_seq2seq_rows(task, data) if task.is_encoder_decoder else _list_rows(task, data)
    pairs = []
    # A decoder has more slots than positions.
    longest = min(_count_slots(runner), task.max_sequence_length)
    for source, ids in rows:
        ids = ids[:longest]
        if len(ids) > 1:
            wanted = _compute_logits(task, source, ids)
            pairs.append((_run_decoder(runner, source, ids), wanted, ids[1:]))
    found, wanted = (np.concatenate([pair[k][:-1] for pair in pairs]) for k in (0, 1))
    targets = np.concatenate([pair[2] for pair in pairs])
    return {
        **_compare(found, wanted),
        "perplexity_before": _compute_perplexity(wanted, targets),
        "perplexity_after": _compute_perplexity(found, targets),
    }


def _compare(found, wanted):
    """Of scores (R, C): the largest difference, and how often the largest score is the same."""
    result = {"largest_difference": float(np.max(np.abs(found - wanted), initial=0.0))}
    if found.shape[-1] > 1:
        same = found.argmax(-1) == wanted.argmax(-1)
        result["argmax_agreement"] = float(same.mean())
    return result


def _compute_perplexity(logits, targets):
    shifted = logits.astype(np.float64) - logits.max(-1, keepdims=True)
    log_probs = shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))
    return float(np.exp(-log_probs[np.arange(len(targets)), targets].mean()))


# Generative tasks


def _list_rows(task, texts):
    if task.tokenizer is None:
        return [(None, list(ids)) for ids in texts]
    return [(None, ids) for ids in task.tokenizer.tokenize_prompts(list(texts)).to_list()]


def _list_seq2seq_rows(task, data):
    sources, targets = data
    if task.tokenizer is not None:
        token_ids, mask = task.encode_prompts(tf.constant(list(sources)))
        sources = tf.ragged.boolean_mask(token_ids, mask).to_list()
        targets = task.tokenizer.tokenize(tf.constant(list(targets))).to_list()
    start = [task.start_token_id]
    return [(list(a), start + list(b)) for a, b in zip(sources, targets, strict=True)]


def _count_slots(runner):
    return runner.open("decode").get_input_details()["kv_cache_k_0"]["shape"][2]


def _compute_logits(task, source, ids):
    ids = tf.constant([ids])
    if source is None:
        return task({"token_ids": ids}, training=False).numpy()[0]
    inputs = {"encoder_token_ids": tf.constant([source]), "decoder_token_ids": ids}
    return task(inputs, training=False).numpy()[0]


def _run_decoder(runner, source, ids):
    step = runner.open("decode")
    state = runner.make_inputs("decode")
    if source is not None:
        given = runner.make_inputs("encode")
        given["token_ids"][0, : len(source)] = source
        given["padding_mask"][0, : len(source)] = 1
        state |= {**runner.open("encode")(**given), "padding_mask": given["padding_mask"]}
    logits = []
    for position, token_id in enumerate(ids):
        state["tokens"][:], state["input_pos"][:] = token_id, position
        outputs = step(**state)
        logits.append(outputs.pop("logits")[0, 0])
        state |= outputs
    return np.stack(logits)


# Discriminative tasks


def _measure_token_task(task, runner, data):
    columns, labels = _split_columns(task, data)
    run = runner.open("tokens")
    shapes = run.get_input_details()["token_ids"]["shape_signature"]
    found, wanted = [], []
    size = shapes[0] if shapes[0] > 0 else _BATCH_SIZE
    for start in range(0, len(columns[0]), size):
        batch = [tf.constant(list(column[start : start + size])) for column in columns]
        inputs, _ = task.pack_texts(*batch)
        inputs = {name: inputs[name].numpy() for name in run.get_input_details()}
        count, mask = len(batch[0]), inputs["padding_mask"]
        wanted.append(_list_scores(task(inputs, training=False).numpy(), mask))
        ints = {name: value.astype("int32") for name, value in inputs.items()}
        output = run(**{name: _pad(value, shapes) for name, value in ints.items()})
        output = output[task.output_name][:count]
        if output.ndim == 3:
            output = output[:, : mask.shape[1]]
        found.append(_list_scores(output, mask))
    found, wanted = np.concatenate(found), np.concatenate(wanted)
    result = _compare(found, wanted)
    if task.output_name == "embedding":
        del result["argmax_agreement"]
        norms = np.linalg.norm(found, axis=-1) * np.linalg.norm(wanted, axis=-1)
        result["least_cosine"] = float(np.min((found * wanted).sum(-1) / norms))
    if labels is not None:
        ids = np.array([task.labels.names.index(str(label)) for label in labels])
        result["accuracy_before"] = float((wanted.argmax(-1) == ids).mean())
        result["accuracy_after"] = float((found.argmax(-1) == ids).mean())
    return result


def _split_columns(task, data):
    """The columns of texts, and labels or None."""
    if not isinstance(data, tuple):
        return [data], None
    is_classifier = task.labels is not None and task.output_name == "logits"
    names = set(task.labels.names) if is_classifier else set()
    if len(data) > 1 and names and {str(label) for label in data[-1]} <= names:
        return list(data[:-1]), data[-1]
    return list(data), None


def _list_scores(scores, mask):
    """(B, C), or (B, T, C) without padding, to (R, C)."""
    return scores if scores.ndim == 2 else scores[mask]


def _pad(values, shapes):
    """Pads (B, T) to the sizes that a signature fixes."""
    widths = [(0, max(wanted - size, 0)) for wanted, size in zip(shapes, values.shape, strict=True)]
    return np.pad(values, widths)
