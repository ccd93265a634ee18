"""The arguments of `lmzoo classify`, `tag`, `fill`, `answer` and `embed`."""

from lmzoo.cli.arguments import (
    add_command,
    add_dtype,
    add_json,
    add_labels,
    add_source,
    add_texts,
    split_names,
)

__all__ = ["add_predictions"]


def add_predictions(commands):
    """Adds the commands of discriminative tasks: what each of them may be given."""

    def add(name, summary, description, example, metavar="TEXT"):
        function = ("prediction_commands", name)
        command = add_command(commands, name, function, summary, description, example)
        add_source(command)
        add_texts(command, metavar, "texts")
        add_json(command)
        add_dtype(command)
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
    classify.add_argument(
        "--candidate-labels",
        type=split_names,
        metavar="NAME,NAME",
        help="zero-shot classification with these labels",
    )
    add_labels(classify)
    tag = add(
        "tag",
        "find spans in texts, such as names",
        "Prints the spans that a TokenClassifier finds in each text: label, text, score, and where "
        "they begin and end in characters.",
        'lmzoo tag hf://dslim/bert-base-NER "Ada lives in Paris." --json',
    )
    add_labels(tag)
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
