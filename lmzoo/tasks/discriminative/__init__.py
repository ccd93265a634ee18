"""What the discriminative tasks share: raw text to token batches, labels, spans, prediction.

`text_input` is the way in: arguments of `fit` to rows to batches. Nothing here is public.
"""

__all__ = []
