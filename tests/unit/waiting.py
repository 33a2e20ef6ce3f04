"""Waiting for what another thread does."""

import threading
from collections.abc import Callable

import pytest


def until(holds: Callable[[], bool]) -> None:
    """Until it holds; for a minute at most."""
    for _ in range(60_000):
        if holds():
            return
        threading.Event().wait(0.001)
    pytest.fail("it never came to be")
