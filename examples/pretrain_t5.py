"""What does a small T5 learn from the docstrings of the standard library?

It learns a vocabulary, then to write hidden spans (span corruption). Whole packages are held out.
So are the docstrings that `summarize_docstrings.py` is measured on, so that a backbone from here
has not seen them.
"""

import json
import pathlib
import tempfile

from _helpers import common, lstms
from _helpers.text_to_text import (
    compile_as_published,
    find_tokens_before,
    make_t5,
    train_sentence_piece,
)

import lmzoo

PROMPTS = (
    "Return the <extra_id_0> of the list.",
    "Raise an error if the file <extra_id_0> exist.",
    "If the argument is <extra_id_0>, the default value is used.",
)


def read_texts(smoke):
    """Docstrings to train on, and those of held-out packages."""
    halves = [], []
    for docstring in common.read_docstrings(smoke):
        held_out = common.is_held_out(docstring.package, share=8)
        if held_out or not common.is_held_out(docstring.content):
            halves[held_out].append(docstring.text)
    return halves


def make_corrupted_spans(texts, name, tokenizer, folder, **options):
    """Writes texts to a file and gives what `lmzoo.data.span_corruption` makes of it."""
    path = pathlib.Path(folder) / f"{name}.jsonl"
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts), encoding="utf-8")
    return lmzoo.data.span_corruption(
        path, tokenizer, sequence_length=128, cache_dir=folder, verbose=False, **options
    )


def make_task(texts, smoke):
    encoder = make_t5(lambda: train_sentence_piece(texts, smoke), smoke)
    return compile_as_published(lmzoo.tasks.Seq2SeqLM(*encoder))


def compare(lm, lstm, texts, data):
    """Prints the perplexity of the held-out targets and the accuracy on their masked tokens.

    Model and baselines see the target up to the token that they predict. For the first token of a
    span, the token before is the one before the span in the source. All of them predict a token of
    text, since the baselines do not know where a span ends.
    """
    import numpy as np

    most_frequent, after = lstms.count_tokens(texts, lm.tokenizer)
    sentinels = lm.tokenizer.sentinel_ids
    special_ids = [*sentinels, lm.tokenizer.end_token_id]
    right, total = np.zeros(4, int), 0
    for inputs, labels, _ in data:
        labels, source = labels.numpy(), inputs["encoder_token_ids"].numpy()
        guesses = []
        for logits in (lm(inputs, training=False), lstm(lstms.inputs_of(lstm, inputs))):
            logits = np.array(logits)
            logits[..., special_ids] = -np.inf
            guesses.append(logits.argmax(-1))
        before = find_tokens_before(source, labels, sentinels)
        hidden = ~np.isin(labels, special_ids)
        followed = np.array([after.get(token, most_frequent) for token in before[hidden].tolist()])
        truth = labels[hidden]
        answers = [*(found[hidden] for found in guesses), followed, most_frequent]
        right += [(answer == truth).sum() for answer in answers]
        total += truth.size
    names = ("T5", "LSTM", "most frequent next token", "most frequent token")
    print(f"Perplexity of held-out targets: {lm.evaluate(data, verbose=0)[1]:.1f}", flush=True)
    common.print_figures(
        f"{total} masked tokens of held-out packages",
        ["accuracy"],
        {name: [count / total] for name, count in zip(names, right, strict=True)},
    )


def fill(lm, prompts):
    """The model's text for <extra_id_0> in each prompt: list of str."""
    # The next sentinel begins the text of the next span.
    lm.end_token_ids = [lm.tokenizer.end_token_id, *lm.tokenizer.sentinel_ids[1:].tolist()]
    # By default the name of a special token in a text is read as plain text.
    return lm.generate(prompts, max_new_tokens=12, allow_special=True)


def main():
    arguments = common.parse(common.make_parser(__doc__, epochs=30))
    texts, held_out = read_texts(arguments.smoke)
    print(f"{len(texts)} docstrings to train on, {len(held_out)} held out", flush=True)
    lm = common.open_or_make(arguments, lambda: make_task(texts, arguments.smoke))
    with tempfile.TemporaryDirectory() as folder:
        options = {"tokenizer": lm.tokenizer, "folder": folder}
        data = make_corrupted_spans(texts, "training", **options, batch_size=8)
        epoch = common.count_epochs(lm, len(data))
        data = make_corrupted_spans(texts, "training", **options, batch_size=8, initial_epoch=epoch)
        common.train(lm, data, arguments, learning_rate=6e-2, warmup=len(data))
        batches = make_corrupted_spans(texts, "training", **options, batch_size=64)
        lstm = lstms.train_lstm_seq2seq(lm, batches, max(1, arguments.epochs // 10))
        batches = make_corrupted_spans(held_out, "held_out", **options, batch_size=8)
        compare(lm, lstm, texts, batches)
    for prompt, answer in zip(PROMPTS, fill(lm, list(PROMPTS)), strict=True):
        print(prompt, "->", answer)


if __name__ == "__main__":
    main()
