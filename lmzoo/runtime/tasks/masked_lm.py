"""Masked language modelling."""

import numpy as np

from .text_reading import TextReading, check_finite, softmax

__all__ = ["MaskedLM"]


class MaskedLM(TextReading):
    """Predicts masked tokens; see `lmzoo.tasks.MaskedLM`."""

    @property
    def output_width(self):
        return self.manifest.vocabulary_size

    def fill(self, texts, top_k=5, batch_size=None):
        """Predicts the most probable tokens for each mask in some texts.

        Args:
            texts: str or list of str, each with at least one mask token, such as "[MASK]".
            top_k: int. The number of tokens to return for a mask.
            batch_size: int or None. Texts in one run; None for 32.
        Returns:
            list of `top_k` dicts with `token` str and `score` float, the probability, the best
            first. Special tokens are never among them. For a text with several masks, a list of
            such lists. For a list of texts, a list of these.
        Raises:
            TypeError: if a text is not a str.
            ValueError: if a text has no mask, a mask was truncated, `top_k` is out of its range or
                there is no tokenizer.
        """
        texts, is_single = self.read_texts(texts)
        mask_id = self.tokenizer.mask_token_id
        names = {index: token for token, index in self.tokenizer.special_tokens.items()}
        if mask_id not in names:
            raise ValueError(f"A MaskedLM must have a mask token. Received: its id is {mask_id}.")
        mask = names[mask_id]
        for index, text in enumerate(texts):
            if mask not in text:
                raise ValueError(
                    f"Each of `texts` must hold {mask}. Received: {text!r:.80} at index {index}."
                )
        num_choices = self.tokenizer.vocabulary_size - len(names)
        if type(top_k) is not int or not 0 < top_k <= num_choices:
            raise ValueError(
                f"`top_k` must be an int from 1 to {num_choices}. Received: top_k={top_k!r}."
            )
        allowed = [mask, *self.allow_special]

        def make_row(text):
            return self.pack([self.tokenizer.tokenize(text, allowed)])

        predictions = []
        results = self.run_texts([texts], make_row, batch_size)
        for index, (text, (row, logits)) in enumerate(zip(texts, results, strict=True)):
            places = [place for place, token_id in enumerate(row.ids) if token_id == mask_id]
            if len(places) < text.count(mask):
                raise ValueError(
                    f"`texts` must have their masks within {self.sequence_length} tokens. "
                    f"Received: {text!r:.80} at index {index}, which has one later."
                )
            check_finite(logits[places], text)
            masks = [self._rank(logits[place], list(names), top_k) for place in places]
            predictions.append(masks[0] if len(masks) == 1 else masks)
        return predictions[0] if is_single else predictions

    def _rank(self, logits, special_ids, top_k):
        scores = softmax(logits[: self.tokenizer.vocabulary_size])
        scores[special_ids] = 0
        order = np.argsort(-scores, kind="stable")[:top_k].tolist()
        return [
            {"token": self.tokenizer.detokenize([index]), "score": float(scores[index])}
            for index in order
        ]
