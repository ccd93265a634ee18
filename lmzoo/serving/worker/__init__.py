"""The process of one version of a model: all of TensorFlow is in here.

`python -m lmzoo.serving.worker DESCRIPTOR KIND FOLDER SLOTS` is started by
`lmzoo.serving.models.worker_client`, and talks with it over a socket.
"""

__all__ = []
