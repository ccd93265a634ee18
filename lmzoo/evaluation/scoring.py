"""Likelihoods: how probable a language model finds texts, of any length, in sliding windows."""

import numpy as np
import tensorflow as tf

from lmzoo.data.progress import progress_bar
from lmzoo.evaluation.outputs import Outputs
from lmzoo.evaluation.predicting import list_column
from lmzoo.generation.pipeline import get_graph
from lmzoo.text_files.checks import check_at_least
from lmzoo.tracing import trace_once

__all__ = [
    *("list_windows", "score_continuations", "score_documents", "score_texts_alone"),
    *("score_targets", "score_tokens"),
]

# Of fewer documents the windows are resampled, not the documents: a resample of three documents
# says little about others.
_MIN_DOCUMENTS = 20
_BATCH_SIZE = 8
# Logits that are in memory at once: 256 MB.
_MAX_LOGITS = 1 << 26


def list_windows(ids, start, longest, stride):
    """Cuts a document so that each token is scored once, with as many before it as fit.

    Args:
        ids: list of int. The document.
        start: int. The token before it.
        longest: int or None. Tokens that the model reads at once; None for any number.
        stride: int. Tokens that are scored in one window, from the second on.
    Returns:
        list of (list of int, list of int): what is read before, at least one token, and what is
        scored.
    Example:
        >>> for context, scored in list_windows([1, 2, 3, 4, 5], 0, longest=3, stride=2):
        ...     print(context, scored)
        [0] [1, 2, 3]
        [2, 3] [4, 5]

    The last token of a window is scored and not read, so `longest` tokens score `longest`.
    """
    longest = len(ids) if longest is None else longest
    windows, done = [([start], ids[:longest])], longest
    while done < len(ids):
        scored = ids[done : done + stride]
        first = max(0, done + len(scored) - 1 - longest)
        windows.append((ids[first:done], scored))
        done += len(scored)
    return windows


def score_tokens(task, windows, batch_size=None, verbose=False):
    """Scores the tokens of windows, in batches of similar length.

    Args:
        task: a `CausalLM` or `Seq2SeqLM`.
        windows: list of (list of int, list of int): what is read before, and what is scored.
        batch_size: int or None. Windows that are computed together, or fewer where their logits
            would take more than 256 MB; None for 8.
        verbose: bool. Whether a terminal shows progress.
    Returns:
        list of (float32 array, bool array), for each window the log-probabilities of its tokens
        and whether each is the most probable one.
    Raises:
        ValueError: if a log-probability is not finite.
    """
    graph = _get_scorer(task)
    order = sorted(range(len(windows)), key=lambda index: -sum(map(len, windows[index])))
    results = [None] * len(windows)
    longest = max((len(scored) for _, scored in windows), default=1)
    most = _MAX_LOGITS // (longest * task.backbone.vocabulary_size)
    batch_size = max(1, min(batch_size or _BATCH_SIZE, most))
    with progress_bar("Scoring", len(windows), verbose) as advance:
        for start in range(0, len(order), batch_size):
            chosen = order[start : start + batch_size]
            sides = zip(*(windows[index] for index in chosen), strict=True)
            outputs = graph(*(tf.ragged.constant(side, tf.int32, ragged_rank=1) for side in sides))
            rows = zip(*(each.numpy() for each in outputs), strict=True)
            for index, (log_probs, is_best) in zip(chosen, rows, strict=True):
                log_probs = np.asarray(log_probs, "float32")
                if not np.isfinite(log_probs).all():
                    raise ValueError(
                        "The scores of a model must be finite. Received: NaN or infinity. Its "
                        "weights have probably diverged in training, or overflow in float16."
                    )
                results[index] = (log_probs, np.asarray(is_best, bool))
            advance(len(chosen))
    return results


def _get_scorer(task):
    spec = tf.RaggedTensorSpec([None, None], tf.int32)

    def score(prompts, texts):
        logits, targets = task.compute_text_logits(prompts, texts)
        log_probs = -tf.nn.sparse_softmax_cross_entropy_with_logits(targets, logits)
        is_best = tf.argmax(logits, axis=-1, output_type=tf.int32) == targets
        return [
            tf.RaggedTensor.from_tensor(each, texts.row_lengths()) for each in (log_probs, is_best)
        ]

    key = ("score_tokens", task.decode_settings)
    return get_graph(task, key, lambda: trace_once(score, [spec, spec]))


def score_documents(task, rows, settings):
    """Cross-entropy of each document, or of each window of a few documents."""

    def score(windows):
        found = score_tokens(task, windows, settings.batch_size, settings.verbose)
        return [log_probs for log_probs, _ in found]

    return _score_documents(task, rows, settings, score)


def score_texts_alone(model, rows, settings):
    """As `score_documents`, of a model that only scores."""
    return _score_documents(model, rows, settings, model.score_windows)


def _score_documents(model, rows, settings, score):
    texts = list_column(rows, "text")
    _check_tokenizer(model.tokenizer)
    longest = model.max_sequence_length
    stride = _read_stride(settings.stride, longest)
    documents, start = _tokenize(model.tokenizer, texts), model.tokenizer.start_token_id
    windows, owners = [], []
    for number, ids in enumerate(documents):
        found = list_windows(ids, start, longest, stride) if ids else []
        windows += found
        owners += [number] * len(found)
    if not windows:
        raise ValueError("`data` must hold text. Received: texts without a token.")
    nats = np.array([-np.sum(scores, dtype="float64") for scores in score(windows)])
    num_tokens = np.array([len(scored) for _, scored in windows], "float64")
    # The bytes of a document, spread over its windows by their tokens.
    num_bytes = np.array([len(text.encode("utf-8")) for text in texts], "float64")
    sizes = np.array([max(len(ids), 1) for ids in documents], "float64")
    owners = np.array(owners)
    columns = {
        "nats": nats,
        "num_tokens": num_tokens,
        "num_bytes": num_tokens * (num_bytes / sizes)[owners],
    }
    if len(texts) < _MIN_DOCUMENTS:
        return Outputs(columns, len(windows), "windows")
    columns = {name: np.bincount(owners, x, len(texts)) for name, x in columns.items()}
    return Outputs(columns, len(texts), "documents")


def _tokenize(tokenizer, texts):
    """The ids of each text. One after the other, as a document may be the whole of a file."""
    return [tokenizer.tokenize(tf.constant([text])).to_list()[0] for text in texts]


def _read_stride(stride, longest):
    if longest is None:
        return 1
    if stride is None:
        # Half of the context is read again, so that each token has at least that much before it.
        return max(1, longest // 2)
    check_at_least(1, stride=stride)
    if stride > longest:
        raise ValueError(
            f"`stride` must not exceed the context of {longest} tokens. Received: stride={stride}."
        )
    return stride


def score_continuations(task, rows, settings):
    """Cross-entropy of each target as the continuation of its source."""

    def score(sources, targets):
        return task.score(targets, sources, batch_size=settings.batch_size or _BATCH_SIZE)

    return _score_pairs(task, rows, settings, score)


def score_targets(task, rows, settings):
    """Cross-entropy of each target, with its end token, as the answer to its source."""

    def score(sources, targets):
        return task.score(sources, targets, batch_size=settings.batch_size)

    return _score_pairs(task, rows, settings, score)


def _score_pairs(task, rows, settings, score):
    _check_tokenizer(task.tokenizer)
    sources, targets = list_column(rows, "source"), list_column(rows, "target")
    # Of several references the first.
    targets = [target if isinstance(target, str) else target[0] for target in targets]
    found, size = [], 16 * (settings.batch_size or _BATCH_SIZE)
    with progress_bar("Scoring", len(sources), settings.verbose) as advance:
        for start in range(0, len(sources), size):
            chosen = slice(start, start + size)
            found += score(sources[chosen], targets[chosen])
            advance(len(sources[chosen]))
    columns = {
        "nats": np.array([-np.sum(scores, dtype="float64") for scores in found]),
        "num_tokens": np.array([len(scores) for scores in found], "float64"),
        "num_bytes": np.array([len(text.encode("utf-8")) for text in targets], "float64"),
    }
    return Outputs(columns, len(targets))


def _check_tokenizer(tokenizer):
    if tokenizer is None:
        raise ValueError("A model must have a tokenizer to be evaluated. Received: tokenizer=None.")
