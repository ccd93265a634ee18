"""Options of `generate`, split into static options and tensors."""

import dataclasses

import tensorflow as tf

from lmzoo.generation.selection import StaticOptions
from lmzoo.runtime.generation import options as checked
from lmzoo.runtime.generation.options import NUMBERS, differs

__all__ = ["GenerationOptions"]

_DTYPES = {int: tf.int32, float: tf.float32}


@dataclasses.dataclass(frozen=True)
class GenerationOptions(checked.GenerationOptions):
    # The same options; what follows turns them into tensors.
    __doc__ = checked.GenerationOptions.__doc__

    def make_static_options(self, end_token_ids, max_sequence_length):
        """What is fixed when the graph is traced.

        Args:
            end_token_ids: tuple of int.
            max_sequence_length: int. No text is longer, so larger n-grams cannot come twice.
        """
        ngram_size = int(self.no_repeat_ngram_size)
        return StaticOptions(
            end_token_ids=tuple(dict.fromkeys(end_token_ids)),
            sampled=self.is_sampled,
            repetition=differs(self.repetition_penalty, 1) or differs(self.presence_penalty, 0),
            min_new_tokens=differs(self.min_new_tokens, 0),
            no_repeat_ngram_size=ngram_size if ngram_size <= max_sequence_length else 0,
            bad_words=bool(self.bad_words),
            stop=bool(self.stop_strings),
        )

    def make_signature(self):
        """The `tf.TensorSpec` of each tensor that `make_parameters` gives, for any batch size."""
        dtypes = {name: _DTYPES[kind] for name, kind in NUMBERS.items()} | {"rng_stream": tf.int32}
        return {name: tf.TensorSpec([None], dtype, name) for name, dtype in dtypes.items()}

    def make_parameters(self, batch_size):
        """The numbers of each prompt, as a dict of tensors (B,).

        Raises:
            ValueError: if a list has not one number for each prompt.
        """
        parameters = {
            name: tf.constant(self.list_numbers(name, batch_size), _DTYPES[kind])
            for name, kind in NUMBERS.items()
        }
        # With one seed for all, a prompt draws by its index; with its own, by nothing else.
        own = isinstance(self.seed, (list, tuple))
        parameters["rng_stream"] = tf.zeros([batch_size], tf.int32) if own else tf.range(batch_size)
        return parameters
