"""The files of a model's folder in Hugging Face's layout, each checked before it is used.

Nothing here is public.
"""

__all__ = []
