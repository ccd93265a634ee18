"""The strategy of a run: one device, all GPUs of a host, several hosts, or a TPU."""

import contextlib
import json
import os

import tensorflow as tf

from lmzoo.training.workers import multi_worker_strategy

__all__ = [
    *("check_batch_size", "count_processors", "describe_devices", "is_chief", "make_strategy"),
    "scope_of",
]


def make_strategy(recipe):
    """The strategy that a recipe names; to be called before anything else of TensorFlow.

    Args:
        recipe: Recipe.
    Returns:
        A strategy of tf.distribute; None for one device.
    Raises:
        ValueError: if TF_CONFIG is no JSON, or a strategy is named that it does not go with.
        TimeoutError: if another worker does not come.
    """
    name, num_workers = recipe["training.strategy"], count_hosts()
    if name == "auto":
        name = "one_device"
        if num_workers > 1:
            name = "multi_worker"
        elif len(tf.config.list_physical_devices("GPU")) > 1:
            name = "mirrored"
    elif num_workers > 1 and name not in ("multi_worker", "tpu"):
        raise recipe.make_error(
            "training.strategy",
            f"must be auto or multi_worker with the {num_workers} hosts of TF_CONFIG",
        )
    if name == "multi_worker":
        return multi_worker_strategy()
    if name == "mirrored":
        return tf.distribute.MirroredStrategy()
    if name == "tpu":
        return _make_tpu_strategy()
    return None


def count_hosts():
    """int. The hosts that TF_CONFIG names; 1 without it.

    Raises:
        ValueError: if it is no JSON of TensorFlow's form.
    """
    text = os.environ.get("TF_CONFIG")
    if not text:
        return 1
    try:
        cluster = json.loads(text)["cluster"]
        return sum(len(cluster[job]) for job in ("chief", "worker") if job in cluster)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(
            "The environment variable TF_CONFIG must be JSON with `cluster` and `task`. Received: "
            f"TF_CONFIG={text!r:.200} ({type(error).__name__}: {error})."
        ) from None


def _make_tpu_strategy():
    """As TensorFlow documents it; it was never run."""
    resolver = tf.distribute.cluster_resolver.TPUClusterResolver()
    tf.config.experimental_connect_to_cluster(resolver)
    tf.tpu.experimental.initialize_tpu_system(resolver)
    return tf.distribute.TPUStrategy(resolver)


def scope_of(strategy):
    """The scope of a strategy; one that changes nothing for None."""
    return contextlib.nullcontext() if strategy is None else strategy.scope()


def is_chief(strategy):
    """Whether this process writes the files of the run."""
    return strategy is None or strategy.extended.should_checkpoint


def describe_devices(strategy):
    """The devices that train together, such as "2 x GPU"."""
    kind = "GPU" if tf.config.list_logical_devices("GPU") else "CPU"
    kind = "TPU" if isinstance(strategy, tf.distribute.TPUStrategy) else kind
    return f"{1 if strategy is None else strategy.num_replicas_in_sync} x {kind}"


def count_processors(strategy):
    """int. The GPUs or TPU cores of a strategy; the hosts of one without: their CPUs are whole."""
    if strategy is not None and not describe_devices(strategy).endswith("CPU"):
        return strategy.num_replicas_in_sync
    return count_hosts()


def check_batch_size(recipe, strategy):
    """Refuses a batch that leaves a replica without a row.

    Raises:
        ValueError: if it does; with its place.
    """
    replicas = 1 if strategy is None else strategy.num_replicas_in_sync
    parts = recipe["training.accumulation_steps"]
    if recipe["data.batch_size"] < replicas * parts:
        raise recipe.make_error(
            "data.batch_size",
            f"must be at least {replicas * parts}, a row for each of {replicas} devices"
            + (f" in each of {parts} parts" if parts > 1 else ""),
        )
