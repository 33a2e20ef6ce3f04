"""The totals of a finished run as lines, for the last screen and for what stays in the terminal."""

from collections.abc import Iterator, Mapping
from typing import Any

_NAMES = {
    "run_id": "run",
    "pnl": "realised, net",
    "quotes_refused": "quotes refused",
    "real_money": "real money",
    "calm_comparison": "compared",
}
_MONEY = ("pnl", "unrealised")
_HIDDEN = ("schema_version",)
_COMPARISON = "calm_comparison"
_FIRST = (
    "run_id", "market", "real_money", "halted", "reducing", "complete", "incomplete_because", "pnl", "unrealised",
    _COMPARISON,
)  # fmt: skip
"""What must be seen on a small screen without scrolling."""
_IF_ANY = ("halted", "reducing")


def total_lines(summary: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(name, value), the result first; a value of several parts takes a line for each.

    A name that repeats is empty. Money is always told with whose it is.
    """
    lines: list[tuple[str, str]] = []
    compared = summary.get(_COMPARISON)
    # Its figures stand in one line of its own; where nothing was compared there is nothing to say.
    summary = {key: value for key, value in summary.items() if key != _COMPARISON and (value or key not in _IF_ANY)}
    if compared:
        summary[_COMPARISON] = compared["line"]
    first = [key for key in _FIRST if key in summary]
    for key in [*first, *(key for key in summary if key not in {*first, *_HIDDEN})]:
        lines += _lines(_name(key, summary), summary[key])
    return lines


def _name(key: str, summary: Mapping[str, Any]) -> str:
    name = _NAMES.get(key, key.replace("_", " "))
    if key not in _MONEY:
        return name
    return f"{name} ({'real' if summary.get('real_money') else 'paper'})"


def _lines(name: str, value: Any) -> list[tuple[str, str]]:
    if not isinstance(value, Mapping | list):
        return [(name, _text(value))]
    if isinstance(value, list):
        texts = [_text(item) for item in value]
    else:
        texts = [f"{_text(leaf)}  {' · '.join(path)}" for path, leaf in _leaves(value)]
    texts = texts or ["none"]
    return [(name if index == 0 else "", text) for index, text in enumerate(texts)]


def _leaves(value: Mapping[str, Any]) -> Iterator[tuple[tuple[str, ...], Any]]:
    for key, inner in value.items():
        word = key.replace("_", " ")
        if isinstance(inner, Mapping):
            yield from (((word, *path), leaf) for path, leaf in _leaves(inner))
        else:
            yield (word,), inner


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.6g}"
    if isinstance(value, Mapping):
        return " · ".join(f"{key.replace('_', ' ')} {_text(inner)}" for key, inner in value.items())
    if value is None:
        return "none"
    return str(value)
