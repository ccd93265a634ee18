"""Backbone, head and tokenizer together: something to fit, save and export."""

from lmzoo.tasks.causal_lm import CausalLM
from lmzoo.tasks.task import Task
from lmzoo.tasks.text_classifier import TextClassifier

__all__ = ["CausalLM", "TextClassifier", "Task"]
