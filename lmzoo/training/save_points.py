"""When a run saves and when it ends, decided alike by all of its workers."""

import signal
import threading
import time

from lmzoo.training.workers import count_workers, sum_over_workers

__all__ = ["SavePoints"]

_SIGNALS = (signal.SIGTERM, signal.SIGINT)
# Workers exchange what they know about once in so many seconds.
_EXCHANGE_SECONDS = 1.0
_MAX_CALLS_BETWEEN = 1000


class SavePoints:
    """Says after a step whether to save, and whether a signal wants the run to end.

    With several workers the chief decides by its clock, and a signal to one of them ends all. They
    exchange this by a sum over all workers, about once a second and where a save is due by the
    number of steps. So each of them must ask after the same steps.

    Args:
        strategy: the strategy of the model.
        every_steps: int or None. Save after so many steps.
        every_seconds: float or None. Save when so many seconds have passed since the last save.
    Attributes:
        signal: int or None. A signal that all workers know of.
    """

    def __init__(self, strategy, every_steps, every_seconds):
        self.every_steps = every_steps
        self.every_seconds = every_seconds
        self.signal = None
        self._strategy = strategy
        self._is_shared = count_workers(strategy) > 1
        self._is_chief = strategy.extended.should_checkpoint
        self._received, self._handlers = None, {}
        self._calls, self._calls_to_exchange = 0, 0

    def begin(self, num_steps):
        """Starts the clock, and notes signals instead of ending at once.

        Args:
            num_steps: int. The steps that were done and saved before.
        """
        self.note_save(num_steps)
        self._exchanged_at = self._saved_at
        # Only the main thread may set handlers.
        if threading.current_thread() is threading.main_thread():
            for number in _SIGNALS:
                self._handlers[number] = signal.signal(number, self._receive)

    def close(self):
        """Puts the handlers of signals back; a second call does nothing."""
        while self._handlers:
            signal.signal(*self._handlers.popitem())

    def _receive(self, number, frame):
        self._received = number

    def note_save(self, num_steps):
        """Counts steps and seconds from here on."""
        self._saved_steps, self._saved_at = num_steps, time.monotonic()

    def ask(self, num_steps, may_save, ends_epoch=False):
        """Whether to save now; sets `signal`.

        Args:
            num_steps: int. The steps of the run that were done.
            may_save: bool. If False, this worker cannot save now.
            ends_epoch: bool. If True, workers exchange what they know now.
        Returns:
            bool, the same on all workers.
        """
        steps = self.every_steps
        by_steps = bool(steps) and num_steps // steps != self._saved_steps // steps
        now = time.monotonic()
        by_seconds = self.every_seconds is not None and now - self._saved_at >= self.every_seconds
        is_due = (by_steps or by_seconds) and may_save
        if not self._is_shared:
            self.signal = self._received
            return is_due
        self._calls += 1
        if self._calls < self._calls_to_exchange and not by_steps and not ends_epoch:
            return False
        numbers = [self._received == number for number in _SIGNALS]
        decided = [is_due, self._pace(now)] if self._is_chief else [0, 0]
        is_due, self._calls_to_exchange, *numbers = (
            int(value) for value in sum_over_workers(self._strategy, [*decided, *numbers])
        )
        self._calls, self._exchanged_at = 0, now
        self.signal = next(
            (one for one, count in zip(_SIGNALS, numbers, strict=True) if count), None
        )
        return bool(is_due)

    def _pace(self, now):
        """How many calls of `ask` take about a second."""
        seconds = max(now - self._exchanged_at, 1e-6) / self._calls
        return min(max(int(_EXCHANGE_SECONDS / seconds), 1), _MAX_CALLS_BETWEEN)

    def end(self):
        """Ends the process as the signal would have."""
        if self.signal == signal.SIGINT:
            raise KeyboardInterrupt
        raise SystemExit(128 + self.signal)
