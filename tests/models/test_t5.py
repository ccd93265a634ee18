"""T5Backbone against a NumPy T5, and the laws that every way to call it must keep."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from lmzoo.models import T5Backbone
from tests.layers.reference import randomise
from tests.models import reference

RANDOM = np.random.default_rng(9)
# Heads are not a part of the width.
SIZES = {
    **reference.SIZES,
    **{"num_layers": 3, "num_decoder_layers": 2, "head_dim": 10},
    **{"num_buckets": 12, "max_distance": 9},
}
OPTIONS = {"t5": {}, "t5 1.1": {"activation": "gelu_tanh", "gated": True, "tied": False}}
slow = pytest.mark.slow
both = pytest.mark.parametrize("kind", OPTIONS)


@pytest.fixture(autouse=True)
def draw_the_same_whatever_ran_before():
    RANDOM.bit_generator.state = np.random.default_rng(9).bit_generator.state


@pytest.fixture(scope="module")
def models():
    """Each kind of model is made once; no test changes one."""
    return {kind: make_model(kind) for kind in OPTIONS}


def make_model(kind, dtype="float64", **options):
    model = T5Backbone(**{**SIZES, **OPTIONS[kind], **options}, dtype=dtype, name="t5")
    return randomise(model, deviation=0.2)


def some_ids(*shape):
    return RANDOM.integers(0, 101, shape).astype("int32")


def pair(source, target, source_mask=None, target_mask=None):
    inputs = {"encoder_token_ids": source, "decoder_token_ids": target}
    if source_mask is not None:
        inputs["encoder_padding_mask"] = source_mask
    if target_mask is not None:
        inputs["decoder_padding_mask"] = target_mask
    return inputs


@both
def test_states_and_logits_are_those_of_the_numpy_t5(models, kind):
    model, source, target = models[kind], some_ids(3, 11), some_ids(3, 7)
    # The first token of a target is always seen.
    masks = RANDOM.random((3, 11)) < 0.7, RANDOM.random((3, 7)) < 0.7
    masks[0][:, 0] = masks[1][:, 0] = True
    context, hidden, logits = reference.t5(model, source, target, *masks)
    ours = model(pair(source, target, *masks))
    np.testing.assert_allclose(ours["encoder_sequence_output"], context, rtol=0, atol=1e-10)
    np.testing.assert_allclose(ours["decoder_sequence_output"], hidden, rtol=0, atol=1e-10)
    ours = model.compute_logits(ours["decoder_sequence_output"])
    np.testing.assert_allclose(ours, logits, rtol=0, atol=1e-10)


@pytest.mark.quick("32-left-t5 1.1", "1-right-t5", "32-right-t5")
@both
@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("padding", [1, pytest.param(5, marks=slow), 32])
def test_padding_changes_nothing(models, kind, side, padding):
    model, source, target = models[kind], some_ids(2, 9), some_ids(2, 6)
    wanted = model(pair(source, target))
    for padded in ("encoder", "decoder"):
        ids = {"encoder": source, "decoder": target}
        widths = [(0, 0), (padding, 0) if side == "left" else (0, padding)]
        shape = ids[padded].shape
        mask = np.pad(np.ones(shape, bool), widths)
        # Padding is any token, so that one which is not masked is seen.
        ids[padded] = np.where(mask, np.pad(ids[padded], widths), some_ids(*mask.shape))
        inputs = {f"{name}_token_ids": value for name, value in ids.items()}
        outputs = model({**inputs, f"{padded}_padding_mask": mask})
        for name, value in wanted.items():
            got = outputs[name].numpy()
            assert np.isfinite(got).all()
            if name.startswith(padded):
                got = got[mask].reshape(value.shape)
            np.testing.assert_allclose(got, value, rtol=0, atol=1e-10)


def test_padding_changes_nothing_in_float32():
    model, source, target = make_model("t5", "float32"), some_ids(2, 9), some_ids(2, 6)
    wanted = model(pair(source, target))["decoder_sequence_output"]
    mask = np.pad(np.ones((2, 9), bool), [(0, 0), (0, 17)])
    got = model(pair(np.pad(source, [(0, 0), (0, 17)]), target, mask))["decoder_sequence_output"]
    np.testing.assert_allclose(got, wanted, rtol=0, atol=1e-5)


def test_a_batch_of_ragged_rows_is_its_single_rows(models):
    model, lengths = models["t5"], np.array([1, 2, 5, 9])
    source, target = some_ids(4, 9), some_ids(4, 9)
    # A long source has a short target.
    masks = np.arange(9) < lengths[:, None], np.arange(9) < lengths[::-1, None]
    batch = model(pair(source, target, *masks))["decoder_sequence_output"]
    for row, (long, short) in enumerate(zip(lengths, lengths[::-1], strict=True)):
        alone = model(pair(source[row : row + 1, :long], target[row : row + 1, :short]))
        alone = alone["decoder_sequence_output"]
        np.testing.assert_allclose(batch[row, :short], alone[0], rtol=0, atol=1e-10)


@pytest.mark.parametrize("dtype", ["float32", pytest.param("float64", marks=slow)])
def test_a_changed_token_of_the_target_leaves_what_stands_before_it_bit_equal(dtype):
    model, source, target = make_model("t5", dtype), some_ids(2, 9), some_ids(2, 8)
    before = model(pair(source, target))["decoder_sequence_output"].numpy()
    for index in (1, 4, 7):
        changed = target.copy()
        changed[:, index] = (changed[:, index] + 50) % 101
        after = model(pair(source, changed))["decoder_sequence_output"].numpy()
        np.testing.assert_array_equal(before[:, :index], after[:, :index])
        assert (before[:, index] != after[:, index]).any(axis=-1).all()


def test_every_token_of_the_source_is_seen_by_all(models):
    model, source, target = models["t5"], some_ids(1, 9), some_ids(1, 5)
    before = model(pair(source, target))
    changed = source.copy()
    changed[:, 8] = (changed[:, 8] + 50) % 101
    after = model(pair(changed, target))
    for name, value in before.items():
        assert (np.abs(after[name] - value).max(axis=-1) > 1e-9).all()


def run_in_pieces(model, source, target, pieces, num_slots, source_mask=None, target_mask=None):
    """The decoder's output for each piece, the cache handed from one to the next."""
    context = model.encode(source, source_mask)
    cache, start, outputs = model.make_cache(context, num_slots, source_mask), 0, []
    for length in pieces:
        place = slice(start, start + length)
        mask = None if target_mask is None else target_mask[:, place]
        hidden, cache = model.decode(target[:, place], mask, cache=cache, position=start)
        outputs.append(hidden)
        start += length
    return np.concatenate(outputs, axis=1), cache


@both
@pytest.mark.parametrize("pieces", [pytest.param([8], marks=slow), [3, 5], [1] * 8], ids=str)
def test_cached_is_uncached_in_one_piece_and_in_several(models, kind, pieces):
    model, source, target = models[kind], some_ids(3, 9), some_ids(3, 8)
    source_mask = np.arange(9) < np.array([[9], [3], [1]])
    plain = model(pair(source, target, source_mask))["decoder_sequence_output"]
    cached, cache = run_in_pieces(model, source, target, pieces, 11, source_mask)
    np.testing.assert_allclose(cached, plain, rtol=0, atol=1e-10)
    np.testing.assert_array_equal(cache["padding_mask"], [[True] * 8 + [False] * 3] * 3)


@pytest.mark.parametrize("pieces", [[3, 5], [1] * 8], ids=str)
def test_cached_is_uncached_under_padding(models, pieces):
    model, source, target = models["t5"], some_ids(3, 9), some_ids(3, 8)
    mask = np.arange(8) >= np.array([[0], [2], [6]])
    plain = model(pair(source, target, None, mask))["decoder_sequence_output"]
    cached, cache = run_in_pieces(model, source, target, pieces, 10, target_mask=mask)
    np.testing.assert_allclose(cached[mask], plain[mask], rtol=0, atol=1e-10)
    np.testing.assert_array_equal(cache["padding_mask"][:, :8], mask)


@slow
def test_sizes_may_be_unknown_in_a_graph(models):
    model, source, target = models["t5"], some_ids(2, 9), some_ids(2, 8)
    plain = model(pair(source, target))["decoder_sequence_output"]

    @tf.function(input_signature=[tf.TensorSpec((None, None), "int32")] * 2)
    def run(source, target):
        length = tf.shape(target)[1]
        cache = model.make_cache(model.encode(source), length + 2)
        prompt, cache = model.decode(target[:, :-1], cache=cache)
        step, _ = model.decode(target[:, -1:], cache=cache, position=length - 1)
        return tf.concat([prompt, step], axis=1)

    np.testing.assert_allclose(run(source, target), plain, rtol=0, atol=1e-10)


@slow
def test_compiled_by_xla_is_the_same(models):
    model, source, target = models["t5"], some_ids(2, 9), some_ids(2, 8)
    plain = model(pair(source, target))["decoder_sequence_output"]
    compiled = tf.function(lambda *ids: model(pair(*ids)), jit_compile=True)
    got = compiled(source, target)["decoder_sequence_output"]
    np.testing.assert_allclose(got, plain, rtol=0, atol=1e-10)


# A part of the largest logit. The gated model's bfloat16 errors are 0.9 to 1.2 % over five seeds,
# eight times float16's (0.09 to 0.18 %), as many as its three bits less make: beyond 1 %.
@pytest.mark.quick("t5-mixed_float16-*", "t5 1.1-mixed_bfloat16-*")
@pytest.mark.parametrize(
    ("kind", "policy", "tolerance"),
    [
        ("t5", "mixed_bfloat16", 1e-2),
        ("t5", "mixed_float16", 5e-3),
        ("t5 1.1", "mixed_bfloat16", 2e-2),
        ("t5 1.1", "mixed_float16", 5e-3),
    ],
)
def test_half_precision_stays_near_float32(kind, policy, tolerance):
    keras.utils.set_random_seed(1)
    mask = np.arange(9) >= np.array([[0], [3], [9]])
    inputs = pair(some_ids(3, 9), some_ids(3, 6), mask)
    full, half = (
        T5Backbone(**{**SIZES, **OPTIONS[kind]}, dtype=dtype) for dtype in ("float32", policy)
    )
    half.set_weights(full.get_weights())
    outputs = half(inputs)
    assert {each.dtype.name for each in outputs.values()} == {half.compute_dtype}
    logits = half.compute_logits(outputs["decoder_sequence_output"])
    expected = full.compute_logits(full(inputs)["decoder_sequence_output"]).numpy()
    assert logits.dtype == "float32"
    # The third source is padding throughout and must give finite numbers, no more.
    assert np.isfinite(logits).all()
    largest = np.abs(expected).max()
    np.testing.assert_allclose(logits[:2], expected[:2], rtol=0, atol=tolerance * largest)


def overflow_the_residual_path(model):
    """The first block of each stack adds some 1e5 to every position, as published T5s do."""
    for block in (model.encoder_blocks[0], model.decoder_blocks[0]):
        kernel = block.feed_forward.output_dense.kernel
        kernel.assign(kernel * 1e5)


def overflow_the_scores(model):
    """Queries and keys whose product is beyond 65504, although neither is.

    They are the same, so that each token likes itself best and rounding decides no tie.
    """
    for block in (model.encoder_blocks[0], model.decoder_blocks[0]):
        kernel = block.self_attention.query_key_value.kernel
        query, _, value = np.split(np.asarray(kernel), 3, axis=1)
        kernel.assign(np.concatenate([300 * query, 300 * query, value], axis=1))


def record_largest(model, monkeypatch):
    """The largest number that a block has been given, and the largest score of any attention."""
    from lmzoo.layers.attention import self_attention

    found = {"residual": 0.0, "score": 0.0}
    for block in [*model.encoder_blocks, *model.decoder_blocks]:

        def call(hidden, *args, old=block.call, **kwargs):
            found["residual"] = max(found["residual"], np.abs(hidden).max())
            return old(hidden, *args, **kwargs)

        monkeypatch.setattr(block, "call", call)
    attend = self_attention.attend

    def watch(query, key, *args, **kwargs):
        scores = np.asarray(query, "float64") @ np.asarray(key, "float64").swapaxes(2, 3)
        found["score"] = max(found["score"], np.abs(scores).max())
        return attend(query, key, *args, **kwargs)

    monkeypatch.setattr(self_attention, "attend", watch)
    return found


@pytest.mark.quick("overflow_the_residual_path-*")
@pytest.mark.parametrize("kind", [pytest.param("t5", marks=slow), "t5 1.1"])
@pytest.mark.parametrize(
    ("change", "what"),
    [(overflow_the_residual_path, "residual"), (overflow_the_scores, "score")],
    ids=lambda x: getattr(x, "__name__", x),
)
def test_numbers_beyond_float16_stay_finite_and_right(kind, change, what, monkeypatch):
    keras.utils.set_random_seed(2)
    full, half = (
        T5Backbone(**{**SIZES, **OPTIONS[kind], "head_dim": 64}, dtype=dtype)
        for dtype in ("float32", "mixed_float16")
    )
    change(full)
    half.set_weights(full.get_weights())
    inputs = pair(some_ids(3, 9), some_ids(3, 6))
    largest = record_largest(full, monkeypatch)
    expected = full.compute_logits(full(inputs)["decoder_sequence_output"]).numpy()
    assert largest[what] > 65504
    monkeypatch.undo()
    got = half.compute_logits(half(inputs)["decoder_sequence_output"]).numpy()
    assert np.isfinite(got).all()
    np.testing.assert_allclose(got, expected, rtol=0, atol=5e-3 * np.abs(expected).max())


def test_without_the_float32_path_float16_overflows(monkeypatch):
    keras.utils.set_random_seed(2)
    monkeypatch.setattr("lmzoo.layers.blocks.widen_policy", lambda policy: policy)
    monkeypatch.setattr("lmzoo.layers.feed_forward.widen_policy", lambda policy: policy)
    model = T5Backbone(**SIZES, dtype="mixed_float16")
    overflow_the_residual_path(model)
    outputs = model(pair(some_ids(3, 9), some_ids(3, 6)))
    assert not np.isfinite(outputs["encoder_sequence_output"]).all()


def test_the_middle_of_each_feed_forward_is_dropped_out_as_published():
    model = T5Backbone(**SIZES, dropout=0.3)
    blocks = [*model.encoder_blocks, *model.decoder_blocks]
    assert [block.feed_forward.dropout for block in blocks] == [0.3] * len(blocks)


def test_initial_weights_have_the_published_deviations():
    keras.utils.set_random_seed(0)
    model = T5Backbone(1000, 2, 2, 8, 64, 24, 160, tied=False, gated=True, initializer_factor=0.5)
    wanted = {
        "embeddings": 1.0,
        # As a dense layer of its own starts; embeddings that start at 1 are no such layer.
        "output_embeddings": 64**-0.5,
        "encoder_bias": 64**-0.5,
        "decoder_bias": 64**-0.5,
        "query": (64 * 24) ** -0.5,
        "key_value": 64**-0.5,
        "output": (8 * 24) ** -0.5,
        "intermediate": 64**-0.5,
        "gate": 64**-0.5,
        "feed_forward_output": 160**-0.5,
    }
    seen = set()
    for weight in model.weights:
        values, path = np.asarray(weight), weight.path
        if path.endswith("/scale"):
            assert (values == 1).all()
            continue
        parts = {path.split("/")[-1] if "token_embedding" in path else path.split("/")[-2]: values}
        if "query_key_value" in parts:
            query, key_value = np.split(values, [8 * 24], axis=1)
            parts = {"query": query, "key_value": key_value}
        elif "feed_forward/output" in path:
            parts = {"feed_forward_output": values}
        for name, part in parts.items():
            seen.add(name)
            # 256 draws of a bias, thousands of the rest.
            rtol = 0.15 if part.size < 1000 else 0.04
            np.testing.assert_allclose(part.std(), 0.5 * wanted[name], rtol=rtol, err_msg=path)
    assert seen == set(wanted)


@pytest.mark.parametrize("given", ["encoder_token_ids", "decoder_token_ids"])
def test_a_source_needs_a_target_and_a_target_a_source(models, given):
    other = {"encoder_token_ids": "decoder", "decoder_token_ids": "encoder"}[given]
    with pytest.raises(ValueError, match=f"Received: {given}, without `{other}_token_ids`"):
        models["t5"]({given: some_ids(2, 3)})


@slow
def test_training_in_half_precision_follows_float32():
    # Slowly enough not to learn by heart: the losses of such a model differ by chance.
    source, target = some_ids(24, 12), some_ids(24, 9)
    inputs = pair(source, np.pad(target[:, :-1], [(0, 0), (1, 0)]))
    curves = {}
    for policy in ("float32", "mixed_bfloat16", "mixed_float16"):
        keras.utils.set_random_seed(3)
        model = T5Backbone(**{**SIZES, **OPTIONS["t5 1.1"]}, dropout=0.0, dtype=policy)
        overflow_the_residual_path(model)
        curves[policy] = train(model, inputs, target, num_steps=200)
    full = curves.pop("float32")
    assert 0.1 * full[0] < full[-1] < 0.8 * full[0]
    for curve in curves.values():
        assert np.isfinite(curve).all()
        np.testing.assert_allclose(curve[::10], full[::10], rtol=0.02)


def train(model, inputs, labels, num_steps):
    optimizer = keras.optimizers.Adam(2e-4)
    if model.compute_dtype == "float16":
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    optimizer.build(model.trainable_variables)

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            hidden = model(inputs, training=True)["decoder_sequence_output"]
            logits = model.compute_logits(hidden)
            loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits))
            scaled = optimizer.scale_loss(loss)
        variables = model.trainable_variables
        optimizer.apply(tape.gradient(scaled, [v.value for v in variables]), variables)
        return loss

    return np.array([step().numpy() for _ in range(num_steps)])
