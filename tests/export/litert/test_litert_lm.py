"""LiteRT-LM, as it is, gives the texts of `generate`."""

import numpy as np
import pytest

import lmzoo
from tests.export.tiny_lm import TEXT, make_task

PROMPTS = (
    *("a cat sat on", "the rat ate", "that hat,", "a", "the cat's other hat on the mat."),
    *("on the mat and", "x y z", "Then the", "a cat, a hat", "hat "),
)


def complete(lm, folder):
    """For each prompt: LiteRT-LM's ids, its completion, and that of `generate`."""
    litert_lm = pytest.importorskip("litert_lm", reason="needs `pip install litert-lm-api`")
    path = folder / "lm.litertlm"
    lm.export(path, prefill_lengths=(4, 8), decode_windows=(16,), verbose=False)
    litert_lm.set_min_log_severity(litert_lm.LogSeverity.ERROR)
    engine = litert_lm.Engine(str(path), backend=litert_lm.Backend.CPU())
    results = []
    texts = lm.generate(PROMPTS, max_new_tokens=64, return_prompt=False)
    for prompt, wanted in zip(PROMPTS, texts, strict=True):
        with engine.create_session() as session:
            session.run_prefill([prompt])
            completion = session.run_decode().texts[0]
        results.append((engine.tokenize(prompt), completion, wanted))
    engine.close()
    return results


def test_texts_of_byte_pairs_are_those_of_generate(tmp_path):
    tokenizer = lmzoo.tokenizers.BytePairTokenizer.train(iter([TEXT] * 9), 285)
    for prompt, (ids, found, wanted) in zip(
        PROMPTS, complete(make_task(tokenizer), tmp_path), strict=True
    ):
        assert ids == tokenizer.tokenize(prompt).numpy().tolist()
        assert found == wanted


def test_texts_of_sentence_piece_are_those_of_generate_but_for_a_first_space(tmp_path):
    """LiteRT-LM decodes the new ids alone, and SentencePiece's decoder drops a first space."""
    sentencepiece = pytest.importorskip("sentencepiece")
    tokenizer = lmzoo.tokenizers.SentencePieceTokenizer.train(
        iter([TEXT] * 30), 60, num_sentinels=0
    )
    backbone = lmzoo.models.GPTBackbone(tokenizer.vocabulary_size, 2, 2, 16, max_sequence_length=32)
    random = np.random.default_rng(1)
    for weight in backbone.weights:
        weight.assign(random.normal(size=weight.shape) * 0.7)
    results = complete(lmzoo.tasks.CausalLM(backbone, tokenizer), tmp_path)
    for prompt, (ids, found, wanted) in zip(PROMPTS, results, strict=True):
        assert ids == tokenizer.tokenize(prompt).numpy().tolist()
        assert found == wanted.removeprefix(" ")
    # Some have the space, some have none.
    assert 0 < sum(wanted.startswith(" ") for _, _, wanted in results) < len(PROMPTS)
    reader = sentencepiece.SentencePieceProcessor(model_proto=tokenizer._vocabulary.data)
    ids = reader.encode("hat")
    assert reader.id_to_piece(ids[0]).startswith("\u2581") and reader.decode(ids) == "hat"


def test_sampling_and_the_chat_template_are_metadata(tmp_path):
    pytest.importorskip("litert_lm_builder", reason="needs `pip install lmzoo[litert]`")
    from litert_lm_builder.runtime.proto import llm_metadata_pb2

    from lmzoo.export.litert.litertlm import make_llm_metadata
    from lmzoo.export.litert.manifest import make_manifest

    tokenizer = lmzoo.tokenizers.BytePairTokenizer.train(iter([TEXT] * 9), 285)
    tokenizer.chat_template = "{{ messages }}"
    options = {"temperature": 0.5, "top_k": 7, "top_p": 0.75, "seed": 3}
    manifest, _ = make_manifest(make_task(tokenizer), None, 32, options)
    metadata = llm_metadata_pb2.LlmMetadata.FromString(make_llm_metadata(manifest, tokenizer))
    sampler = metadata.sampler_params
    found = (sampler.temperature, sampler.k, sampler.p, sampler.seed)
    assert found == (0.5, 7, 0.75, 3)
    assert metadata.jinja_prompt_template == "{{ messages }}"
    assert metadata.max_num_tokens == 32
    assert [list(stop.token_ids.ids) for stop in metadata.stop_tokens] == [[0]]
    assert not metadata.HasField("start_token")
