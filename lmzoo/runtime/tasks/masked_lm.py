"""Masked language modelling."""

import numpy as np

from ..predictions import MaskFilling
from .text_reading import TextReading, check_finite, softmax

__all__ = ["MaskedLM"]


class MaskedLM(MaskFilling, TextReading):
    """Predicts masked tokens; see `lmzoo.tasks.MaskedLM`."""

    @property
    def output_width(self):
        return self.manifest.vocabulary_size

    @property
    def mask_token(self):
        """str. The mask token as a text has it."""
        mask_id = self.tokenizer.mask_token_id
        for token, index in self.tokenizer.special_tokens.items():
            if index == mask_id:
                return token
        raise ValueError(f"A MaskedLM must have a mask token. Received: its id is {mask_id}.")

    def fill_masks(self, texts, top_k, batch_size):
        """See `MaskFilling`."""
        mask_id, special = self.tokenizer.mask_token_id, self.tokenizer.special_tokens
        allowed, special_ids = [self.mask_token, *self.allow_special], list(special.values())

        def make_row(text):
            return self.pack([self.tokenizer.tokenize(text, allowed)])

        predictions, results = [], self.run_texts([texts], make_row, batch_size)
        for text, (row, logits) in zip(texts, results, strict=True):
            places = [place for place, token_id in enumerate(row.ids) if token_id == mask_id]
            check_finite(logits[places], text)
            predictions.append([self._rank(logits[place], special_ids, top_k) for place in places])
        return predictions

    def _rank(self, logits, special_ids, top_k):
        scores = softmax(logits[: self.tokenizer.vocabulary_size])
        scores[special_ids] = 0
        order = np.argsort(-scores, kind="stable")[:top_k].tolist()
        return [
            {"token": self.tokenizer.detokenize([index]), "score": float(scores[index])}
            for index in order
        ]
