"""Which file do I put on a phone? Trains a classifier and exports it as float32, int8 and int4.

Each file is then run by a process that imports neither TensorFlow nor Keras. The table says how
large it is, how accurate on held-out sentences, and how often it answers as the task in TensorFlow
does. `sentiment.py` has the data and the baselines. Needs `pip install -e '.[litert,runtime]'`.
"""

import json
import pathlib
import subprocess
import sys
import tempfile

import sentiment
from _helpers import common

FORMS = {"float32": None, "int8": "int8", "int4": "int4"}
# What a program of one's own does with a file.
RUN = """
import json, sys, time

path, texts = sys.argv[1], json.load(sys.stdin)
start = time.perf_counter()
from lmzoo import runtime

classifier = runtime.load(path)
classifier.classify(texts[:1])
ready = time.perf_counter()
found = classifier.classify(texts)
seconds = time.perf_counter() - ready
heavy = sorted({"tensorflow", "keras"} & set(sys.modules))
print(json.dumps([[each["label"] for each in found], ready - start, seconds / len(texts), heavy]))
"""


def run_file(path, texts):
    """Labels of texts, seconds to the first answer, seconds a text, heavy packages imported."""
    child = subprocess.run(
        [sys.executable, "-c", RUN, str(path)],
        input=json.dumps(texts),
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    )
    return json.loads(child.stdout)


def compare_files(classifier, rows, folder):
    """Exports each form and prints a line about it."""
    texts, truth = ([row[name] for row in rows] for name in ("text", "label"))
    wanted = [found["label"] for found in classifier.classify(texts)]
    print(f"\n{len(rows)} held-out sentences, by files without TensorFlow")
    print("            kilobytes  accuracy  as the task  first answer ms  a text ms", flush=True)
    for name, quantization in FORMS.items():
        path = folder / f"sentiment-{name}.tflite"
        classifier.export(path, quantization=quantization, overwrite=True, verbose=False)
        labels, first, each, heavy = run_file(path, texts)
        if heavy:
            sys.exit(f"The runtime must import neither of {heavy}.")
        accuracy, alike = (
            sum(map(str.__eq__, labels, other)) / len(labels) for other in (truth, wanted)
        )
        size = path.stat().st_size / 1000
        print(
            f"  {name:8}  {size:9.0f}  {accuracy:8.3f}  {alike:11.3f}  {1000 * first:15.0f}"
            f"  {1000 * each:9.2f}",
            flush=True,
        )


def main():
    arguments = common.parse(common.make_parser(__doc__, epochs=20))
    training, held_out = sentiment.read_examples()
    classifier = common.open_or_make(
        arguments, lambda: sentiment.make_task(training, arguments.smoke)
    )
    common.train(classifier, training, arguments, learning_rate=5e-4)
    with tempfile.TemporaryDirectory() as made:
        compare_files(classifier, held_out, arguments.folder or pathlib.Path(made))


if __name__ == "__main__":
    main()
