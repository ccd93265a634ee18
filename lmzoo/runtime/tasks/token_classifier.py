"""Token classification."""

import functools

from ..predictions import TokenClassification
from .tagging import TagScheme, find_spans, find_visible, find_words
from .text_reading import TextReading, check_finite, softmax

__all__ = ["TokenClassifier"]


class TokenClassifier(TokenClassification, TextReading):
    """Tags words, and finds the spans the tags make; see `lmzoo.tasks.TokenClassifier`.

    Attributes:
        labels: tuple of str. The tags, by id.
    """

    def __init__(self, file, num_threads=None):
        super().__init__(file, num_threads)
        self.labels = self.manifest.task_options["labels"]
        self._scheme = TagScheme(self.labels)
        self._outside = "O" if "O" in self.labels else self.labels[0]

    @functools.cached_property
    def _continues_word(self):
        return list(self.tokenizer.continues_word)

    def find_spans(self, texts, batch_size):
        """See `TokenClassification`."""
        tagged = self._tag_tokens(texts, batch_size)
        return [self._make_spans(text, tokens) for text, tokens in zip(texts, tagged, strict=True)]

    def find_tags(self, rows, batch_size):
        """See `TokenClassification`."""
        texts = [" ".join(words) for words in rows]
        rows_of_tags = []
        for words, tokens in zip(rows, self._tag_tokens(texts, batch_size), strict=True):
            tags, begin = [], 0
            for word in words:
                # The first token that begins in the word decides.
                end = begin + len(word)
                inside = (tag for _, start, _, tag, _ in tokens if begin <= start < end)
                found = next(inside, None)
                tags.append(self._outside if found is None else self.labels[found])
                begin = end + 1
            rows_of_tags.append(tags)
        return rows_of_tags

    def _tag_tokens(self, texts, batch_size):
        """The visible tokens of each text: (id, start, end, tag, probability)."""

        def make_row(text):
            tokens = self.tokenizer.tokenize_with_offsets(text, list(self.allow_special))
            visible = find_visible(text, tokens)
            marks = [token if seen else None for token, seen in zip(tokens, visible, strict=True)]
            return self.pack([[index for index, *_ in tokens]], [marks])

        found = []
        results = self.run_texts([texts], make_row, batch_size)
        for text, (row, logits) in zip(texts, results, strict=True):
            check_finite(logits[: len(row.ids)], text)
            scores = softmax(logits)
            tags = scores.argmax(axis=-1)
            found.append(
                [
                    (*token, int(tags[place]), float(scores[place, tags[place]]))
                    for place, token in enumerate(row.features)
                    if token is not None
                ]
            )
        return found

    def _make_spans(self, text, tokens):
        begins = find_words(text, [token[:3] for token in tokens], self._continues_word)
        words = []
        # A word has the tag of its first token and reaches to the end of its last.
        for (_, start, end, tag, score), is_first in zip(tokens, begins, strict=True):
            if is_first:
                words.append([tag, score, start, end])
            else:
                words[-1][3] = end
        return [
            {"text": text[start:end], "label": kind, "start": start, "end": end, "score": score}
            for kind, start, end, score in find_spans(self._scheme, words)
        ]
