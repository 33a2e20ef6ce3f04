"""The other projects, which `make bench` installs; one that is absent costs its rows their ratio, nothing else."""

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from types import ModuleType

from benchmarks.measure import progress


def load(distribution: str, module: str) -> ModuleType | None:
    """A module of a peer; None, and one line on stderr, where it is not installed."""
    try:
        return import_module(module)
    except ImportError as error:
        progress(f"{distribution} is absent ({error}); `make bench` installs it")
        return None


def named(distribution: str) -> str:
    """`msgspec 0.22.0`, or the bare name where it is not installed."""
    try:
        return f"{distribution} {version(distribution)}"
    except PackageNotFoundError:
        return distribution


def absent(distribution: str) -> str:
    """The note of a row whose peer cannot run."""
    return f"{distribution} is not installed (make bench), so nothing is compared"
