"""The harness's own command line, which then knows the model "lmzoo".

Example:
    python -m lmzoo.evaluation.harness --model lmzoo --model_args source=gpt2 --tasks lambada_openai
"""

import importlib

from lmzoo.evaluation.harness.model import register

__all__ = ["main"]


def main():
    """Runs `lm_eval` with the arguments of this process."""
    register()
    return importlib.import_module("lm_eval.__main__").cli_evaluate()


if __name__ == "__main__":
    main()
