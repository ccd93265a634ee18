"""What a search says of itself: the table while it runs; report, picture and page at its end."""

__all__ = []
