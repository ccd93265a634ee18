"""Fixtures of the data room, whose readers these modules serve."""

from tests.data.conftest import cache_home, run_python, start_python

__all__ = ["cache_home", "run_python", "start_python"]
