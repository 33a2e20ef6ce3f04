"""Makes text from outside safe to show: no control byte of a venue, a file or a peer reaches a terminal.

An escape sequence in a symbol name could set the window title, write the clipboard or clear the screen; a bidi override
could make a price read backwards. Only the characters that do so are taken; what is left shows that somebody tried.
"""

import re
from typing import Any

_BREAKS = re.compile("[\t\n\v\f\r\x85\u2028\u2029]+")
_UNSEEN = re.compile(
    "[\x00-\x1f\x7f-\x9f"  # C0 (with ESC), DEL, C1 (with the one-byte CSI and OSC)
    "\u00ad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"  # bidi controls, zero width
    "\U000e0000-\U000e007f]"  # tags: text that nobody sees
)
_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?([eE][+-]?\d+)?", re.ASCII)
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_SURROGATES = re.compile("[\ud800-\udfff]")


def inert(text: str) -> str:
    """`text` on one line without C0, C1, escape, bidi and invisible characters.

    Line breaks and tabs become one space; a lone surrogate, which no terminal can be sent, becomes U+FFFD. Printable
    characters stay as they are, markup included: whoever shows it has to have markup off.
    """
    if text.isascii() and text.isprintable():
        return text
    text = _UNSEEN.sub("", _BREAKS.sub(" ", text))
    return _SURROGATES.sub("\ufffd", text)


def inert_tree(value: Any) -> Any:
    """`value` (as `json.loads` gives it) with every string in it inert, keys included."""
    if isinstance(value, str):
        return inert(value)
    if isinstance(value, list):
        return [inert_tree(item) for item in value]
    if isinstance(value, dict):
        return {inert(key): inert_tree(item) for key, item in value.items()}
    return value


def clip(text: str, limit: int) -> str:
    """At most `limit` characters of `text`; an ellipsis tells that there was more."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


def spreadsheet_safe(text: str) -> str:
    """`text` as a cell of a CSV: nothing that a spreadsheet takes for a formula; a number is none."""
    is_formula = text.startswith(_FORMULA) and not _NUMBER.fullmatch(text)
    return f"'{text}" if is_formula else text
