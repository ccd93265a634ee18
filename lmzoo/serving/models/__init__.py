"""What is served: folders, the process of each version, batches, and swaps of versions."""

__all__ = []
