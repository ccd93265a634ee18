"""Zero-shot classification: classes that are named at prediction and never trained."""

import tensorflow as tf

from lmzoo.data.rows.texts import list_texts
from lmzoo.runtime.predictions import ZeroShotClassification
from lmzoo.tasks.discriminative.inference import check_finite, run_in_batches
from lmzoo.tasks.discriminative.labels import list_labels
from lmzoo.tasks.discriminative.text_batches import TruncationReport
from lmzoo.tasks.discriminative.zero_shot_scoring import EntailmentScorer, LikelihoodScorer
from lmzoo.tasks.task import Task
from lmzoo.tasks.text_classifier import TextClassifier
from lmzoo.text_files.checks import check_unicode
from lmzoo.tracing import trace_once

__all__ = ["ZeroShotClassifier"]

_BATCH_SIZE = 32


class ZeroShotClassifier(ZeroShotClassification):
    """Classifies texts with labels that the model was not trained on.

    With a `TextClassifier` trained on natural language inference, a label's score is the
    probability that the text entails a sentence with the label in it. With a language model it is
    the likelihood of the label after the text and the template: as the continuation for a
    `CausalLM`, as the target for a `Seq2SeqLM`. Nothing is trained, and the model is not changed.

    Exported signatures:
        serving_default: `text` string (B,) and `labels` string (L,) -> `labels` string (B, L), the
            best first, and `scores` float32 (B, L).
        multi_label: the same with each label scored alone; for an entailment model.

    Args:
        model: `TextClassifier` of pairs with a label that means entailment, `CausalLM` or
            `Seq2SeqLM`; with a tokenizer.
        template: str with one `{}`, which the label replaces. None for "This example is {}." with a
            classifier, and for "\\nThis is about {}" with a language model, whose template follows
            the text and must end with the label.
        entailment_label: str or None. The classifier's label for entailment; None for the one named
            "entailment" in any case.
        contradiction_label: str or None. The classifier's label for contradiction; None for the one
            named "contradiction" in any case, or the other one of two. Needed for `multi_label`.
        normalize: bool. For a language model. If True, a label's score is the mean of its tokens'
            log-probabilities; if False their sum, which favours short labels.
        calibrate: bool. For a language model. If True, a label's log-probability without a text is
            subtracted, so that frequent words are not favoured.
    Raises:
        TypeError: if `model` is none of these, or `template` is not a str.
        ValueError: if there is no tokenizer, the template does not have exactly one `{}`, the model
            lacks a label, or an option is not for this kind of model.
    Reference: Yin et al. 2019, https://arxiv.org/abs/1909.00161, for entailment; Brown et al. 2020,
        https://arxiv.org/abs/2005.14165, section 2.4, for likelihood and its calibration. Numbers
        of entailment are those of transformers' zero-shot pipeline.

    Example:
        classifier = lmzoo.tasks.ZeroShotClassifier(model)
        classifier.classify("The striker scored twice.", ["politics", "sport"])
        # {"label": "sport", "score": 0.97}
    """

    is_generative = False
    # Writes the artefact that `serving_functions` describes, as every task does.
    export = Task.export

    def __init__(
        self,
        model,
        template=None,
        entailment_label=None,
        contradiction_label=None,
        normalize=False,
        calibrate=False,
    ):
        names = {
            "entailment_label": entailment_label,
            "contradiction_label": contradiction_label,
        }
        rules = {"normalize": normalize, "calibrate": calibrate}
        if isinstance(model, Task) and model.is_generative:
            make_scorer, options, others = LikelihoodScorer, rules, names
        elif isinstance(model, TextClassifier):
            make_scorer, options, others = EntailmentScorer, names, rules
        else:
            raise TypeError(
                "`model` must be a TextClassifier, a CausalLM or a Seq2SeqLM. Received: "
                f"{type(model).__name__}."
            )
        for name, value in others.items():
            if value:
                raise ValueError(
                    f"`{name}` must not be given with a {type(model).__name__}. Received: "
                    f"{name}={value!r}."
                )
        if model.tokenizer is None:
            raise ValueError("`model` must have a tokenizer. Received: tokenizer=None.")
        self.template = make_scorer.default_template if template is None else template
        _check_template(self.template)
        self.model = model
        self._scorer = make_scorer(model, self.template, **options)
        self._graphs = {}

    @property
    def tokenizer(self):
        """The model's tokenizer."""
        return self.model.tokenizer

    def get_scored_model(self):
        """The task that computes its scores."""
        return self.model

    @property
    def entailment(self):
        """int. The classifier's id for entailment; None with a language model."""
        return getattr(self._scorer, "entailment", None)

    @property
    def contradiction(self):
        """int or None. The classifier's id for contradiction."""
        return getattr(self._scorer, "contradiction", None)

    @property
    def weights(self):
        """list. The model's variables, which an artefact holds."""
        return self.model.weights

    @property
    def supports_multi_label(self):
        """bool. Whether it can judge each label alone."""
        return self._scorer.supports_multi_label

    def read_texts(self, texts, name="texts"):
        """A list of texts, and whether the argument was a single str."""
        is_single = isinstance(texts, str)
        return list_texts([texts] if is_single else texts, name), is_single

    def rank_candidates(self, texts, labels, multi_label, batch_size):
        """See `ZeroShotClassification`."""
        candidates, graph = tf.constant(labels), self._get_classify(multi_label)
        results = run_in_batches(
            lambda batch: graph(batch, candidates),
            [texts],
            max(1, (batch_size or _BATCH_SIZE) // len(labels)),
        )
        check_finite(results, texts)
        report = TruncationReport(self._scorer.sequence_length)
        report.add("texts", 0, [result["is_truncated"] for result in results])
        report.warn(stacklevel=4)
        return list(map(list_labels, results))

    def _get_classify(self, multi_label, served=False):
        """A traced function of texts and labels; for export, `is_truncated` is left out."""
        key = (multi_label, served, self.model.quantization)
        if key not in self._graphs:
            specs = [tf.TensorSpec([None], tf.string, name) for name in ("text", "labels")]

            def classify(text, labels):
                scores, is_truncated = self._scorer.compute_scores(text, labels, multi_label)
                scores, order = tf.math.top_k(scores, tf.shape(labels)[0])
                outputs = {"labels": tf.gather(labels, order), "scores": scores}
                return outputs if served else {**outputs, "is_truncated": is_truncated}

            self._graphs[key] = trace_once(classify, specs)
        return self._graphs[key]

    def serving_functions(self):
        """dict of signature to tf.function: what is exported; see the class."""
        functions = {"serving_default": self._get_classify(False, served=True)}
        if self.supports_multi_label:
            functions["multi_label"] = self._get_classify(True, served=True)
        return functions


def _check_template(template):
    if not isinstance(template, str):
        raise TypeError(f"`template` must be a str. Received: template={template!r}.")
    if template.count("{}") != 1:
        raise ValueError(
            "`template` must have one {}, where the label stands. Received: "
            f"template={template!r}."
        )
    check_unicode("template", template)
