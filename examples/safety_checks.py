"""What does lmzoo refuse? Tries what strangers may send as data, as a model and as a request.

Each line says what was tried and by which message it was refused; the last one counts them. If one
was accepted, or crashed, the script ends with status 1. The last requests go to `lmzoo serve` on
this machine. Nothing is trained, so there is no `--folder`.
"""

import argparse
import contextlib
import pathlib
import sys
import tempfile

from _helpers import hostile

import lmzoo
from lmzoo.cli.opening import import_tensorflow

# Another error would be a crash.
REFUSALS = (ValueError, TypeError, OSError)


def make_model():
    """A tiny GPT with random weights."""
    tokenizer = lmzoo.tokenizers.BytePairTokenizer.train(iter(["a b c", "我喜欢编程。"]), 270)
    sizes = {"num_layers": 1, "num_heads": 2, "hidden_dim": 8, "max_sequence_length": 32}
    backbone = lmzoo.models.GPTBackbone(tokenizer.vocabulary_size, **sizes)
    return lmzoo.tasks.CausalLM(backbone, tokenizer)


def try_all(room, attempts, folder, lm):
    """Prints a line for each attempt and returns the names of those that were not refused."""
    print(f"\n{room}")
    failed = []
    for number, (name, attempt) in enumerate(attempts.items()):
        own = folder / f"{room}-{number}"
        own.mkdir()
        try:
            attempt(own, lm)
        except hostile.HarmlessError as error:
            words = f"harmless: {error}"
        except REFUSALS as error:
            message = " ".join(str(error).replace(str(own), "...").split())
            words = f"refused: {type(error).__name__}: {message:.300}"
        except Exception as error:
            # A crash is no refusal. The other attempts are made all the same.
            words = f"CRASHED: {type(error).__name__}: {error!s:.300}"
            failed.append(name)
        else:
            words = "ACCEPTED"
            failed.append(name)
        print(f"  {name} -> {words}", flush=True)
    return failed


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--smoke", action="store_true", help="without the server")
    arguments = parser.parse_args()
    import_tensorflow()
    lm = make_model()
    with contextlib.ExitStack() as stack:
        folder = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory()))
        rooms = {"data": hostile.DATA, "model": hostile.MODEL, "application": hostile.CALLS}
        if not arguments.smoke:
            rooms["server"] = stack.enter_context(hostile.run_server(folder, lm))
        failed = sum((try_all(room, rooms[room], folder, lm) for room in rooms), [])
    total = sum(map(len, rooms.values()))
    print(f"\n{total - len(failed)} of {total} refused or harmless")
    if failed:
        sys.exit(f"Not refused: {', '.join(failed)}")


if __name__ == "__main__":
    main()
