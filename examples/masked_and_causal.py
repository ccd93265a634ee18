"""Masked or generative pretraining: which serves classification better, and which can write?

A BERT and a GPT of the same size read the same docstrings with the same tokens, one with masked
tokens and one token after token. Each is then fine-tuned to say which package a docstring is from,
beside the same model without pretraining. Both also write: the BERT fills a mask at the end of its
text again and again, for which it was not trained.
"""

from _helpers import common, lstms, writing
from classify_docstrings import read_examples
from pretrain_bert import read_texts

import lmzoo
from lmzoo.evaluation import baselines

# Epochs; `--epochs` are those of the fine-tuning.
PRETRAINING = 2
SIZES = {"num_layers": 2, "num_heads": 4, "hidden_dim": 128, "max_sequence_length": 128}


def train_tokenizer(texts, smoke):
    train, size = lmzoo.tokenizers.BytePairTokenizer.train, 500 if smoke else 4000
    tokenizer = train(iter(texts), size, special_tokens=("<|endoftext|>", "<mask>"))
    tokenizer.mask_token = "<mask>"
    return tokenizer


def make_lm(name, tokenizer, smoke):
    small = {"num_layers": 1, "num_heads": 2, "hidden_dim": 32} if smoke else {}
    sizes = SIZES | small
    if name == "GPT":
        backbone = lmzoo.models.GPTBackbone(tokenizer.vocabulary_size, **sizes)
        return lmzoo.tasks.CausalLM(backbone, tokenizer)
    backbone = lmzoo.models.BertBackbone(
        tokenizer.vocabulary_size, num_segments=0, pooler=False, **sizes
    )
    return lmzoo.tasks.MaskedLM(backbone, tokenizer)


def pretrain(name, tokenizer, texts, arguments):
    stage = writing.take_stage(arguments, name, PRETRAINING)
    lm = common.open_or_make(stage, lambda: make_lm(name, tokenizer, arguments.smoke))
    if name == "GPT":
        writing.train_lm(lm, texts, stage, 1e-3, batch_size=16, warmup=50)
    else:
        rows = lmzoo.data.make_rows(text=texts)
        common.train(lm, rows, stage, learning_rate=1e-3, warmup=50)
    return lm


def classify(name, lm, names, rows, asked, arguments):
    """Predictions for `asked` of a classifier on the backbone of `lm`, which is trained with it."""
    stage = writing.take_stage(arguments, name)
    make = lmzoo.tasks.TextClassifier
    classifier = common.open_or_make(
        stage, lambda: make(lm.backbone, lm.tokenizer, labels=names, pooling="mean")
    )
    common.train(classifier, rows, stage, learning_rate=1e-3, warmup=50)
    return classifier, classifier.predict(asked, verbose=0).argmax(-1)


def write_texts(lms, texts, held_out, smoke):
    """Texts from the first four words of held-out docstrings, and a judge of their fluency."""
    tokenizer, count = lms["GPT"].tokenizer, 6 if smoke else 30
    print("Training the LSTM language model beside it", flush=True)
    lstm = baselines.LSTMLM(tokenizer, 32 if smoke else 256)
    lstm.fit(texts, epochs=1, batch_size=64, learning_rate=4e-3, verbose=False)
    writers = {
        "GPT": lms["GPT"],
        "LSTM": lstm,
        "Kneser-Ney": baselines.KneserNeyLM(tokenizer).fit(texts, verbose=False),
    }
    judge = baselines.KneserNeyLM(tokenizer).fit(texts + held_out, verbose=False)
    chosen = [text for text in held_out if len(text.split()) > 8][: 4 if smoke else 30]
    starts = [" ".join(text.split()[:4]) for text in chosen]
    found = {name: writing.write_texts(lm, starts, count) for name, lm in writers.items()}
    found["BERT"] = writing.write_with_masks(lms["BERT"], starts, count)
    found["held-out texts"] = [" ".join(text.split()[:24]) for text in chosen]
    return found, judge


def main():
    arguments = common.parse(common.make_parser(__doc__, epochs=4))
    smoke = arguments.smoke
    texts, _ = read_texts(smoke)
    names, training, held_out = read_examples(smoke)
    labelled, asked = [d.text for d in training], [d.text for d in held_out]
    labels, truth = ([names.index(d.package) for d in half] for half in (training, held_out))
    rows = lmzoo.data.make_rows(text=labelled, label=labels)
    print(f"{len(texts)} texts to pretrain on, {len(labelled)} to fine-tune on", flush=True)
    tokenizer = train_tokenizer(texts, smoke)
    lms = {name: pretrain(name, tokenizer, texts, arguments) for name in ("BERT", "GPT")}
    written, judge = write_texts(lms, texts, asked, smoke)
    answers = {}
    for name in lms:
        fresh = make_lm(name, lms[name].tokenizer, smoke)
        for kind, lm in (("pretrained", lms[name]), ("fresh", fresh)):
            own = (f"{name} {kind}", lm, names, rows, asked, arguments)
            classifier, answers[f"{name}, {kind}"] = classify(*own)
    lstm = lstms.train_lstm_classifier(classifier, rows, arguments.epochs)
    asked_rows = lmzoo.data.make_rows(text=asked, label=truth)
    answers["LSTM"] = lstms.predict_logits(lstm, classifier, asked_rows).argmax(-1)
    bag = common.predict_with_bag_of_words(labelled, labels, asked, ngram_range=(1, 2))
    answers["bag of words"] = bag
    common.print_figures(
        f"Classes of {len(truth)} held-out docstrings, {len(names)} packages",
        ["accuracy", "macro F1"],
        {name: common.compute_scores(truth, found, len(names)) for name, found in answers.items()},
    )
    rows = {name: writing.measure_texts(found, judge) for name, found in written.items()}
    title = f"{len(written['GPT'])} texts that begin with four words of a held-out docstring"
    common.print_figures(title, writing.NAMES, rows, writing.LOWER, ["length"])
    for name, found in written.items():
        print(f"{name}: {' '.join(found[0].split())}")


if __name__ == "__main__":
    main()
