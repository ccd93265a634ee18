"""What the discriminative tasks share: text columns, labels, spans, traced functions.

Nothing here is public.
"""

__all__ = []
