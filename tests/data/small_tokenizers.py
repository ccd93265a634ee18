"""Small tokenizers with real special tokens, for tests of what is packed and masked."""

from lmzoo.tokenizers import BytePairTokenizer, WordPieceTokenizer

TEXT = "the cat sat on the mat and unbelievable things happened, happily ever after. " * 20


def make_word_piece(num_words=40):
    """Words "w0" to "w39", each with two pieces that go on, "##x0" and so on."""
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    vocabulary += [f"w{number}" for number in range(num_words)]
    vocabulary += [f"##x{number}" for number in range(2 * num_words)]
    return WordPieceTokenizer(vocabulary)


def make_byte_pair(texts=(TEXT,), vocabulary_size=320, special=("<s>", "<pad>", "</s>", "<mask>")):
    """RoBERTa's special tokens, and a mask that takes the white space before it."""
    learned = BytePairTokenizer.train(iter(texts), vocabulary_size, special_tokens=list(special))
    vocabulary = learned._vocabulary
    return BytePairTokenizer(
        vocabulary.ids,
        vocabulary.merges,
        special,
        end_token="</s>",
        start_token="<s>",
        pad_token="<pad>",
        mask_token="<mask>",
        lstrip=["<mask>"],
    )
