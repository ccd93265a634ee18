"""What generative tasks share, as mixins before `Task`."""

__all__ = []
