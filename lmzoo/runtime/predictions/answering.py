"""Answers to questions about texts."""

from ..prompts import check_batch_size

__all__ = ["QuestionAnswering"]


class QuestionAnswering:
    """Gives a task `answer`; it has `find_answers(questions, contexts, batch_size)`."""

    def answer(self, questions, contexts, batch_size=None):
        """Finds the answers to questions in contexts.

        Args:
            questions: str or list of str.
            contexts: str or list of str, one for each question, of any length.
            batch_size: int or None. Pairs in one forward pass; None for 32.
        Returns:
            dict of `answer` str, `start` and `end` int (characters of the context), `score` float
            (the probability of the answer among all answers, and with `no_answer` also among "no
            answer") and `no_answer_score` float (the probability of "no answer"). Where "no
            answer" is predicted, `answer` is "" and `start` and `end` are -1. For a list, a list of
            these.
        Raises:
            TypeError: if a text is not a str.
            ValueError: if the lists differ in length or there is no tokenizer.
        """
        check_batch_size(batch_size)
        questions, is_single = self.read_texts(questions, "questions")
        contexts, _ = self.read_texts(contexts, "contexts")
        if len(questions) != len(contexts):
            raise ValueError(
                "`contexts` must be as many as `questions`. Received: "
                f"{len(contexts)} contexts, {len(questions)} questions."
            )
        answers = self.find_answers(questions, contexts, batch_size)
        return answers[0] if is_single else answers
