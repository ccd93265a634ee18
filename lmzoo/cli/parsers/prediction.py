"""The arguments of `lmzoo generate`, `classify`, `tag`, `fill`, `answer`, `embed`, `explain`."""

import argparse

from lmzoo.cli import arguments

__all__ = ["add_explain", "add_generate", "add_predictions"]


def add_predictions(commands):
    """Adds the commands of discriminative tasks: what each of them may be given."""

    def add(name, summary, description, example, metavar="TEXT"):
        function = f"predictions.{name}"
        command = arguments.add_command(commands, function, summary, description, example)
        arguments.add_source(command)
        arguments.add_texts(command, metavar, "texts")
        arguments.add_json(command)
        arguments.add_dtype(command)
        return command

    classify = add(
        "classify",
        "give texts their labels",
        "Prints the most probable label of each text, by a TextClassifier; or by any classifier "
        "of entailment or language model, with --candidate-labels.",
        'lmzoo classify runs/films "A warm and funny film." --top-k 2',
    )
    classify.add_argument(
        "--top-k", type=int, metavar="K", help="the K most probable labels (default: 1)"
    )
    arguments.add_names(
        classify, "--candidate-labels", "zero-shot classification with these labels"
    )
    arguments.add_labels(classify)
    tag = add(
        "tag",
        "find spans in texts, such as names",
        "Prints the spans that a TokenClassifier finds in each text: label, text, score, and where "
        "they begin and end in characters.",
        'lmzoo tag hf://dslim/bert-base-NER "Ada lives in Paris." --json',
    )
    arguments.add_labels(tag)
    fill = add(
        "fill",
        "fill in masked tokens",
        "Prints the most probable tokens for each mask token of a text, by a MaskedLM.",
        'lmzoo fill bert-base-uncased "The [MASK] sat on the mat."',
    )
    fill.add_argument(
        "--top-k", type=int, default=5, metavar="K", help="tokens for each mask (default: 5)"
    )
    answer = add(
        "answer",
        "answer questions about a text",
        "Prints the part of the context that answers each question, by a QuestionAnswerer.",
        'lmzoo answer runs/qa "Who wrote it?" --context-file article.txt',
        "QUESTION",
    )
    context = answer.add_mutually_exclusive_group(required=True)
    context.add_argument("--context", metavar="TEXT", help="the text with the answers")
    context.add_argument("--context-file", metavar="FILE", help="a UTF-8 file of that text")
    add(
        "embed",
        "give texts their vectors",
        "Prints a vector for each text, by a TextEmbedder: of a folder of sentence-transformers, "
        "or of any encoder by the mean of its last hidden states.",
        "lmzoo embed hf://sentence-transformers/all-MiniLM-L6-v2 - --json",
    )


def add_explain(commands):
    explain = arguments.add_command(
        commands,
        "explain.explain",
        "show which words made a model decide, or where it looks",
        "Prints what each word of a text contributes to the decision of a classifier, regressor, "
        "tagger or language model, by integrated gradients; or with --attention the attention "
        "weights of any model. With -o it draws a picture, or writes a page to look around in.",
        'lmzoo explain runs/films "A warm and funny film." -o why.html\n'
        '  lmzoo explain runs/films "A warm and funny film." --attention --layer 1 --head 3',
    )
    arguments.add_source(explain)
    explain.add_argument("text", metavar="TEXT", help="a text; - reads standard input")
    view = explain.add_mutually_exclusive_group()
    view.add_argument(
        "--attribution",
        action="store_true",
        help="what each word contributes to the decision (the default)",
    )
    view.add_argument("--attention", action="store_true", help="attention weights")
    explain.add_argument(
        "-o", "--output", metavar="FILE", help="a .png or .html file to write, in place of text"
    )
    explain.add_argument(
        "--pair", metavar="TEXT", help="the second text of a pair, or the context of a question"
    )
    why = explain.add_argument_group("attribution")
    why.add_argument(
        "--label", metavar="NAME", help="what is explained; the model's own decision by default"
    )
    why.add_argument("--steps", type=int, metavar="N", help="points of the integral (default: 50)")
    why.add_argument("--word", type=int, metavar="N", help="of a tagger, which word's tag")
    why.add_argument(
        "--baseline",
        choices=("auto", "mask", "pad", "zero"),
        help="the embeddings that the words are compared with",
    )
    where = explain.add_argument_group("attention")
    where.add_argument(
        "--target", metavar="TEXT", help="what follows a prompt, or the target of a source"
    )
    where.add_argument("--kind", choices=("encoder", "decoder", "cross"), help="which attention")
    where.add_argument("--layer", type=int, metavar="N", help="one layer alone")
    where.add_argument("--head", type=int, metavar="N", help="one head alone")
    where.add_argument(
        "--view",
        choices=("heads", "rollout"),
        help="rollout follows the weights through all layers",
    )
    arguments.add_json(explain)
    arguments.add_dtype(explain)


def add_generate(commands):
    generate = arguments.add_command(
        commands,
        "generate.generate",
        "complete texts",
        "Completes each prompt and prints prompt and completion.",
        'lmzoo generate saved_models/demo/model "def main(" --temperature 0.8 --seed 1',
    )
    arguments.add_source(generate)
    arguments.add_texts(generate, "PROMPT", "prompts")
    generate.add_argument(
        "--whole-input",
        action="store_true",
        help="with -, take standard input as one prompt and not line by line",
    )
    arguments.add_generation_options(generate)
    generate.add_argument(
        "--num-return-sequences", type=int, metavar="N", help="results for each prompt (default: 1)"
    )
    generate.add_argument(
        "--stream",
        action=argparse.BooleanOptionalAction,
        help="print the text as it grows (default: for one result on a terminal)",
    )
    arguments.add_json(generate, "print JSON, completions without prompts")
    arguments.add_dtype(generate)
