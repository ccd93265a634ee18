"""Porter's stemmer for English, with NLTK's amendments."""

__all__ = ["stem"]

VOWELS = frozenset("aeiou")
# NLTK's exceptions to the rules.
IRREGULAR = {
    **{word: word for word in ("sky", "news", "inning", "outing", "canning", "howe")},
    **{word: word for word in ("proceed", "exceed", "succeed")},
    **{"skies": "sky", "innings": "inning", "outings": "outing", "cannings": "canning"},
    **{"dying": "die", "lying": "lie", "tying": "tie"},
}
# Ending and what takes its place, in the order in which they are tried; the first that fits
# decides, even where its condition then leaves the word alone.
STEP_2 = tuple(
    rule.split(":")
    for rule in (
        "ational:ate tional:tion enci:ence anci:ance izer:ize bli:ble alli:al entli:ent eli:e "
        "ousli:ous ization:ize ation:ate ator:ate alism:al iveness:ive fulness:ful ousness:ous "
        "aliti:al iviti:ive biliti:ble fulli:ful"
    ).split()
)
STEP_3 = tuple(
    rule.split(":") for rule in "icate:ic ative: alize:al iciti:ic ical:ic ful: ness:".split()
)
STEP_4 = ("al ance ence er ic able ible ant ement ment ent ion ou ism ate iti ous ive ize").split()


def stem(word):
    """Stems an English word, so that its inflected forms become one.

    Args:
        word: str in lower case.
    Returns:
        str, often no word itself.
    Example:
        >>> [stem(word) for word in ("relational", "relate", "relates", "skies")]
        ['relat', 'relat', 'relat', 'sky']

    Reference: Porter 1980, "An algorithm for suffix stripping"; NLTK's `PorterStemmer` in its
        default mode, which differs from the paper in the places that are marked here.
    """
    if word in IRREGULAR:
        return IRREGULAR[word]
    # NLTK's: the paper shortens words of two letters too.
    if len(word) <= 2:
        return word
    for step in (step_1a, step_1b, step_1c, step_2, step_3, step_4, step_5a, step_5b):
        word = step(word)
    return word


def step_1a(word):
    """Plurals."""
    # NLTK's: "dies" becomes "die", though "flies" becomes "fli".
    if word.endswith("ies"):
        return word[:-1] if len(word) == 4 else word[:-2]
    if word.endswith("sses"):
        return word[:-2]
    return word[:-1] if word.endswith("s") and not word.endswith("ss") else word


def step_1b(word):
    """Past tenses and what ends in "ing"."""
    # NLTK's, as in 1a.
    if word.endswith("ied"):
        return word[:-1] if len(word) == 4 else word[:-2]
    if word.endswith("eed"):
        return word[:-1] if measure(word[:-3]) > 0 else word
    for ending in ("ed", "ing"):
        rest = word.removesuffix(ending)
        if rest != word and has_vowel(rest):
            return mend(rest)
    return word


def mend(word):
    """Gives a word back what stood before "ed" or "ing": "hop" of "hopp", "hope" of "hop"."""
    if word.endswith(("at", "bl", "iz")):
        return word + "e"
    if len(word) > 1 and word[-1] == word[-2] and is_consonant(word, len(word) - 1):
        return word if word[-1] in "lsz" else word[:-1]
    return word + "e" if measure(word) == 1 and ends_short(word) else word


def step_1c(word):
    """A last y that is a vowel."""
    # NLTK's: the paper asks for a vowel anywhere before it, and makes "enjoi" of "enjoy".
    if word.endswith("y") and len(word) > 2 and is_consonant(word, len(word) - 2):
        return word[:-1] + "i"
    return word


def step_2(word):
    """Double endings."""
    # NLTK's: what is behind "alli" has its turn too, "logi" is an ending.
    if word.endswith("alli") and measure(word[:-4]) > 0:
        return step_2(word[:-2])
    if word.endswith("logi"):
        return word[:-1] if measure(word[:-3]) > 0 else word
    return replace_ending(word, STEP_2)


def step_3(word):
    """Endings such as "ful" and "ness"."""
    return replace_ending(word, STEP_3)


def step_4(word):
    """What is left of an ending behind a long word."""
    for ending in STEP_4:
        if word.endswith(ending):
            rest = word.removesuffix(ending)
            may_go = measure(rest) > 1 and (ending != "ion" or rest.endswith(("s", "t")))
            return rest if may_go else word
    return word


def step_5a(word):
    """A last e."""
    rest = word[:-1]
    if word.endswith("e") and (measure(rest) > 1 or measure(rest) == 1 and not ends_short(rest)):
        return rest
    return word


def step_5b(word):
    """A double l at the end of a long word."""
    return word[:-1] if word.endswith("ll") and measure(word[:-1]) > 1 else word


def replace_ending(word, rules):
    for ending, other in rules:
        if word.endswith(ending):
            rest = word.removesuffix(ending)
            return rest + other if measure(rest) > 0 else word
    return word


def is_consonant(word, place):
    return find_consonants(word)[place]


def find_consonants(word):
    """Which letters are consonants: a y is one where it begins a word or follows a vowel."""
    kinds = []
    for letter in word:
        follows_consonant = bool(kinds) and kinds[-1]
        kinds.append(not follows_consonant if letter == "y" else letter not in VOWELS)
    return kinds


def has_vowel(word):
    return not all(find_consonants(word))


def measure(word):
    """How often consonants follow vowels: 0 in "tree", 1 in "trees", 2 in "private"."""
    kinds = find_consonants(word)
    return sum(after and not before for before, after in zip(kinds, kinds[1:], strict=False))


def ends_short(word):
    """Whether a word ends like "hop": consonant, vowel, consonant, the last not w, x or y."""
    kinds = find_consonants(word)[-3:]
    # NLTK's: "at" of two letters too.
    if len(kinds) == 2:
        return kinds == [False, True]
    return kinds == [True, False, True] and word[-1] not in "wxy"
