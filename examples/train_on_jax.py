"""Trains a small GPT on Keras's JAX backend, its batches or its weights spread over devices.

`lmzoo.layers` and `lmzoo.models` use nothing but Keras, so they run on its other backends; tasks
and `lmzoo.data` are TensorFlow's. Here the letters of this Python's own documentation are tokens.
The devices are virtual ones of the processor, as many as `--devices` says.

Run `python examples/train_on_jax.py --parallel model`. It needs `pip install jax`.
"""

import argparse
import os


def parse():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("--parallel", choices=("none", "data", "model"), default="data")
    parser.add_argument("--devices", type=int, default=4, metavar="N")
    parser.add_argument("--steps", type=int, default=300, metavar="N")
    parser.add_argument("--smoke", action="store_true", help="a tiny model and few steps")
    return parser.parse_args()


def read_examples(length, num_examples):
    """Letters of the documentation as ids below 128: inputs and labels, int32 (N, T)."""
    from pydoc_data.topics import topics

    import numpy as np

    text = "\n\n".join(topics.values()).encode("ascii", "ignore")
    letters = np.frombuffer(text, np.uint8).astype("int32")
    starts = np.random.default_rng(0).integers(0, len(letters) - length, num_examples)
    # (N, T + 1) -> (N, T), (N, T)
    windows = letters[starts[:, None] + np.arange(length + 1)]
    return windows[:, :-1], windows[:, 1:]


def distribute(parallel):
    """Spreads what is made and trained from now on over all devices; None if it is not spread."""
    import keras

    if parallel == "none":
        return None
    devices = keras.distribution.list_devices()
    if parallel == "data":
        found = keras.distribution.DataParallel(devices=devices)
    else:
        # Half of the devices share the batch, and each pair shares the matrices.
        shape = (len(devices) // 2, 2)
        mesh = keras.distribution.DeviceMesh(shape, ("batch", "model"), devices)
        layout = keras.distribution.LayoutMap(mesh)
        # Kernels are (in, out): what goes into heads and inner units is divided by columns, what
        # comes out of them by rows.
        layout[".*(query_key_value|intermediate)/kernel"] = (None, "model")
        layout[".*output/kernel"] = ("model", None)
        layout[".*token_embedding/embeddings"] = ("model", None)
        found = keras.distribution.ModelParallel(layout_map=layout, batch_dim_name="batch")
    keras.distribution.set_distribution(found)
    return found


def make_model(length, smoke):
    """A Keras model from letters to logits: the backbone and its tied output matrix."""
    import keras

    from lmzoo.models import GPTBackbone

    sizes = {"num_layers": 4, "num_heads": 4, "hidden_dim": 128}
    if smoke:
        sizes = {"num_layers": 1, "num_heads": 2, "hidden_dim": 16}
    backbone = GPTBackbone(128, max_sequence_length=length, **sizes)

    class LanguageModel(keras.Model):
        def __init__(self):
            super().__init__()
            self.backbone = backbone

        def call(self, token_ids, training=None):
            mask = keras.ops.ones_like(token_ids, dtype="bool")
            inputs = {"token_ids": token_ids, "padding_mask": mask}
            return self.backbone.compute_logits(self.backbone(inputs, training=training))

    return LanguageModel()


def main():
    arguments = parse()
    os.environ["KERAS_BACKEND"] = "jax"
    flag = f"--xla_force_host_platform_device_count={arguments.devices}"
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {flag}".strip()
    import keras

    keras.utils.set_random_seed(0)
    length, batch_size = (16, 8) if arguments.smoke else (128, 16)
    steps = 4 if arguments.smoke else arguments.steps
    distribution = distribute(arguments.parallel)
    model = make_model(length, arguments.smoke)
    model.compile(
        keras.optimizers.AdamW(1e-3, global_clipnorm=1.0),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    inputs, labels = read_examples(length, batch_size * steps)
    history = model.fit(inputs, labels, batch_size=batch_size, shuffle=False, verbose=0)
    print(f"{arguments.parallel}: {len(keras.distribution.list_devices())} virtual devices")
    if distribution is not None:
        divided = [weight for weight in model.weights if is_divided(weight)]
        print(f"{len(divided)} of {len(model.weights)} weights are divided among devices")
    print(f"mean loss of {steps} steps: {history.history['loss'][-1]:.6f}")


def is_divided(weight):
    """Whether no device has the whole of a weight."""
    return not weight.value.sharding.is_fully_replicated


if __name__ == "__main__":
    main()
