"""A tokenizer for tests with what T5 needs: bytes, then an end, a padding and 100 sentinels."""

from tests.data.byte_tokenizer import ByteTokenizer

END, PAD, FIRST_SENTINEL, NUM_SENTINELS = 256, 257, 258, 100


class SentinelTokenizer(ByteTokenizer):
    def __init__(self, num_sentinels=NUM_SENTINELS, vocabulary_size=358, pad_token_id=PAD, **other):
        super().__init__(vocabulary_size, **other)
        self.pad_token_id = pad_token_id
        # As in T5, the first sentinel is the last id.
        last = FIRST_SENTINEL + NUM_SENTINELS - 1
        self.sentinel_ids = [last - number for number in range(num_sentinels)]
