"""`generate` and `stream`: texts in, texts out."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from lmzoo.generation import GenerationOptions
from lmzoo.generation.generator import Generator
from lmzoo.generation.pipeline import encode_batch
from lmzoo.generation.text_generation import check_defaults, merge_options
from lmzoo.tasks import CausalLM

PROMPTS = ["def main(", "", "我喜欢编程。", "The quick brown"]
BEAMS = {"num_beams": 3, "length_penalty": 0.0, "max_new_tokens": 8}


def count_traces(lm):
    """How often anything of the task has been traced."""
    functions = []
    for graph in lm.graphs.values():
        functions += graph if isinstance(graph, tuple) else [graph]
    return sum(function.experimental_get_tracing_count() for function in functions)


def test_a_string_gives_a_string_and_a_list_a_list(lm):
    one = lm.generate("def main(", max_new_tokens=4)
    assert isinstance(one, str)
    assert lm.generate(["def main("], max_new_tokens=4) == [one]
    assert lm.generate([], max_new_tokens=4) == []


def test_a_batch_of_ragged_prompts_gives_what_each_gives_alone(lm):
    together = lm.generate(PROMPTS, max_new_tokens=12)
    assert together == [lm.generate(prompt, max_new_tokens=12) for prompt in PROMPTS]


def test_the_prompt_comes_first_unless_it_is_left_out(lm):
    whole = lm.generate(PROMPTS, max_new_tokens=6)
    new = lm.generate(PROMPTS, max_new_tokens=6, return_prompt=False)
    assert whole == [prompt + text for prompt, text in zip(PROMPTS, new, strict=True)]


def test_greedy_tokens_are_those_of_the_uncached_model(make_lm):
    lm = make_lm(tokenizer=None)
    ids = [5, 7, 11]
    for _ in range(20):
        ids.append(int(np.argmax(lm({"token_ids": np.array([ids])})[0, -1])))
    assert lm.generate([5, 7, 11], max_new_tokens=20) == ids


def test_ids_in_ids_out_without_a_tokenizer(make_lm):
    lm = make_lm(tokenizer=None)
    both = lm.generate([[1, 2, 3], [4]], max_new_tokens=3)
    assert [len(row) for row in both] == [6, 4]
    assert lm.generate(np.array([1, 2, 3]), max_new_tokens=3) == both[0]
    with pytest.raises(ValueError, match="Received: an empty prompt"):
        lm.generate([[]])
    with pytest.raises(ValueError, match="`stop_strings` needs a task with a tokenizer"):
        lm.generate([[1]], stop_strings="a")
    with pytest.raises(ValueError, match="`stream` needs a tokenizer"):
        lm.stream("a")


def test_the_score_is_the_log_probability_of_the_new_tokens(make_lm):
    lm = make_lm(tokenizer=None)
    ids, score = lm.generate([5, 7], max_new_tokens=9, return_scores=True)
    assert score == pytest.approx(lm.score([ids[2:]], [[5, 7]])[0].sum(), abs=1e-4)


def test_the_same_seed_gives_the_same_texts_and_another_seed_others(lm):
    def draw(seed):
        return lm.generate(PROMPTS, max_new_tokens=8, temperature=1.0, seed=seed)

    assert draw(1) == draw(1)
    assert draw(1) != draw(2)
    assert lm.generate("a", temperature=1.0) != lm.generate("a", temperature=1.0)


def test_a_row_with_its_own_seed_draws_the_same_wherever_it_stands(lm):
    def draw(prompts, seed):
        return lm.generate(prompts, max_new_tokens=8, top_p=0.9, seed=seed)

    together = draw(PROMPTS, [1, 2, 3, 4])
    for index, prompt in enumerate(PROMPTS):
        assert draw([prompt], [index + 1]) == [together[index]]


def test_equal_prompts_in_a_batch_are_drawn_apart(lm):
    first, second = lm.generate(["The", "The"], max_new_tokens=8, temperature=1.0, seed=1)
    assert first != second


def test_each_row_may_have_its_own_numbers(lm):
    both = lm.generate(
        ["The", "The", "The"], max_new_tokens=[8, 3, 0], temperature=[0.0, 1.0, 0.0], seed=3
    )
    assert both[0] == lm.generate("The", max_new_tokens=8)
    assert lm.generate("The", max_new_tokens=3, temperature=1.0, seed=3) != both[1] != both[0]
    assert both[2] == "The"


def test_several_results_for_each_prompt_come_as_lists(lm):
    texts, scores = lm.generate(
        PROMPTS[:2],
        max_new_tokens=8,
        temperature=1.0,
        seed=5,
        num_return_sequences=3,
        return_scores=True,
    )
    assert scores.shape == (2, 3)
    assert all(len(set(row)) == 3 for row in texts)
    assert all(text.startswith("def main(") for text in texts[0])


def test_beams_are_ranked_and_the_first_is_no_worse_than_greedy(lm):
    texts, scores = lm.generate(
        "The", num_beams=4, num_return_sequences=4, max_new_tokens=6, return_scores=True
    )
    assert (np.diff(scores) <= 0).all()
    _, greedy = lm.generate("The", max_new_tokens=6, return_scores=True)
    assert scores[0] * 6 >= greedy - 1e-4
    assert len(set(texts)) == 4


def test_a_text_ends_before_a_stop_string_even_inside_a_token(lm):
    whole = lm.generate(PROMPTS, max_new_tokens=20, return_prompt=False)
    stop = whole[0][3:5]
    cut = lm.generate(PROMPTS, max_new_tokens=20, return_prompt=False, stop_strings=[stop, "@@"])
    assert cut == [text.split(stop)[0] for text in whole]


def test_bad_words_never_come(make_lm, lm, tokenizer):
    by_ids = make_lm(tokenizer=None)
    prompt = tokenizer.tokenize("The").numpy().tolist()
    new = by_ids.generate(prompt, max_new_tokens=20)[len(prompt) :]
    texts = tokenizer.detokenize([[token_id] for token_id in new]).numpy()
    token_id, word = next(
        (token_id, text.decode())
        for token_id, text in zip(new, texts, strict=True)
        if text.isascii() and tokenizer.tokenize(text).numpy().tolist() == [token_id]
    )
    with_space = tokenizer.tokenize(" " + word).numpy().tolist()
    ids = list(prompt)
    for _ in range(20):
        logits = by_ids({"token_ids": np.array([ids])})[0, -1].numpy()
        logits[token_id] = -np.inf
        if with_space[:-1] == ids[len(ids) - len(with_space) + 1 :]:
            logits[with_space[-1]] = -np.inf
        ids.append(int(np.argmax(logits)))
    wanted = tokenizer.detokenize(ids).numpy().decode()
    assert lm.generate("The", max_new_tokens=20, bad_words=[word]) == wanted
    assert lm.generate("The", max_new_tokens=20) != wanted


@pytest.mark.parametrize(
    "options",
    [
        {"top_p": 0.8, "top_k": 20, "seed": 1},
        pytest.param({}, marks=pytest.mark.slow),
        pytest.param({"temperature": 1.0, "seed": 1}, marks=pytest.mark.slow),
        pytest.param({"num_beams": 2}, marks=pytest.mark.slow),
        pytest.param(
            {"repetition_penalty": 1.3, "no_repeat_ngram_size": 2}, marks=pytest.mark.slow
        ),
    ],
)
def test_xla_changes_no_text(lm, options):
    plain = lm.generate(PROMPTS, max_new_tokens=8, jit_compile=False, **options)
    assert lm.generate(PROMPTS, max_new_tokens=8, jit_compile=True, **options) == plain


def test_lengths_batches_and_numbers_trace_nothing_new(make_lm):
    lm = make_lm()
    lm.generate("The", max_new_tokens=4, temperature=0.5, seed=1)
    before = count_traces(lm)
    lm.generate(PROMPTS, max_new_tokens=9, temperature=0.7, top_k=3, seed=2)
    lm.generate(["The quick brown fox. " * 3] * 7, max_new_tokens=1, top_p=0.5)
    assert count_traces(lm) == before
    lm.generate("The", max_new_tokens=4)  # greedy alone is a graph of its own
    assert count_traces(lm) == before + 1


@pytest.mark.slow
def test_xla_compiles_once_for_each_pair_of_buckets(make_lm):
    lm = make_lm(tokenizer=None)
    lm.generate([[1] * 3], max_new_tokens=2, jit_compile=True)
    (graph,) = (graph for key, graph in lm.graphs.items() if key[0] == "generate")
    seen = set()
    for length in range(1, 34):
        ids = [[1] * length]
        tokens, mask = encode_batch(lm, ids)
        seen.add(padded_length(lm, tokens, mask))
        if length in (16, 17):  # A program takes seconds to be compiled.
            lm.generate(ids, max_new_tokens=2, jit_compile=True)
    assert seen == {16, 32, 64}
    assert graph.experimental_get_tracing_count() == 1


def padded_length(lm, token_ids, mask):
    """The width that a prompt has inside XLA."""
    widths = []
    generator = Generator(lm, GenerationOptions(max_new_tokens=2), jit_compile=True)
    generator._core = lambda ids, mask, parameters, room: widths.append(ids.shape[1])
    generator.generate(token_ids, mask, GenerationOptions().make_parameters(1))
    return widths[0]


def test_xla_is_chosen_by_size_and_obeys_the_caller(make_lm, monkeypatch, eagerly):
    lm = make_lm()
    lm.generate("The", max_new_tokens=2)
    monkeypatch.setattr(lm.backbone, "count_params", lambda: 50_000_000)
    lm.generate("The", max_new_tokens=2)
    lm.generate("The", max_new_tokens=2, jit_compile=False)
    compiled = [key[-1] for key in lm.graphs if key[0] == "generate"]
    assert compiled == [False, True]


@pytest.mark.parametrize(
    ("jit_compile", "devices", "has_halves"),
    [
        (True, [], True),
        pytest.param(False, [], False, marks=pytest.mark.slow),
        pytest.param(True, ["GPU:0"], False, marks=pytest.mark.slow),
    ],
)
def test_a_step_that_xla_compiles_for_a_cpu_has_its_compiled_step(
    lm, monkeypatch, eagerly, jit_compile, devices, has_halves
):
    from lmzoo.layers.contexts import is_compiled_step

    step, seen = lm.step, []

    def note_step(*inputs):
        seen.append(is_compiled_step())
        return step(*inputs)

    monkeypatch.setattr(lm, "step", note_step)
    monkeypatch.setattr(tf.config, "list_logical_devices", lambda kind: devices)
    generator = Generator(lm, GenerationOptions(max_new_tokens=2), jit_compile)
    parameters = GenerationOptions().make_parameters(1)
    generator.generate(tf.constant([[1, 1, 1]]), tf.fill([1, 3], True), parameters)
    # The prompt is read at once, whoever compiles.
    assert seen[0] is False
    assert set(seen[1:]) == {has_halves}


def test_a_prompt_may_fill_the_context_but_not_exceed_it(make_lm):
    lm = make_lm(tokenizer=None)
    assert len(lm.generate([1] * 60, max_new_tokens=20)) == 64
    assert lm.generate([1] * 64, max_new_tokens=20) == [1] * 64
    with pytest.raises(ValueError, match="context of 64 tokens. Received: prompt 1 of 65 tokens"):
        lm.generate([[1], [1] * 65])


@pytest.mark.parametrize(
    "options",
    [
        {},
        pytest.param({"jit_compile": True}, marks=pytest.mark.slow),
        {"temperature": 1.0, "top_p": 0.9, "num_return_sequences": 2},
        {"num_beams": 2},
    ],
    ids=str,
)
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_scores_that_are_not_finite_are_no_answer(broken, value, options, request):
    if "jit_compile" not in options:
        request.getfixturevalue("eagerly")
    broken.backbone.final_norm.gamma.assign(np.full(32, value))
    with pytest.raises(ValueError, match="must be finite. Received: NaN or infinity for prompt 0"):
        broken.generate(["The", "a"], max_new_tokens=3, **options)
    if not options:
        with pytest.raises(ValueError, match="must be finite"):
            list(broken.stream("The", max_new_tokens=3))


@pytest.fixture(scope="module")
def broken(make_lm):
    return make_lm()


def test_what_is_no_text_is_refused(lm):
    with pytest.raises(TypeError, match="Received: 3 at index 1"):
        lm.generate(["a", 3])
    with pytest.raises(TypeError, match="max_tokens"):
        lm.generate("a", max_tokens=3)
    with pytest.raises(TypeError, match="Received: list"):
        lm.stream(["a"])


@pytest.mark.parametrize("options", [{}, {"temperature": 1.0, "seed": 4}])
@pytest.mark.parametrize("prompt", ["def main(", "我喜欢编程。"])
def test_streamed_pieces_add_up_to_the_generated_text(lm, prompt, options):
    pieces = list(lm.stream(prompt, max_new_tokens=24, **options))
    assert "".join(pieces) == lm.generate(
        prompt, max_new_tokens=24, return_prompt=False, jit_compile=False, **options
    )
    assert len(pieces) > 5
    assert all(pieces)


def test_a_stream_ends_before_a_stop_string_and_never_shows_its_beginning(lm):
    whole = lm.generate("The", max_new_tokens=20, return_prompt=False)
    stop = whole[4:9]
    assert "".join(lm.stream("The", max_new_tokens=20, stop_strings=stop)) == whole.split(stop)[0]


def test_a_stream_may_begin_with_its_prompt_and_gives_one_text(lm):
    assert next(lm.stream("The", max_new_tokens=2, return_prompt=True)) == "The"
    assert list(lm.stream("The", max_new_tokens=0)) == []
    with pytest.raises(ValueError, match="num_beams=2"):
        lm.stream("The", num_beams=2)


def test_a_stream_traces_nothing_at_its_second_call(make_lm):
    lm = make_lm()
    list(lm.stream("The", max_new_tokens=3))
    before = count_traces(lm)
    list(lm.stream("The quick", max_new_tokens=5))
    assert count_traces(lm) == before


def test_generate_begins_with_the_defaults(make_lm):
    lm = make_lm()
    # Graphs take longer to be traced than these few steps.
    tf.config.run_functions_eagerly(True)
    try:
        check_that_generate_begins_with_the_defaults(lm)
    finally:
        tf.config.run_functions_eagerly(False)


def check_that_generate_begins_with_the_defaults(lm):
    greedy = lm.generate(PROMPTS, max_new_tokens=8)
    wanted = lm.generate(PROMPTS, **BEAMS)
    assert wanted != greedy
    lm.generation_defaults = BEAMS
    assert lm.generate(PROMPTS) == wanted
    assert lm.generate(PROMPTS, num_beams=1) == greedy
    lm.generation_defaults = None
    assert lm.generate(PROMPTS, max_new_tokens=8) == greedy


def test_beams_do_not_stream_by_default_either(make_lm):
    lm = make_lm()
    lm.generation_defaults = BEAMS
    with pytest.raises(ValueError, match="Received: num_beams=3, .*pass num_beams=1"):
        lm.stream(PROMPTS[0])


@pytest.mark.slow
def test_stream_begins_with_the_defaults(make_lm):
    lm = make_lm()
    lm.generation_defaults = BEAMS
    whole = "".join(lm.stream(PROMPTS[0], num_beams=1))
    lm.generation_defaults = None
    assert whole == "".join(lm.stream(PROMPTS[0], max_new_tokens=BEAMS["max_new_tokens"]))


def test_every_end_token_ends_a_text(make_lm):
    lm = make_lm(tokenizer=None)
    ids = lm.generate([5, 7, 11], max_new_tokens=12, return_prompt=False)
    assert lm.end_token_ids == ()
    ends = {ids[3], ids[6]}
    first = next(place for place, token in enumerate(ids) if token in ends)
    # A graph that was traced for other ends is not used again.
    lm.end_token_ids = ends
    assert lm.generate([5, 7, 11], max_new_tokens=12, return_prompt=False) == ids[: first + 1]


def test_the_tokenizer_says_what_ends_a_text_unless_it_is_set(make_lm, tokenizer):
    lm = make_lm()
    assert lm.end_token_ids == (tokenizer.end_token_id,)
    lm.end_token_ids = [3, 5]
    assert lm.end_token_ids == (3, 5)
    lm.end_token_ids = None
    assert lm.end_token_ids == (tokenizer.end_token_id,)


def test_a_keras_file_keeps_them(make_lm, tmp_path):
    lm = make_lm(tokenizer=None)
    assert not {"generation_defaults", "end_token_ids"} & lm.get_config().keys()
    lm.generation_defaults, lm.end_token_ids = {**BEAMS, "stop_strings": ("a",)}, [3, 5]
    lm.save(tmp_path / "lm.keras")
    again = keras.models.load_model(tmp_path / "lm.keras")
    assert again.generation_defaults == {**BEAMS, "stop_strings": ["a"]}
    assert again.end_token_ids == (3, 5)


@pytest.mark.slow
def test_an_export_has_them_baked_in(make_lm, tmp_path):
    lm = make_lm()
    lm.generation_defaults = BEAMS
    lm.export(tmp_path / "1")
    serve = tf.saved_model.load(str(tmp_path / "1")).signatures["serving_default"]
    texts = [text.decode("utf-8") for text in serve(text=tf.constant(PROMPTS))["text"].numpy()]
    assert texts == lm.generate(PROMPTS)
    assert texts != lm.generate(PROMPTS, num_beams=1)


def test_defaults_cannot_be_changed_behind_the_task(make_lm):
    lm = make_lm()
    lm.generation_defaults = given = {"max_new_tokens": 3}
    given["max_new_tokens"] = -1
    with pytest.raises(TypeError, match="does not support item assignment"):
        lm.generation_defaults["max_new_tokens"] = -1
    assert dict(lm.generation_defaults) == {"max_new_tokens": 3}


@pytest.mark.parametrize(
    ("defaults", "error", "message"),
    [
        ([("num_beams", 2)], TypeError, r"generation_defaults=\[\('num_beams', 2\)\]"),
        ({"beams": 2}, TypeError, "beams"),
        ({"num_beams": 0}, ValueError, "Received: num_beams=0"),
        ({"temperature": "hot"}, TypeError, "Received: temperature='hot'"),
        ({"seed": [1, 2]}, ValueError, r"`seed` must be one number .*Received: seed=\[1, 2\]"),
    ],
)
def test_defaults_that_cannot_be_are_refused(make_lm, defaults, error, message):
    with pytest.raises(error, match=message):
        check_defaults(defaults)
    with pytest.raises(error, match=message):
        CausalLM(make_lm().backbone, generation_defaults=defaults)


@pytest.mark.parametrize(
    ("ids", "error"),
    [([400], ValueError), ([-1], ValueError), (["2"], TypeError), ([True], TypeError)],
)
def test_end_tokens_are_of_the_vocabulary(make_lm, ids, error):
    with pytest.raises(error, match=f"`end_token_ids` must .*Received: {ids[0]!r}"):
        make_lm().end_token_ids = ids


def test_one_end_token_comes_in_a_list(make_lm):
    with pytest.raises(TypeError, match="`end_token_ids` must be a list .*Received: .*=5. Write"):
        make_lm().end_token_ids = 5


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("max_length", "Use `max_new_tokens`"),
        ("do_sample", "Use `temperature`: 1.0 samples"),
        ("eos_token_id", "attribute `end_token_ids`"),
        ("stop_token_ids", "attribute `end_token_ids`"),
        ("temprature", "Did you mean `temperature`"),
        ("max_tokens", "`max_new_tokens`"),
        ("repetition_penalti", "`repetition_penalty`"),
        ("zzz", "Did you mean `max_new_tokens`, .*`seed`"),
    ],
)
def test_an_unknown_option_is_told_its_name_here(name, hint):
    with pytest.raises(TypeError, match=f"`{name}` is no option of generation. .*{hint}"):
        merge_options({}, {name: 1})


@pytest.mark.parametrize(
    ("defaults", "given", "merged"),
    [
        ({"max_new_tokens": 9}, {}, {"max_new_tokens": 9}),
        ({"max_new_tokens": 9}, {"max_new_tokens": 2}, {"max_new_tokens": 2}),
        ({"num_beams": 4}, {"num_beams": 1}, {"num_beams": 1}),
        ({"num_beams": 4, "seed": 1}, {"temperature": 0.5}, {"seed": 1, "temperature": 0.5}),
        ({"num_beams": 4}, {"temperature": 0}, {"num_beams": 4, "temperature": 0}),
        ({"temperature": 0.7, "seed": 1}, {"num_beams": 2}, {"seed": 1, "num_beams": 2}),
        ({"top_k": 5, "top_p": 0.9, "min_p": 0.1}, {"num_beams": 2}, {"num_beams": 2}),
        ({"temperature": 0.7, "top_k": 5}, {"top_k": 3}, {"temperature": 0.7, "top_k": 3}),
    ],
    ids=str,
)  # fmt: skip
def test_what_is_given_wins_over_the_defaults_it_excludes(defaults, given, merged):
    assert merge_options(defaults, given) == merged
