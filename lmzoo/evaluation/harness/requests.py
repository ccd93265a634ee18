"""The three kinds of request that the harness makes, in batches."""

from lmzoo.data.progress import progress_bar
from lmzoo.evaluation.scoring import list_windows

__all__ = ["HarnessRequests", "cut_at", "encode_pairs", "read_options"]

# What the harness's tasks call the number of new tokens; the first that is given counts.
_LENGTHS = ("max_gen_toks", "max_new_tokens", "max_tokens", "max_completion_tokens")
_MAX_NEW_TOKENS = 256


class HarnessRequests:
    """A mixin before `lm_eval.api.model.LM`: answers requests by a backend.

    Attributes:
        backend: `TaskBackend` or `SavedModelBackend`.
        batch_size: int.
    """

    backend = None
    batch_size = 8

    def loglikelihood(self, requests, disable_tqdm=False):
        """Scores continuations.

        Args:
            requests: list of objects with `args`, (context, continuation), both str.
            disable_tqdm: bool. Whether to show no progress.
        Returns:
            list of (float, bool): the log-probability of the continuation after the context, and
            whether greedy decoding would write it.
        """
        pairs = [request.args for request in requests]
        windows = encode_pairs(self.backend, pairs)
        found = self._score(windows, not disable_tqdm)
        for pair, result in zip(pairs, found, strict=True):
            self.cache_hook.add_partial("loglikelihood", pair, result)
        return found

    def loglikelihood_rolling(self, requests, disable_tqdm=False):
        """Scores whole texts, each token once, in windows of the context's length.

        Args:
            requests: list of objects with `args`, (text,).
            disable_tqdm: bool.
        Returns:
            list of float, the log-probability of each text.
        """
        texts, longest = [request.args[0] for request in requests], self.backend.longest
        windows, counts = [], []
        for ids in self.backend.encode(texts):
            ids = _without_start(self.backend, ids)
            found = list_windows(ids, self.backend.start_token_id, longest, longest) if ids else []
            windows += found
            counts.append(len(found))
        scores, results, done = self._score(windows, not disable_tqdm), [], 0
        for text, count in zip(texts, counts, strict=True):
            results.append(float(sum(score for score, _ in scores[done : done + count])))
            done += count
            self.cache_hook.add_partial("loglikelihood_rolling", (text,), results[-1])
        return results

    def _score(self, windows, verbose):
        scores = self.backend.score(windows, self.batch_size, verbose)
        return [
            (float(log_probs.sum(dtype="float64")), bool(is_best.all()))
            for log_probs, is_best in scores
        ]

    def generate_until(self, requests, disable_tqdm=False):
        """Continues contexts, or answers them.

        Args:
            requests: list of objects with `args`, (context, options): str and dict.
            disable_tqdm: bool.
        Returns:
            list of str, each without the context and up to the first of the `until` strings.
        """
        groups = {}
        for index, request in enumerate(requests):
            # What has the same options is generated together.
            groups.setdefault(repr(sorted(request.args[1].items())), []).append(index)
        results = [None] * len(requests)
        with progress_bar("Generating", len(requests), not disable_tqdm) as advance:
            for indices in groups.values():
                options = read_options(requests[indices[0]].args[1], self.backend.longest)
                # Contexts of similar length need little padding.
                indices = sorted(indices, key=lambda index: -len(requests[index].args[0]))
                for start in range(0, len(indices), self.batch_size):
                    chosen = indices[start : start + self.batch_size]
                    contexts = [requests[index].args[0] for index in chosen]
                    texts = self.backend.generate(contexts, **options)
                    for index, text in zip(chosen, texts, strict=True):
                        results[index] = cut_at(text, options["stop_strings"])
                        self.cache_hook.add_partial(
                            "generate_until", requests[index].args, results[index]
                        )
                    advance(len(chosen))
        return results


def encode_pairs(backend, pairs):
    """Contexts and continuations as ids.

    Spaces at the end of a context belong to the continuation, as tokens mostly begin with them. A
    decoder's continuation is what the ids of both together have more than those of the context, as
    the harness has it.

    Args:
        backend: a backend of `lmzoo.evaluation.harness.backends`.
        pairs: list of (str, str).
    Returns:
        list of (list of int, list of int), of which the first fits the model with the second.
    Raises:
        ValueError: if a continuation has no token, or more than the model reads.
    """
    moved = []
    for context, continuation in pairs:
        stripped = context.rstrip()
        moved.append((stripped, context[len(stripped) :] + continuation))
    contexts = backend.encode([backend.prefix + context for context, _ in moved])
    alone = [_without_start(backend, ids) for ids in backend.encode([two for _, two in moved])]
    if backend.is_encoder_decoder:
        whole = None
    else:
        whole = backend.encode(["".join(pair) for pair in moved])
    windows = []
    for index, (context, _) in enumerate(moved):
        before, scored = contexts[index], alone[index]
        if whole is not None and context and len(whole[index]) > len(before):
            scored = whole[index][len(before) :]
        windows.append(_fit(backend, before, scored, index))
    return windows


def _fit(backend, before, scored, index):
    if not 0 < len(scored) <= backend.longest:
        raise ValueError(
            f"A continuation must have from 1 to {backend.longest} tokens. Received: "
            f"{len(scored)} in request {index}."
        )
    before = before or [backend.start_token_id]
    # An encoder has a length of its own, with the end token; a decoder does not read the last one.
    room = backend.longest - 1 if backend.is_encoder_decoder else backend.longest + 1 - len(scored)
    return before[-room:] if room else [], scored


def _without_start(backend, ids):
    """Ids without the start token that a tokenizer puts before a text."""
    return ids[1:] if ids and ids[0] == backend.start_token_id else ids


def read_options(given, longest):
    """The harness's options of generation as those of `lmzoo`.

    Args:
        given: dict. `until` (str or list of str), the number of tokens under one of four names,
            `do_sample`, and others of the names that `GenerationOptions` has.
        longest: int. The tokens of the model's context.
    Returns:
        dict with `max_new_tokens`, `temperature`, `stop_strings` and what else was given.
    Raises:
        ValueError: if more tokens are asked for than the context has.
    """
    options = dict(given)
    until = options.pop("until", None) or []
    until = [until] if isinstance(until, str) else until
    lengths = [options.pop(name, None) for name in _LENGTHS]
    length = next((length for length in lengths if length is not None), None)
    is_sampled = options.pop("do_sample", None)
    temperature = float(options.pop("temperature", 0.0) or 0.0)
    if is_sampled is False:
        temperature = 0.0
    elif is_sampled and not temperature:
        temperature = 1.0
    if length is None:
        length = min(_MAX_NEW_TOKENS, longest // 2)
    if not 0 < int(length) < longest:
        raise ValueError(
            f"`max_gen_toks` must be below the context of {longest} tokens. Received: "
            f"max_gen_toks={length}."
        )
    return {
        **options,
        "max_new_tokens": int(length),
        "temperature": temperature,
        "stop_strings": tuple(text for text in until if text),
    }


def cut_at(text, stop_strings):
    """A text up to the first of some strings."""
    for stop in stop_strings:
        text = text.partition(stop)[0]
    return text
