"""Tokens in the place of masks."""

__all__ = ["MaskFilling"]


class MaskFilling:
    """Gives a task `fill`.

    The task has `tokenizer`, `sequence_length`, `mask_token` and `fill_masks(texts, top_k,
    batch_size)`: for each text, the list of what `fill` gives for each mask that was not truncated.
    """

    def fill(self, texts, top_k=5, batch_size=None):
        """Predicts the most probable tokens for each mask in some texts.

        Args:
            texts: str or list of str, each with at least one mask token, such as "[MASK]".
            top_k: int. The number of tokens to return for a mask.
            batch_size: int or None. Texts in one forward pass; None for 32.
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
        mask = self.mask_token
        for index, text in enumerate(texts):
            if mask not in text:
                raise ValueError(
                    f"Each of `texts` must hold {mask}. Received: {text!r:.80} at index {index}."
                )
        self.check_num_tokens(top_k)
        predictions = []
        for index, masks in enumerate(self.fill_masks(texts, top_k, batch_size)):
            if len(masks) < texts[index].count(mask):
                raise ValueError(
                    f"`texts` must have their masks within {self.sequence_length} tokens. "
                    f"Received: {texts[index]!r:.80} at index {index}, which has one later."
                )
            predictions.append(masks[0] if len(masks) == 1 else masks)
        return predictions[0] if is_single else predictions

    def check_num_tokens(self, top_k):
        """Raises ValueError unless there are `top_k` tokens that are not special."""
        num_choices = self.tokenizer.vocabulary_size - len(self.tokenizer.special_tokens)
        if type(top_k) is not int or not 0 < top_k <= num_choices:
            raise ValueError(
                f"`top_k` must be an int from 1 to {num_choices}. Received: top_k={top_k!r}."
            )
