"""CausalLM as a Keras model: what it computes, learns, scores and keeps."""

import json
import zipfile

import keras
import numpy as np
import pytest
import tensorflow as tf

from lmzoo.models import GPTBackbone
from lmzoo.tasks import CausalLM
from lmzoo.tokenizers import BytePairTokenizer


def compute_log_probs(lm, ids):
    """log p of each id but the first, in NumPy float64 from the model's logits."""
    logits = lm({"token_ids": np.array([ids])})[0].numpy().astype("float64")
    logits -= logits.max(-1, keepdims=True)
    log_probs = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    return log_probs[np.arange(len(ids) - 1), ids[1:]]


def test_logits_have_a_score_for_every_word_in_float32(make_lm):
    lm = make_lm(dtype="mixed_bfloat16")
    logits = lm({"token_ids": np.zeros((2, 5), "int32")})
    assert logits.shape == (2, 5, 400)
    assert logits.dtype == "float32"


def test_a_tokenizer_with_more_words_than_embeddings_is_refused(tokenizer):
    backbone = GPTBackbone(300, num_layers=1, num_heads=2, hidden_dim=8, max_sequence_length=8)
    with pytest.raises(ValueError, match=r"tokenizer.vocabulary_size=400.*vocabulary_size=300"):
        CausalLM(backbone, tokenizer)


def test_training_lowers_the_loss_and_generation_then_repeats_the_text(tokenizer):
    keras.utils.set_random_seed(0)
    text = "def main(argument):\n    return argument + 1\n"
    ids = tokenizer.tokenize(text).numpy()
    backbone = GPTBackbone(400, num_layers=1, num_heads=4, hidden_dim=64, max_sequence_length=64)
    lm = CausalLM(backbone, tokenizer)
    lm.compile(optimizer=keras.optimizers.Adam(3e-3))
    batch = tf.data.Dataset.from_tensors(({"token_ids": ids[None, :-1]}, ids[None, 1:]))
    assert lm.evaluate(batch, verbose=0)[0] > 4
    lm.fit(batch.repeat(60), verbose=0)
    assert lm.evaluate(batch, verbose=0)[0] < 0.1
    assert lm.generate("def", max_new_tokens=len(ids) - 1) == text


def test_fit_and_evaluate_compile_a_model_that_was_not(make_lm, batches):
    lm = make_lm()
    history = lm.fit(batches.take(2), validation_data=batches.take(2), verbose=0).history
    assert isinstance(lm.optimizer, keras.optimizers.AdamW)
    assert set(history) == {"loss", "val_loss", "val_perplexity"}


def test_vectors_are_not_decayed(make_lm):
    lm = make_lm()
    lm.compile()
    decayed = [v.path for v in lm.trainable_variables if lm.optimizer._use_weight_decay(v)]
    assert len(decayed) == 2 + 4
    assert all(path.endswith(("kernel", "embeddings")) for path in decayed)


def test_an_epoch_length_of_its_own_goes_round_a_finite_dataset(make_lm, batches):
    lm = make_lm()
    history = lm.fit(batches.take(3), steps_per_epoch=4, epochs=2, verbose=0).history
    assert len(history["loss"]) == 2


def test_evaluate_gives_the_perplexity_of_all_tokens(make_lm, batches):
    lm = make_lm()
    evaluated = lm.evaluate(batches.take(3), return_dict=True, verbose=0)
    total, count = 0.0, 0
    for inputs, labels in batches.take(3):
        rows = np.concatenate([inputs["token_ids"], labels[:, -1:]], axis=1)
        for row in rows:
            total -= compute_log_probs(lm, row).sum()
            count += len(row) - 1
    assert evaluated["perplexity"] == pytest.approx(np.exp(total / count), rel=1e-5)
    assert evaluated["loss"] == pytest.approx(total / count, rel=1e-5)


def test_perplexity_counts_each_token_by_its_weight(make_lm, batches):
    lm = make_lm()
    inputs, labels = next(iter(batches))
    weights = np.zeros((4, 16), "float32")
    weights[:, :3] = 1.0
    evaluated = lm.evaluate(inputs, labels, sample_weight=weights, return_dict=True, verbose=0)
    rows = np.concatenate([inputs["token_ids"], labels[:, -1:]], axis=1)
    wanted = -np.mean([compute_log_probs(lm, row)[:3] for row in rows])
    assert evaluated["perplexity"] == pytest.approx(np.exp(wanted), rel=1e-5)


def test_score_is_the_log_probability_of_each_token_after_its_prompt(lm, tokenizer):
    texts, prompts = ["The fox", "argument + 1", ""], ["def main(", "", "The"]
    scores = lm.score(texts, prompts, batch_size=2)
    for text, prompt, score in zip(texts, prompts, scores, strict=True):
        before = tokenizer.tokenize(prompt).numpy().tolist() or [tokenizer.start_token_id]
        ids = tokenizer.tokenize(text).numpy().tolist()
        wanted = compute_log_probs(lm, before + ids)[len(before) - 1 :]
        assert score.shape == (len(ids),)
        np.testing.assert_allclose(score, wanted, atol=1e-4)


def make_starting(make_lm, tokenizer):
    """A model whose prompts begin with the start token, as Llama's."""
    parts = tokenizer._vocabulary
    starting = BytePairTokenizer(parts.ids, parts.merges, add_start_token=True)
    return make_lm(tokenizer=starting)


def test_a_prompt_begins_with_the_start_token_where_the_tokenizer_says_so(
    make_lm, tokenizer, eagerly
):
    lm, ids_lm = make_starting(make_lm, tokenizer), make_lm(tokenizer=None)
    start = tokenizer.start_token_id
    prompts = ["The fox", "", "def main("]
    ids = [[start, *tokenizer.tokenize(prompt).numpy().tolist()] for prompt in prompts]
    token_ids, mask = lm.encode_prompts(tf.constant(prompts))
    assert [
        row[real].tolist() for row, real in zip(token_ids.numpy(), mask.numpy(), strict=True)
    ] == ids
    texts = lm.generate(prompts, max_new_tokens=9, return_prompt=False)
    wanted = ids_lm.generate(ids, max_new_tokens=9, return_prompt=False)
    stopped = [row[: row.index(start)] if start in row else row for row in wanted]
    assert texts == [tokenizer.detokenize(row).numpy().decode() for row in stopped]
    assert "".join(lm.stream(prompts[0], max_new_tokens=9)) == texts[0]
    (score,) = lm.score(["argument"], prompts[:1])
    whole = ids[0] + tokenizer.tokenize("argument").numpy().tolist()
    np.testing.assert_allclose(score, compute_log_probs(lm, whole)[len(ids[0]) - 1 :], atol=1e-4)
    assert lm.tokenizer.tokenize("The fox").numpy().tolist() == ids[0][1:]


def test_score_without_prompts_starts_a_document(lm, tokenizer):
    (score,) = lm.score(["The fox"])
    ids = [tokenizer.start_token_id, *tokenizer.tokenize("The fox").numpy()]
    np.testing.assert_allclose(score, compute_log_probs(lm, ids), atol=1e-4)
    np.testing.assert_array_equal(lm.score("The fox"), score)


def test_score_refuses_texts_beyond_the_context_and_lists_that_do_not_match(lm):
    with pytest.raises(ValueError, match=r"context of 64 tokens. Received: text 1 of \d+ tokens"):
        lm.score(["a", "fox jumps " * 60])
    with pytest.raises(ValueError, match="1 prompts, 2 texts"):
        lm.score(["a", "b"], ["c"])


def test_a_keras_file_brings_back_weights_tokenizer_and_optimizer(make_lm, batches, tmp_path):
    lm = make_lm()
    lm.compile()
    lm.fit(batches.take(3), verbose=0)
    lm.save(tmp_path / "lm.keras")
    again = keras.models.load_model(tmp_path / "lm.keras")
    for one, other in zip(lm.variables, again.variables, strict=True):
        np.testing.assert_array_equal(one.numpy(), other.numpy())
    assert again.generate("def", max_new_tokens=5) == lm.generate("def", max_new_tokens=5)
    assert again.optimizer.iterations.numpy() == 3
    for one, other in zip(lm.optimizer.variables, again.optimizer.variables, strict=True):
        np.testing.assert_array_equal(one.numpy(), other.numpy())
    decayed = [v.path for v in again.trainable_variables if again.optimizer._use_weight_decay(v)]
    assert len(decayed) == 2 + 4
    losses = [model.fit(batches.take(2), verbose=0).history["loss"] for model in (lm, again)]
    assert losses[0] == losses[1]


def test_a_keras_file_cannot_name_a_class_that_is_no_tokenizer(make_lm, tmp_path):
    make_lm().save(tmp_path / "lm.keras")
    with zipfile.ZipFile(tmp_path / "lm.keras") as old:
        entries = {name: old.read(name) for name in old.namelist()}
    config = json.loads(entries["config.json"])
    config["config"]["tokenizer"] = "os"
    entries["config.json"] = json.dumps(config).encode()
    with zipfile.ZipFile(tmp_path / "bad.keras", "w") as new:
        for name, data in entries.items():
            new.writestr(name, data)
    with pytest.raises(ValueError, match="tokenizer='os'"):
        keras.models.load_model(tmp_path / "bad.keras")


def test_a_keras_file_without_a_tokenizer_works_on_ids(make_lm, tmp_path):
    lm = make_lm(tokenizer=None)
    lm.save(tmp_path / "lm.keras")
    again = keras.models.load_model(tmp_path / "lm.keras")
    assert again.tokenizer is None
    assert again.generate([[1, 2]], max_new_tokens=4) == lm.generate([[1, 2]], max_new_tokens=4)


def test_export_knows_one_format(lm, tmp_path):
    with pytest.raises(ValueError, match="format='onnx'"):
        lm.export(tmp_path / "out", format="onnx")
    assert not (tmp_path / "out").exists()


def test_a_functional_model_can_hold_a_task(make_lm):
    lm = make_lm()
    token_ids = keras.Input([None], dtype="int32")
    model = keras.Model(token_ids, lm({"token_ids": token_ids}))
    ids = np.array([[3, 1, 4]])
    np.testing.assert_allclose(model(ids), lm({"token_ids": ids}), atol=1e-6)


@pytest.mark.quick("mixed_float16")
@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision_trains_to_finite_losses(make_lm, batches, policy):
    lm = make_lm(dtype=policy)
    lm.compile()
    losses = lm.fit(batches, epochs=2, verbose=0).history["loss"]
    assert np.isfinite(losses).all()
    assert losses[1] < losses[0]
    assert all(tf.reduce_all(tf.math.is_finite(v.value)) for v in lm.trainable_variables)
