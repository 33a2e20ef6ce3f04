"""What a person probably meant by a word that nobody knows."""

import difflib
from collections.abc import Iterable


def nearest_word(text: str, known: Iterable[str]) -> str | None:
    """The known word that is most like `text`; None where none is near."""
    return next(iter(difflib.get_close_matches(text, known, n=1)), None)


def did_you_mean(text: str, known: Iterable[str], before: str = "") -> str:
    """`; did you mean X?`, or nothing where no known word is near; `before` is put before the word."""
    near = nearest_word(text, known)
    return f"; did you mean {before}{near}?" if near is not None else ""
