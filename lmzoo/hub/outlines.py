"""A task as a model's config describes it, without its weights."""

import keras

from lmzoo import tasks
from lmzoo.hub.describing import find_tensors
from lmzoo.hub.families import list_model_types
from lmzoo.hub.files.config import check_model_type, read_config
from lmzoo.hub.files.folders import check_folder
from lmzoo.hub.folder_spec import make_folder_spec
from lmzoo.hub.remote.sources import find_folder

__all__ = ["read_outline"]


def read_outline(source, revision=None, task=None):
    """Reads what a model is, and gives a function that makes it with fresh weights.

    Args:
        source, revision, task: as for `lmzoo.load`. Of a model on the hub, weights that are not in
            the cache stay there.
    Returns:
        callable. It takes `dtype`, a Keras dtype policy or None, a dict of arguments of the task,
        such as `labels`, and arguments of the backbone, such as `remat`. It makes a task without a
        tokenizer.
    Raises:
        As `lmzoo.load`, but for what it says of weights.
    """
    folder = find_folder(source, revision, weights=False)
    check_folder(folder)
    config = read_config(folder)
    check_model_type(folder, config, list_model_types())
    tensors, _ = find_tensors(folder, source, revision)
    spec = make_folder_spec(folder, config, tensors, task)

    def make(dtype=None, head_options=(), **options):
        policy = keras.dtype_policies.get(dtype or keras.config.dtype_policy())
        backbone = spec.family.backbone()(**{**spec.arguments, **options}, dtype=policy)
        return getattr(tasks, spec.task)(backbone, None, **{**spec.options, **dict(head_options)})

    return make
