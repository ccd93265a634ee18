"""The baselines and the measures of `moderate_comments.py`."""

import re

from _helpers import comments

LABELS = comments.LABELS
# The threshold of each label is to find so many of its comments.
RECALL = 0.9
SHARED = [words for slots in comments.SHARED.values() for words in (slots["fool"], slots["mean"])]
# What a moderator would write down in an hour.
WORD_LIST = {
    "insult": "|".join(" ".join(SHARED).split()),
    "threat": r"regret|watch your back|make you pay|where you (live|work)|后悔|小心|代价|等着",
    "spam": r"www\.|free|cheap|buy|discount|earn|免费|便宜|优惠|赚",
    "personal": r"\d{3}[ -]?\d{4}|@|lives at|号码|电话|邮箱|住在",
    "off-topic": r"game|laptop|phone|film|movie|football|电影|手机|电脑|足球",
}


def list_texts(rows):
    return [row["text"] for row in rows]


def make_truth(rows):
    """bool array (n, C)."""
    import numpy as np

    return np.array([[label in row["label"] for label in LABELS] for row in rows])


def fit_bag_of_words(rows):
    """Logistic regressions on n-grams of characters, rows to probabilities (n, C).

    None without scikit-learn. In Chinese, which has no spaces, such n-grams are words.
    """
    try:
        from sklearn.feature_extraction.text import TfidfVectorizer
        from sklearn.linear_model import LogisticRegression
        from sklearn.multiclass import OneVsRestClassifier
        from sklearn.pipeline import make_pipeline
    except ImportError:
        return None
    vectorizer = TfidfVectorizer(analyzer="char_wb", ngram_range=(1, 4), sublinear_tf=True)
    classifier = OneVsRestClassifier(LogisticRegression(C=10.0, max_iter=1000))
    model = make_pipeline(vectorizer, classifier).fit(list_texts(rows), make_truth(rows))
    return lambda rows: model.predict_proba(list_texts(rows))


def search_words(rows):
    """1 where a text has a word of the list, float array (n, C)."""
    import numpy as np

    found = [
        [re.search(WORD_LIST[label], text, re.IGNORECASE) is not None for label in LABELS]
        for text in list_texts(rows)
    ]
    return np.array(found, float)


def choose_thresholds(scores, truth):
    """For each label the threshold of the best F1, and the highest one of the wanted recall."""
    import numpy as np

    best, wide = [], []
    for column, wanted in zip(scores.T, truth.T, strict=True):
        steps = np.unique(column)
        flagged = column >= steps[:, None]
        right = (flagged & wanted).sum(1)
        best.append(steps[np.argmax(2 * right / (flagged.sum(1) + wanted.sum()))])
        wide.append(steps[right >= RECALL * wanted.sum()].max())
    return np.array(best), np.array(wide)


def measure(scores, truth, best, wide):
    """Micro and macro F1 at the thresholds `best`; precision and recall at `wide`."""
    right = ((scores >= best) & truth).sum(0)
    total = (scores >= best).sum(0) + truth.sum(0)
    flagged = scores >= wide
    hits = (flagged & truth).sum()
    f1 = [2 * right.sum() / total.sum(), (2 * right / total).mean()]
    return [*map(float, f1), float(hits / max(flagged.sum(), 1)), float(hits / truth.sum())]
