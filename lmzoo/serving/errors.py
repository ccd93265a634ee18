"""Refusals, each with the HTTP status that says why."""

__all__ = ["RefusalError", "WorkerLostError"]


class RefusalError(Exception):
    """A request that is not served.

    Args:
        status: int. The HTTP status.
        message: str. What a client is told.
        parameter: str or None. The field of the request that it is about.
        retry_after: int or None. After how many seconds it may be tried again.
    """

    def __init__(self, status, message, parameter=None, retry_after=None):
        super().__init__(message)
        self.status = status
        self.message = message
        self.parameter = parameter
        self.retry_after = retry_after


class WorkerLostError(RefusalError):
    """The process of a model ended before it had answered."""

    def __init__(self):
        super().__init__(
            503, "The model's process ended and is started again. Try once more.", retry_after=5
        )
