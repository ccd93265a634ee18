"""Writes texts.json: what rouge-score, sacrebleu and NLTK's stemmer say of random and real texts.

Run once by hand, where these three are installed.
"""

import json
import random
from pathlib import Path

from nltk.stem.porter import PorterStemmer
from rouge_score.rouge_scorer import RougeScorer
from sacrebleu.metrics import BLEU, CHRF

KINDS = ("rouge1", "rouge2", "rougeL")
WORDS = (
    "the The cat cats cat's sat sitting on a mat. mats naïve 3.5 state-of-the-art _under_ café 我 "
    "relational hopping, flies dies news x"
).split()
ENDINGS = (
    "ational tional enci anci izer bli alli entli eli ousli ization ation ator alism iveness "
    "fulness ousness aliti iviti biliti fulli logi icate ative alize iciti ical ful ness al ance "
    "ence er ic able ible ant ement ment ent ion ou ism ate iti ous ive ize e ll ed ing ied ies "
    "eed s ss sses y ying"
).split()
IRREGULAR = (
    "sky skies dying lying tying news inning innings outing outings canning cannings howe proceed "
    "exceed succeed is as be at yyyyy 1990s"
).split()
# Pairs in which order, repetition, case, punctuation and empty texts count.
PAIRS = [
    ("testing one two", "testing"),
    ("testing", "testing one two"),
    ("police killed the gunman", "police kill the gunman"),
    ("the gunman kill police", "police killed the gunman"),
    ("a b c d e f g", "f g a b x c d e"),
    ("", "something"),
    ("something", ""),
    ("", ""),
    ("我喜欢", "我喜欢"),
    ("Ünïcode über ALLES", "unicode uber alles"),
]


def main():
    draw = random.Random(7)
    record = {
        "rouge": [make_rouge([[wanted], found]) for found, wanted in PAIRS],
        "rouge_many": [make_rouge(make_case(draw)) for _ in range(60)],
        "translation": [make_translation(draw, lists) for lists in (1, 3)],
        "chinese": make_chinese(),
        "stems": make_stems(draw),
    }
    path = Path(__file__).with_name("texts.json")
    text = json.dumps(record, separators=(",", ":"), ensure_ascii=False)
    path.write_text(text + "\n", encoding="utf-8")
    print(path.name, path.stat().st_size, "bytes")


def make_text(draw, most):
    return " ".join(draw.choice(WORDS) for _ in range(draw.randint(0, most)))


def make_case(draw):
    return [[make_text(draw, 14) for _ in range(draw.randint(1, 3))], make_text(draw, 14)]


def make_rouge(case):
    references, prediction = case
    scores = {}
    for use_stemmer in (False, True):
        scorer = RougeScorer(KINDS, use_stemmer=use_stemmer)
        found = scorer.score_multi(references, prediction)
        scores["stems" if use_stemmer else "words"] = {kind: list(found[kind]) for kind in KINDS}
    return {"references": references, "prediction": prediction, "scores": scores}


def make_translation(draw, lists):
    """Texts with one reference each, or with one to three."""
    references = [
        [make_text(draw, 9) + " the cat sat" for _ in range(draw.randint(1, lists))]
        for _ in range(40)
    ]
    predictions = [
        " ".join(word for word in draw.choice(entry).split() if draw.random() < 0.85)
        for entry in references
    ]
    streams = [
        [entry[place] if place < len(entry) else None for entry in references]
        for place in range(lists)
    ]
    bleu = BLEU().corpus_score(predictions, streams)
    return {
        "predictions": predictions,
        "references": references,
        "bleu": bleu.score,
        "precisions": bleu.precisions,
        "brevity_penalty": bleu.bp,
        "bleu_lowercase": BLEU(lowercase=True).corpus_score(predictions, streams).score,
        "chrf": CHRF().corpus_score(predictions, streams).score,
        "chrf_words": CHRF(word_order=2).corpus_score(predictions, streams).score,
    }


def make_chinese():
    predictions, references = ["我喜欢编程。", "他去了北京"], ["我很喜欢编程。", "他昨天去了北京"]
    return {
        "predictions": predictions,
        "references": references,
        "bleu": BLEU(tokenize="zh").corpus_score(predictions, [references]).score,
        "chrf": CHRF().corpus_score(predictions, [references]).score,
    }


def make_stems(draw):
    stemmer = PorterStemmer()
    words = set(IRREGULAR)
    letters = "aeiouybcdfglmnrstvz0"
    for ending in ENDINGS:
        for size in (0, 1, 2, 3, 4, 5):
            for _ in range(4):
                word = "".join(draw.choice(letters) for _ in range(size)) + ending
                words.add(word + draw.choice(["", "", *ENDINGS]))
    return {word: stemmer.stem(word) for word in sorted(words)}


if __name__ == "__main__":
    main()
