"""The base class of tasks: a backbone with a tokenizer, and the methods a Keras user looks for."""

import importlib.util

import keras
import tensorflow as tf

from lmzoo.keras_seams import (
    TrainerSeams,
    correct_optimizer,
    get_loss_tracker,
    set_input_shapes,
    set_loss_tracker,
    unwrap_quantize,
)
from lmzoo.keywords import check_keywords
from lmzoo.layers.checks import check_inputs, check_size
from lmzoo.tasks.losses import LossTracker, count_terms, smooth_loss, sum_over_replicas

__all__ = ["Task"]

_HOME = "lmzoo.tasks"


class Task(TrainerSeams, keras.Model):
    """A backbone with a head and a tokenizer: something to fit, save and export.

    Args:
        backbone: a model of `lmzoo.models`.
        tokenizer: a tokenizer of `lmzoo.tokenizers`, or None for a task that works on ids.
    Attributes: what kind of task it is. Every task has them, so that other code reads them instead
        of looking at the class.
        is_generative: bool. Whether it generates text (`generate`, `stream`, `compute_log_probs`);
            if False, it is discriminative and has `serving_functions`.
        head: keras.layers.Layer or None. What turns hidden states into the output; None where the
            output comes from the backbone alone.
        labels: LabelSet or None. The names of the classes; None for a task without classes.
        num_targets: int or None. How many numbers a text gets; None unless the task is a regressor.
        multi_label: bool or None. Whether a text may have several classes; None for a task that
            does not sort texts into classes.
        start_token_id: int or None. The first token of the decoder; None without a decoder of its
            own.
        quantization: str or None. "int8" or "int4" after `quantize`.
        quantized_matrices: list of `lmzoo.layers.quantized.QuantizedMatrix`. Its quantized weights.
        prediction_kind: str or None. What it predicts, as `lmzoo.evaluation` names it: "classes",
            "class_sets", "numbers", "number_rows", "tags", "spans", "answers", "embeddings",
            "masked_tokens", "completions" or "replies".
        unread_special_tokens: list of str. Special tokens of the tokenizer, other than padding and
            its like, that the task reads as plain text where they occur in texts.
    Raises:
        ValueError: if the tokenizer has more tokens than the backbone has embeddings.
    """

    # The kinds of backbone that it takes; see `lmzoo.models`.
    backbone_kinds = ("encoder", "decoder", "encoder_decoder")
    is_generative = False
    prediction_kind = None
    head = None
    labels = None
    num_targets = None
    multi_label = None
    start_token_id = None
    unread_special_tokens = ()
    quantization = None
    quantized_matrices = ()
    # The entries that a dict of token batches must have.
    required_inputs = ("token_ids",)
    _call_remedy = "For texts, use `predict` or the method that the class is named for."

    # The defaults for pretraining. Tasks for fine-tuning have others.
    _optimizer_arguments = {"learning_rate": 3e-4, "weight_decay": 0.1, "beta_2": 0.95}
    uses_pooler = True
    # Whether the metrics of a training step read what it predicts.
    reads_predictions = True
    # Until `compile` and `fit` set them.
    _metrics_are_auto = True
    _accumulation_steps = 1
    _trained = None

    def __init__(self, backbone, tokenizer=None, **kwargs):
        kwargs.setdefault("dtype", backbone.dtype_policy)
        check_keywords(type(self), kwargs)
        super().__init__(**kwargs)
        kind = getattr(backbone, "kind", None)
        if kind is not None and kind not in self.backbone_kinds:
            kinds = " or ".join(self.backbone_kinds)
            raise TypeError(
                f"`backbone` must be of the kind {kinds} for a {type(self).__name__}. Received: a "
                f"{type(backbone).__name__}, of the kind {kind}."
            )
        if tokenizer is not None and tokenizer.vocabulary_size > backbone.vocabulary_size:
            raise ValueError(
                "`tokenizer` must not have more tokens than `backbone` has embeddings. Received: "
                f"tokenizer.vocabulary_size={tokenizer.vocabulary_size}, "
                f"backbone.vocabulary_size={backbone.vocabulary_size}. Build the backbone with "
                "vocabulary_size=tokenizer.vocabulary_size."
            )
        self.backbone = backbone
        self.tokenizer = tokenizer
        self._graphs = {}
        self._tokenizer_class = None
        self.built = True
        unwrap_quantize(self)
        if self.is_generative or kind != "encoder_decoder":
            set_input_shapes(self, getattr(backbone, "input_dtypes", ()))
        else:
            # It reads texts with the encoder alone.
            set_input_shapes(self, ("token_ids", "padding_mask"))

    # No property: Keras walks those of a model when it loads one, and would find it without end.
    def get_scored_model(self):
        """The task that computes its scores: itself, but for one that wraps another."""
        return self

    # What `keras.Model.export(task, folder)` reads, which exports the task on token batches.

    @property
    def input_dtype(self):
        return "int32"

    def get_build_config(self):
        # A task is built with its backbone; a .keras file has nothing to add.
        return None

    @classmethod
    def from_pretrained(cls, source, dtype=None, **options):
        """Opens a folder or a model of the hub as this task; the same as `lmzoo.load`.

        Args:
            source, dtype, **options: as for `lmzoo.load`.
        Returns:
            A task of this class; of `Task` itself, the task that the folder names.
        Raises:
            As `lmzoo.load`.
        """
        from lmzoo.hub import load

        names = [kind.__name__ for kind in cls.__mro__ if kind.__module__.startswith(_HOME)]
        return load(source, dtype=dtype, task=None if cls is Task else names[0], **options)

    from_preset = from_pretrained

    def __call__(self, inputs, *args, **kwargs):
        if not isinstance(inputs, dict):
            raise TypeError(
                f"`inputs` must be a dict of token batches, {{{self._name_inputs()}: ...}}. "
                f"Received: a {type(inputs).__name__}. {self._call_remedy}"
            )
        check_inputs(inputs, self.required_inputs, self.required_inputs)
        return super().__call__(inputs, *args, **kwargs)

    def _name_inputs(self):
        return ": ..., ".join(repr(name) for name in self.required_inputs)

    @property
    def trainable_weights(self):
        """list. Without the weights of the backbone that the task does not use.

        They are those of a pooler, and for a task that does not generate a decoder beside an
        encoder, and output embeddings. Keras would warn that they have no gradients.
        """
        unused = [] if self.is_generative else list(self.backbone.generation_weights)
        if not self.uses_pooler and getattr(self.backbone, "pooler_dense", None) is not None:
            unused += self.backbone.pooler_dense.weights
        unused = {id(weight) for weight in unused}
        return [weight for weight in super().trainable_weights if id(weight) not in unused]

    @property
    def trainable_variables(self):
        return self.trainable_weights

    def compile(
        self,
        optimizer="auto",
        loss="auto",
        *,
        metrics="auto",
        weighted_metrics="auto",
        label_smoothing=None,
        z_loss=None,
        gradient_accumulation_steps=1,
        **kwargs,
    ):
        """Configures training as `keras.Model.compile`, with defaults for the task.

        Args:
            optimizer: an optimizer of `lmzoo.training` or of Keras, or its name. "auto" is
                `lmzoo.training.AdamW` with weight decay (not on biases and norms), gradients
                clipped to a global norm of 1, and a learning rate of 3e-4 for tasks of pretraining
                and of 5e-5 for tasks of fine-tuning. Over replicas, gradients are summed before
                they are clipped, whoever made the optimizer. In mixed_float16 it is put into a
                `lmzoo.training.LossScaleOptimizer`.
            loss: a Keras loss or its name. "auto" is the task's own.
            metrics: list of metrics that take no sample weights. "auto" is the task's own, or none
                where `weighted_metrics` are given.
            weighted_metrics: list of metrics that take sample weights. "auto" is the task's own, or
                none where `metrics` are given.
            label_smoothing, z_loss: float or None. Of the task's own loss, where that is a
                cross-entropy over tokens or classes; see `TokenCrossentropy`. None for what the
                task was made with, mostly 0.
            gradient_accumulation_steps: int, n. Each batch is computed in n parts, one after the
                other, with the memory of one part and the gradient of the whole batch.
            **kwargs: as for `keras.Model.compile`. `jit_compile` is False unless given: on
                processors, bfloat16 products are fast only outside XLA.
        Raises:
            TypeError, ValueError: if `gradient_accumulation_steps` is not an int of at least 1, or
                `label_smoothing` or `z_loss` is out of its range or for another loss.
        """
        check_size(gradient_accumulation_steps=gradient_accumulation_steps)
        self._accumulation_steps = gradient_accumulation_steps
        self._metrics_are_auto = metrics == weighted_metrics == "auto"
        kwargs.setdefault("jit_compile", False)
        # Create optimizer and metrics under the model's strategy scope, wherever it is called.
        with self.distribute_strategy.scope():
            if optimizer == "auto":
                optimizer = self._make_optimizer()
            optimizer = self._prepare_optimizer(optimizer, kwargs)
            is_own = isinstance(loss, str) and loss == "auto"
            if is_own:
                loss = self._make_loss()
            loss = smooth_loss(loss, is_own, label_smoothing=label_smoothing, z_loss=z_loss)
            if self._metrics_are_auto:
                metrics, weighted_metrics = self._make_unweighted_metrics(), self._make_metrics()
            metrics, weighted_metrics = (
                None if given == "auto" else given for given in (metrics, weighted_metrics)
            )
            super().compile(
                optimizer, loss, metrics=metrics, weighted_metrics=weighted_metrics, **kwargs
            )
            set_loss_tracker(self, LossTracker(name="loss"))

    def get_compile_config(self):
        config = super().get_compile_config()
        steps = self._accumulation_steps
        return {**config, "gradient_accumulation_steps": steps} if config else config

    def compile_from_config(self, config):
        self.compile(**keras.saving.deserialize_keras_object(config))
        self._build_optimizer()

    def _make_optimizer(self):
        from lmzoo.training import AdamW

        return AdamW(**self._optimizer_arguments, global_clipnorm=1.0)

    def _prepare_optimizer(self, optimizer, options):
        """The optimizer, with a loss scale in mixed_float16, and right over replicas."""
        from lmzoo.training import LossScaleOptimizer

        optimizer = keras.optimizers.get(optimizer)
        is_scaled = isinstance(optimizer, keras.optimizers.LossScaleOptimizer)
        if options.get("auto_scale_loss", True) and self.dtype_policy.name == "mixed_float16":
            if not is_scaled:
                return LossScaleOptimizer(optimizer)
        correct_optimizer(optimizer)
        return optimizer

    def _make_unweighted_metrics(self):
        return None

    def _make_metrics(self):
        return None

    def _make_loss(self):
        raise NotImplementedError(f"{type(self).__name__} has no loss of its own.")

    def fit(self, x=None, *args, **kwargs):
        """Trains as `keras.Model.fit`; a task that was not compiled is compiled with defaults."""
        from lmzoo.training.fit_callbacks import prepare_checkpoints
        from lmzoo.training.workers import explain_lost_workers

        self.refuse_quantized("trained")
        _check_callbacks(kwargs.get("callbacks"))
        if not self.compiled:
            self.compile()
        self._check_frozen()
        self._build_optimizer()
        lost = explain_lost_workers(self.distribute_strategy)
        with lost, prepare_checkpoints(x, kwargs) as callbacks:
            if isinstance(x, tf.data.Dataset):
                # Keras warns of `shuffle=True`, its default, beside a dataset.
                kwargs.setdefault("shuffle", False)
                # Keras warns if the data ends within `steps_per_epoch`.
                is_finite = x.cardinality() != tf.data.INFINITE_CARDINALITY
                if kwargs.get("steps_per_epoch") and is_finite:
                    x = x.repeat()
            return super().fit(x, *args, **{**kwargs, "callbacks": callbacks})

    def train_step(self, data):
        from lmzoo.training.accumulation import accumulated_train_step

        self.refuse_quantized("trained")
        if self._accumulation_steps == 1:
            return super().train_step(data)
        return accumulated_train_step(self, data, self._accumulation_steps)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """The loss as in `keras.Model`; over replicas, one mean weighted by their terms."""
        loss = self.compute_batch_loss(x, y, y_pred, sample_weight, training)
        own = count_terms(self.loss, y, sample_weight)
        if own is None:
            return loss
        total, num_replicas = sum_over_replicas(own)
        get_loss_tracker(self).set_next_weight(total / num_replicas)
        if num_replicas == 1:
            return loss
        return loss * tf.cast(num_replicas * tf.math.divide_no_nan(own, total), loss.dtype)

    def compute_batch_loss(self, x, y, y_pred, sample_weight, training):
        """The loss of the batch of one replica alone, as `keras.Model.compute_loss` gives it."""
        return super().compute_loss(x, y, y_pred, sample_weight, training=training)

    def _build_optimizer(self):
        dtypes = {variable.dtype for variable in self.trainable_variables}
        if len(dtypes) > 1 and getattr(self.optimizer, "global_clipnorm", None) is not None:
            raise ValueError(
                "`optimizer` must not clip to a global norm where weights differ in dtype. "
                f"Received: global_clipnorm={self.optimizer.global_clipnorm}, weights of "
                f"{', '.join(sorted(dtypes))}. Make the model with dtype='mixed_float16'."
            )
        # Variables made in the first step would make TensorFlow trace it a second time.
        if self.optimizer.built:
            return
        inner = getattr(self.optimizer, "inner_optimizer", self.optimizer)
        if getattr(inner, "layer_decay", None) is not None:
            inner.set_layers(self.backbone.count_layers_above())
        with self.distribute_strategy.scope():
            self.optimizer.build(self.trainable_variables)

    def _check_frozen(self):
        """Raises where Keras would go on with the training step that it has traced."""
        trained = [variable.path for variable in self.trainable_variables]
        is_traced = self.train_function is not None and self._trained is not None
        before = self._trained if is_traced else trained
        if changed := sorted(set(before) ^ set(trained)):
            raise ValueError(
                "`trainable` must not change between two calls of `fit`, unless `compile` is "
                f"called after it. Received: {len(changed)} weights that changed, such as "
                f"{changed[0]}."
            )
        self._trained = trained

    def evaluate(self, *args, **kwargs):
        """Evaluates as `keras.Model.evaluate`; compiles with defaults where that was not done.

        With an optimizer that has `use_ema=True`, it evaluates the moving averages of the weights.
        """
        from lmzoo.training.averages import averaged_weights

        if not self.compiled:
            self.compile()
        with averaged_weights(self, kwargs.get("callbacks")):
            return super().evaluate(*args, **kwargs)

    def _get_graph(self, key, build):
        """A traced function of this task, built at first use."""
        if key not in self._graphs:
            self._graphs[key] = build()
        return self._graphs[key]

    def quantize(self, mode="int8", config=None, filters=None, **kwargs):
        """Rounds the weights of products and look-ups to 8 or 4 bits, for good.

        The task then holds about one byte or 0.6 bytes for each weight, and everything that
        predicts works as before. Inputs, sums, norms and biases stay float32. Token embeddings and
        the logits that they give share one table. A quantized task cannot be trained or saved, but
        exported as a SavedModel.

        Not what `keras.Model.quantize` does. Keras rounds the inputs of each product too, which
        costs accuracy, leaves token embeddings as they are, and is slower than float32 on
        processors, where TensorFlow has no fast product of integers. `keras.Model.quantize(task,
        mode)` still does it.

        Args:
            mode: "int8", with a scale for each output of a product and each token, or "int4", with
                one for each 32 weights.
            config, filters: must be None. Keras has them.
        Raises:
            TypeError: if an argument is unknown.
            ValueError: if `mode` is unknown or does not suit the widths of the model, the task is
                quantized already or does not compute in float32, or a weight is not finite.
        """
        from lmzoo.export.quantization import quantize_task

        for name, value in {"config": config, "filters": filters, **kwargs}.items():
            if value is not None:
                raise ValueError(
                    f"`{name}` must be None, as a task quantizes all of its products. Received: "
                    f"{name}={value!r:.80}. `keras.Model.quantize(task, mode)` has choices."
                )
        quantize_task(self, mode)
        # What was traced holds the float weights, and so does the state of an optimizer.
        self._graphs.clear()
        self.train_function = self.test_function = self.predict_function = None
        if self.compiled:
            self.optimizer = None

    def refuse_quantized(self, what):
        """Raises ValueError if its weights are quantized; `what` is what it cannot be then."""
        if self.quantization is not None:
            raise ValueError(
                f"A quantized task cannot be {what}. Received: a {type(self).__name__} in "
                f"{self.quantization}. Do it before `quantize`, or load the task again."
            )

    def save(self, *args, **kwargs):
        """Saves as `keras.Model.save`."""
        self.refuse_quantized("saved")
        super().save(*args, **kwargs)

    def save_weights(self, *args, **kwargs):
        """Saves as `keras.Model.save_weights`."""
        self.refuse_quantized("saved")
        super().save_weights(*args, **kwargs)

    def save_pretrained(self, folder, overwrite=False, shard_size="50GB"):
        """Writes the task in Hugging Face's layout, atomically.

        Args:
            folder: str or path. New or empty, unless `overwrite`.
            overwrite: bool. If True, an existing folder is replaced.
            shard_size: int, in bytes, or str such as "500MB" or "5GB". Larger weights are written
                as several files and an index.
        Raises:
            FileExistsError: if `folder` has files and `overwrite` is False.
            OSError: if the disk is full. `folder` is then as it was.
            TypeError, ValueError: if `shard_size` is not such a size.
        """
        from lmzoo.hub import save_pretrained

        save_pretrained(self, folder, overwrite=overwrite, shard_size=shard_size)

    def export(self, folder, format=None, **kwargs):
        """Writes a model that needs no Python of lmzoo to run.

        Args:
            folder: str or path, new unless `overwrite=True`. A folder for a SavedModel, which takes
                text. A file that ends in .tflite, or for a `CausalLM` in .litertlm, for LiteRT.
            format: "tf_saved_model", "litert" or None. None is "litert" for such a file.
            **kwargs: see `lmzoo.export.export_saved_model` and `lmzoo.export.export_litert`.
        Returns:
            None, or of LiteRT the report of `export_litert`.
        Raises:
            FileExistsError: if `folder` exists and `overwrite` is not True.
            ValueError: if `format` is unknown.
        """
        from lmzoo.export import export_litert, export_saved_model

        if format is None:
            is_file = str(folder).endswith((".tflite", ".litertlm"))
            format = "litert" if is_file else "tf_saved_model"
        if format == "litert":
            return export_litert(self, folder, **kwargs)
        if format != "tf_saved_model":
            raise ValueError(
                "`format` must be 'tf_saved_model', 'litert' or None. Received: "
                f"format={format!r}. keras.Model.export(task, folder, format) writes the task on "
                "token batches."
            )
        return export_saved_model(self, folder, **kwargs)

    # The tokenizer's files are assets of a .keras file.

    def save_assets(self, folder):
        if self.tokenizer is not None:
            self.tokenizer.save(folder)

    def load_assets(self, folder):
        from lmzoo import tokenizers

        if self._tokenizer_class is None:
            return
        if self._tokenizer_class not in tokenizers.__all__:
            raise ValueError(
                f"`tokenizer` must be one of {', '.join(tokenizers.__all__)} or None. "
                f"Received: tokenizer={self._tokenizer_class!r}."
            )
        self.tokenizer = getattr(tokenizers, self._tokenizer_class).load(folder)

    def get_config(self):
        return {
            "backbone": keras.saving.serialize_keras_object(self.backbone),
            "tokenizer": type(self.tokenizer).__name__ if self.tokenizer is not None else None,
            "name": self.name,
        }

    @classmethod
    def from_config(cls, config):
        config = dict(config)
        tokenizer_class = config.pop("tokenizer")
        backbone = keras.saving.deserialize_keras_object(config.pop("backbone"))
        task = cls(backbone, **config)
        task._tokenizer_class = tokenizer_class
        return task


def _check_callbacks(callbacks):
    """Refuses a TensorBoard callback without TensorBoard, which would fail after an epoch."""
    listed = callbacks if isinstance(callbacks, list | tuple) else [callbacks]
    if not any(isinstance(callback, keras.callbacks.TensorBoard) for callback in listed):
        return
    try:
        found = importlib.util.find_spec("tensorboard")
    except ValueError:
        found = None
    if found is None:
        raise ImportError(
            "`callbacks` must not hold keras.callbacks.TensorBoard where tensorboard is not "
            "installed. Run `pip install lmzoo[tune]`, which brings it."
        )
