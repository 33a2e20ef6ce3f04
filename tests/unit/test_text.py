import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.text import clip, inert, inert_tree

ATTACKS = {
    "window title": "\x1b]0;owned\x07BTC",
    "clipboard": "\x1b]52;c;ZXZpbA==\x07BTC",
    "clear screen": "\x1b[2J\x1b[HBTC",
    "C1 CSI": "\x9b31mBTC",
    "C1 OSC": "\x9d0;owned\x9cBTC",
    "bidi override": "BTC\u202e00001",
    "bidi isolate": "\u2066BTC\u2069",
    "backspace": "99\x08\x0811",
    "delete": "BTC\x7f",
    "zero width": "BT\u200bC\ufeff",
    "tags": "BTC\U000e0041",
}


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS.keys())
def test_nothing_that_a_terminal_obeys_is_left(attack: str) -> None:
    cleaned = inert(attack)
    assert all(unicodedata.category(c) not in {"Cc", "Cf"} for c in cleaned)
    assert cleaned.isprintable()


def test_what_is_left_of_an_escape_sequence_stays_readable() -> None:
    assert inert("\x1b]0;owned\x07BTC") == "]0;ownedBTC"


def test_text_stays_on_one_line() -> None:
    assert inert("one\r\ntwo\tthree\u2028four") == "one two three four"


def test_ordinary_text_and_markup_are_left_alone() -> None:
    for text in ("BTC/USDT:USDT", "[/]", "[red]x[/red]", "保证金 €5 − 3 ≤ 9", "é"):
        assert inert(text) == text


def test_a_lone_surrogate_can_be_written_afterwards() -> None:
    assert inert("a\ud800b").encode() == "a\ufffdb".encode()


def test_a_tree_is_cleaned_in_keys_and_values() -> None:
    dirty = {"\x1b[2Ja": ["\x07b", {"c\u202e": 1}], "d": None, "e": 1.5}
    assert inert_tree(dirty) == {"[2Ja": ["b", {"c": 1}], "d": None, "e": 1.5}


@given(st.text(st.characters(), max_size=200))
def test_cleaning_is_final_and_encodable(text: str) -> None:
    cleaned = inert(text)
    assert inert(cleaned) == cleaned
    assert not any(unicodedata.category(c) == "Cc" for c in cleaned)
    cleaned.encode()


def test_clip_tells_that_there_was_more() -> None:
    assert clip("abcdef", 4) == "abc…"
    assert clip("abcd", 4) == "abcd"
