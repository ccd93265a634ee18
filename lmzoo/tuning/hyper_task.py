"""`HyperTask`: every task as a model of keras-tuner's, with its search space."""

import difflib
import inspect

import keras
import keras_tuner
import tensorflow as tf

from lmzoo import tasks
from lmzoo.runs.building import build_schedule, build_task, compile_task
from lmzoo.runs.recipe import Recipe
from lmzoo.runs.schema import TASKS
from lmzoo.tuning.default_space import find_backbone_name, make_default_space
from lmzoo.tuning.space import FRESH, Space

__all__ = ["HyperTask"]


class HyperTask(keras_tuner.HyperModel):
    """A task whose architecture and training keras-tuner searches, on raw text.

    Works with each tuner of keras-tuner. What is given to `tuner.search` is given to the task's
    `fit`, but for the batch size, which is searched.

    Dimensions, with a default that suits the backbone: `num_layers`, `hidden_dim`, `num_heads` (of
    them only those that divide the width), `dropout`, `learning_rate`, `schedule`, `warmup` (a
    share of all steps), `batch_size`; for classifiers, regressors and embedders also
    `sequence_length` and `pooling`. Without a default there are `source`, `optimizer`,
    `weight_decay`, `precision`, `head_activation` and `head_dropout`. Each may be overridden by its
    name: with a value it is fixed, with a list it has these choices, with a tuple of two numbers or
    a dict of `min`, `max`, `step` and `log` it is a range.

    Args:
        task: a class of `lmzoo.tasks`, or its name.
        tokenizer: a tokenizer of `lmzoo.tokenizers`, of fresh models. Pretrained ones have their
            own.
        backbone: a class of `lmzoo.models`, or its name, of fresh models; None for what suits the
            task.
        backbone_options: dict or None. Further arguments of a fresh backbone.
        space: dict or None. Dimensions that are no Python names: dotted keys of a recipe, such as
            "optimizer.layer_decay".
        name: str or None. As of keras_tuner.HyperModel.
        tunable: bool. As of keras_tuner.HyperModel.
        **fixed: arguments of the task, such as `labels`, and dimensions. `source` is a pretrained
            model as `lmzoo.load` takes it, or a list of such; "fresh" among them is a fresh
            backbone, and then `learning_rate_of_source` is the rate of the others.
    Raises:
        TypeError: if an argument is unknown, or a value has the wrong type.
        ValueError: if the task is unknown, a dimension has values that do not fit, or there is
            neither a tokenizer nor a source.
    Example:
        hyper_task = lmzoo.tuning.HyperTask("TextClassifier", tokenizer, labels=["bad", "good"])
        tuner = keras_tuner.RandomSearch(hyper_task, hyper_task.objective, max_trials=20)
        tuner.search(texts, labels, validation_split=0.1, epochs=5)
        classifier = tuner.get_best_models()[0]
    """

    def __init__(
        self,
        task,
        tokenizer=None,
        *,
        backbone=None,
        backbone_options=None,
        space=None,
        name=None,
        tunable=True,
        **fixed,
    ):
        super().__init__(name=name, tunable=tunable)
        self.task_class = _find_class(task)
        dimensions = {key: fixed.pop(key) for key in Space.names() if key in fixed}
        dimensions |= space or {}
        self._check_options(fixed)
        task_name = self.task_class.__name__
        backbone = backbone or find_backbone_name(task_name)
        backbone = backbone if isinstance(backbone, str) else backbone.__name__
        sources = dimensions.get("source", FRESH)
        sources = sources if isinstance(sources, list) else [sources]
        if FRESH in sources and tokenizer is None:
            raise ValueError(
                "`tokenizer` must be given for a fresh model. Received: None. Train one with "
                "lmzoo.tokenizers, or pass `source`."
            )
        defaults = make_default_space(task_name, backbone, has_source=FRESH not in sources)
        defaults = {key: value for key, value in defaults.items() if self._takes(key)}
        self.tokenizer, self.options = tokenizer, fixed
        self.space = Space({**defaults, **dimensions}, backbone_options, backbone)

    @property
    def objective(self):
        """keras_tuner.Objective. The loss of held-out data, which every task has."""
        return keras_tuner.Objective("val_loss", "min")

    def _takes(self, name):
        """Whether the task has what a default dimension sets."""
        return name != "pooling" or name in inspect.signature(self.task_class.__init__).parameters

    def _check_options(self, options):
        known = set()
        for kind in self.task_class.__mro__:
            if "__init__" in vars(kind) and kind.__module__.startswith("lmzoo."):
                known |= set(inspect.signature(kind.__init__).parameters)
        known -= {"self", "backbone", "tokenizer", "args", "kwargs"}
        for name, value in options.items():
            if name in known:
                continue
            near = difflib.get_close_matches(name, [*Space.names(), *known], 1)
            hint = f" Did you mean `{near[0]}`?" if near else ""
            raise TypeError(
                f"HyperTask takes dimensions and arguments of a {self.task_class.__name__}. "
                f"Received: {name}={value!r:.60}.{hint}"
            )

    def declare_hyperparameters(self, hp):
        """Registers the space, so that a tuner knows it before it builds a model."""
        self.space.declare(hp)

    def build(self, hp):
        """The task for some hyperparameters.

        Args:
            hp: keras_tuner.HyperParameters.
        Returns:
            A task of `lmzoo.tasks`, compiled with the optimizer and a constant learning rate; the
            schedule is that of `fit` here, which knows how many steps there are.
        """
        recipe = self._make_recipe(self.space.declare(hp))
        tokenizer = None if "model.source" in recipe else self.tokenizer
        task = build_task(recipe, None, tokenizer=tokenizer)
        compile_task(recipe, task, None)
        return task

    def _make_recipe(self, values):
        given = {"model.task": self.task_class.__name__, "model.options": dict(self.options)}
        sections = self.space.make_sections(values)
        is_fresh = sections.get("model.source") is None
        if is_fresh:
            given["model.backbone"] = self.space.backbone
            given["model.backbone_options"] = dict(self.space.backbone_options)
        for key, value in sections.items():
            table, _, name = key.rpartition(".")
            if table in ("model.options", "model.backbone_options", "optimizer.options"):
                given[table] = {**given.get(table, {}), name: value}
            else:
                given[key] = value
        length = values.get("sequence_length")
        if length is not None and _has_argument(self.task_class.__init__, "sequence_length"):
            given["model.options"].setdefault("sequence_length", length)
        return Recipe(given, {})

    def fit(self, hp, model, *args, **kwargs):
        """Trains a task that `build` made; see the task's own `fit`.

        Args:
            hp: keras_tuner.HyperParameters.
            model: the task.
            *args, **kwargs: as for the task's `fit`. The batch size is that of `hp`, unless the
                data are a tf.data.Dataset.
        Returns:
            keras.callbacks.History.
        """
        values = self.space.declare(hp)
        x = args[0] if args else kwargs.get("x")
        is_batched = isinstance(x, tf.data.Dataset)
        if "batch_size" in values and not is_batched and len(args) < 3:
            kwargs.setdefault("batch_size", values["batch_size"])
        length = values.get("sequence_length")
        if length is not None and not is_batched and _has_argument(model.fit, "sequence_length"):
            kwargs.setdefault("sequence_length", length)
        first = kwargs.get("initial_epoch", 0)
        rate = _ScheduledRate(self._make_recipe(values), first)
        kwargs["callbacks"] = [*kwargs.get("callbacks", ()), rate]
        return model.fit(*args, **kwargs)


class _ScheduledRate(keras.callbacks.Callback):
    """Sets the learning rate of each step by a schedule over all steps of a call of `fit`."""

    is_stateless = True

    def __init__(self, recipe, first_epoch):
        super().__init__()
        self._recipe, self._first_epoch = recipe, first_epoch

    def on_train_begin(self, logs=None):
        steps, num_epochs = self.params["steps"], self.params["epochs"] - self._first_epoch
        if steps is None:
            raise ValueError(
                "`steps_per_epoch` must be given where the data do not know their length. "
                "Received: steps_per_epoch=None."
            )
        optimizer = self.model.optimizer
        self._optimizer = getattr(optimizer, "inner_optimizer", optimizer)
        highest = float(keras.ops.convert_to_numpy(self._optimizer.learning_rate))
        self._schedule = build_schedule(self._recipe, highest, max(steps * num_epochs, 1))
        self._steps = steps

    def on_epoch_begin(self, epoch, logs=None):
        self._start = (epoch - self._first_epoch) * self._steps

    def on_train_batch_begin(self, batch, logs=None):
        self._optimizer.learning_rate = self._schedule(self._start + batch)


def _find_class(task):
    name = task if isinstance(task, str) else getattr(task, "__name__", None)
    if name not in TASKS:
        near = difflib.get_close_matches(str(name), TASKS, 1)
        hint = f"Did you mean {near[0]}?" if near else f"There are {', '.join(TASKS)}."
        raise ValueError(
            f"`task` must be a class of `lmzoo.tasks` to train. Received: {task!r:.80}. {hint}"
        )
    return getattr(tasks, name)


def _has_argument(function, name):
    return name in inspect.signature(function).parameters
