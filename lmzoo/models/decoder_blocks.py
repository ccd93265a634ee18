"""The causal mask and the stack of blocks that decoders share, with a cache or without."""

from keras import ops

from lmzoo.layers.attention.cache import write_mask
from lmzoo.layers.attention.masks import make_causal_mask, make_padding_mask
from lmzoo.layers.contexts import call_block
from lmzoo.layers.rematerialization import rematerialize

__all__ = ["make_decoder_mask", "run_decoder_blocks"]


def make_decoder_mask(token_ids, padding_mask=None, cache=None, position=0):
    """Lets each token attend to the real tokens up to itself.

    Args:
        token_ids: int (B, T).
        padding_mask: bool (B, T), True for real tokens, or None if all are.
        cache: dict with `blocks` and `padding_mask` bool (B, S), True where a slot holds a real
            token; or None. Without padding in any slot up to the new ones its mask may be None.
        position: int or scalar int tensor. The cache slot of the first token.
    Returns:
        attention_mask bool (B or 1, T, S), S being T without a cache; and the padding mask of all
        slots with the new tokens, bool (B, S), or None where there is none.
    Raises:
        ValueError: if there is a `padding_mask`, and a cache whose own is None.
    """
    length, slots = ops.shape(token_ids)[1], None
    if cache is not None and cache["padding_mask"] is None:
        _check_no_padding(padding_mask)
        num_slots = cache["blocks"][0]["self"]["key"].shape[2]
        return make_causal_mask(length, num_slots, position), None
    if cache is not None:
        if padding_mask is None:
            padding_mask = ops.ones_like(token_ids, dtype="bool")
        padding_mask = slots = write_mask(cache["padding_mask"], padding_mask, position)
    num_slots = length if padding_mask is None else ops.shape(padding_mask)[1]
    attention_mask = make_causal_mask(length, num_slots, position)
    if padding_mask is not None:
        attention_mask = ops.logical_and(attention_mask, make_padding_mask(padding_mask))
    return attention_mask, slots


def _check_no_padding(padding_mask):
    if padding_mask is not None:
        raise ValueError(
            "`padding_mask` must be None where the cache has none. Received: padding_mask of shape "
            f"{tuple(padding_mask.shape)}."
        )


def run_decoder_blocks(blocks, hidden, caches=None, window=None, remat=False, **kwargs):
    """Sends hidden states through all blocks of a decoder.

    Args:
        blocks: list of `TransformerBlock`.
        hidden: float (B, T, D).
        caches: list of one cache for each block, or None.
        window: int or None. How many tokens the mask lets each token attend to, itself included.
        remat: bool. Whether, in training, the backward pass computes the blocks again.
        **kwargs: further call arguments of the blocks.
    Returns:
        float (B, T, D), and the list of updated caches, empty without `caches`.
    """
    if caches is None:
        kwargs["reach"] = (None if window is None else window - 1, 0)
        for block in blocks:
            if remat and kwargs.get("training"):
                hidden = rematerialize(block, hidden, **kwargs)
            else:
                hidden = call_block(block, hidden, **kwargs)
        return hidden, []
    new_caches = []
    for block, cache in zip(blocks, caches, strict=True):
        hidden, new_cache = call_block(block, hidden, cache=cache, **kwargs)
        new_caches.append(new_cache)
    return hidden, new_caches
