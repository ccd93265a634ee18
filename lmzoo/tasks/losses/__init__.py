"""Losses of tasks, and how a loss is averaged over replicas.

Public: `AnswerLoss`, `SimilarityLoss`, `TokenCrossentropy`.
"""

__all__ = []
