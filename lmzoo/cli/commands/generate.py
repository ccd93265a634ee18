"""What `lmzoo generate` does."""

import sys

from lmzoo.cli.opening import list_generation_options, open_task, read_stdin, read_texts
from lmzoo.cli.printing import print_json

__all__ = ["generate"]


def generate(arguments):
    """Completes the prompts and prints the results.

    Args:
        arguments: argparse.Namespace of `lmzoo generate`.
    Raises:
        ValueError: if an option is out of its range, `--stream` is asked for more than one text, or
            SOURCE is not generative.
    """
    options = list_generation_options(arguments)
    whole = arguments.whole_input and arguments.prompts == ["-"]
    prompts = [read_stdin()] if whole else read_texts(arguments.prompts)
    streamable = len(prompts) == 1 and not {"num_beams", "num_return_sequences"} & options.keys()
    if arguments.stream and (not streamable or arguments.json):
        raise ValueError(
            "`--stream` prints one completion as it grows. Received: "
            f"{len(prompts)} prompts, --num-beams {arguments.num_beams}, --num-return-sequences "
            f"{arguments.num_return_sequences}, --json {arguments.json}. Leave it out."
        )
    lm = open_task(arguments, options)
    if not lm.is_generative:
        raise ValueError(
            "`SOURCE` must be one that generates. Received: "
            f"{arguments.source!r}, a {type(lm).__name__}."
        )
    if lm.tokenizer is None:
        raise ValueError(
            "`SOURCE` must have a tokenizer to read texts. Received: "
            f"{arguments.source!r}, which has no tokenizer.json and no vocab.json."
        )
    # The model's own defaults may ask for beams, which do not stream.
    merged = lm.make_options(options)
    grows = merged.num_beams == merged.num_return_sequences == 1
    stream = sys.stdout.isatty() and grows if arguments.stream is None else arguments.stream
    if arguments.json:
        results, scores = lm.generate(prompts, return_prompt=False, return_scores=True, **options)
        print_json([_as_record(*row) for row in zip(prompts, results, scores, strict=True)])
    elif streamable and stream:
        for piece in lm.stream(prompts[0], return_prompt=True, **options):
            print(piece, end="", flush=True)
        print()
    else:
        results = lm.generate(prompts, **options)
        texts = [text for result in results for text in _as_list(result)]
        print(f"\n{'-' * 40}\n".join(texts))


def _as_list(result):
    return [result] if isinstance(result, str) else result


def _as_record(prompt, results, scores):
    completions = [
        {"text": text, "score": float(score)}
        for text, score in zip(_as_list(results), scores.reshape(-1), strict=True)
    ]
    return {"prompt": prompt, "completions": completions}
