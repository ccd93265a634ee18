"""The trials of a search on a terminal, while it runs."""

import sys
import time

from lmzoo.tuning.trials import TrialFolder

__all__ = ["TrialTable"]

_SECONDS = 0.5
_MOST_ROWS = 15


class TrialTable:
    """A live table on stderr; without a terminal a line for each trial that ends.

    Args:
        plan: Plan.
        oracle: SharedOracle.
        verbose: bool. If False, it shows nothing.
    """

    def __init__(self, plan, oracle, verbose):
        self._plan, self._oracle, self._verbose = plan, oracle, verbose
        self._live, self._shown_at, self._begun = None, 0.0, time.monotonic()
        self._num_told = len(oracle.ended)

    def __enter__(self):
        if self._verbose:
            count = len(self._oracle.ended)
            state = f", {count} trials have ended before" if count else ""
            self._tell(f"Searching in {self._plan.folder}{state}.")
        if self._verbose and sys.stderr.isatty():
            from rich.console import Console
            from rich.live import Live

            console = Console(file=sys.stderr)
            options = {"redirect_stdout": False, "redirect_stderr": False}
            self._live = Live(self._draw(), console=console, auto_refresh=False, **options)
            self._live.start()
            # A search that is killed must not leave a terminal without a cursor.
            console.show_cursor(True)
        return self

    def __exit__(self, *_):
        self.update(now=True)
        if self._live is not None:
            self._live.stop()

    def update(self, now=False):
        """Shows what has changed, at most twice a second."""
        if not self._verbose or not (now or time.monotonic() - self._shown_at > _SECONDS):
            return
        self._shown_at = time.monotonic()
        if self._live is not None:
            self._live.update(self._draw(), refresh=True)
            return
        while self._num_told < len(self._oracle.ended):
            trial_id = self._oracle.ended[self._num_told]
            self._num_told += 1
            self._tell(" ".join(filter(None, self._describe(trial_id))))

    def _tell(self, text):
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()

    def _describe(self, trial_id):
        """The columns of a trial: id, status, objective, epochs, seconds, values."""
        known = self._oracle.trials[trial_id]
        objective = self._plan.objective
        values = ", ".join(
            f"{name} {value:.3g}" if isinstance(value, float) else f"{name} {value}"
            for name, value in self._plan.list_searched(known.values).items()
        )
        if known.result is None:
            history = TrialFolder(self._plan.folder, trial_id).read_history()
            found = [epoch[objective] for epoch in history if epoch.get(objective) is not None]
            best = (min if self._plan.direction == "min" else max)(found, default=None)
            is_running = trial_id in self._oracle.list_running().values()
            status, epochs, seconds = "running" if is_running else "waits", len(history), ""
        else:
            result = known.result
            best, status, epochs = result.metrics.get(objective), result.status, len(result.history)
            seconds = f"{result.seconds:.0f} s"
            if result.reason:
                status = f"{status} ({result.reason:.60})"
        score = "" if best is None else f"{objective} {best:.5g}"
        return trial_id, status, score, f"{epochs} epochs", seconds, values

    def _draw(self):
        from rich.markup import escape
        from rich.table import Table

        ranked, trials = self._oracle.rank(), self._oracle.trials
        elapsed = time.monotonic() - self._begun
        limit = self._plan.max_trials
        total = f" of {limit}" if limit else ""
        title = f"{len(self._oracle.ended)}{total} trials have ended, {elapsed:.0f} s"
        table = Table("trial", "status", self._plan.objective, "epochs", "time", "values")
        table.title, table.title_justify = title, "left"
        running = [name for name in trials if trials[name].result is None]
        bad = [name for name in self._oracle.ended if name not in ranked]
        shown = ranked[: _MOST_ROWS - 5] + bad[-3:] + running
        for trial_id in shown:
            is_best = ranked[:1] == [trial_id]
            # A message of an error may have square brackets.
            cells = [escape(cell) for cell in self._describe(trial_id)]
            table.add_row(*cells, style="bold green" if is_best else None)
        left = len(trials) - len(shown)
        table.caption = f"and {left} more" if left > 0 else None
        return table
