"""What a person probably meant by a word that nobody knows."""

import difflib
from collections.abc import Sequence


def did_you_mean(text: str, known: Sequence[str], before: str = "") -> str:
    """`; did you mean X?`, or nothing where no known word is near; `before` is put before the word."""
    near = difflib.get_close_matches(text, known, n=1)
    return f"; did you mean {before}{near[0]}?" if near else ""
