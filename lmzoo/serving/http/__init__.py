"""The paths of the server: TensorFlow Serving's REST, OpenAI's, and those of operators."""

__all__ = []
