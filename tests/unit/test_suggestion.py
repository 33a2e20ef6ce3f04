"""A suggestion for a mistyped word, and that everybody takes it from one place."""

from pathlib import Path

from bot.suggestion import did_you_mean, nearest_word

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = ("bot", "exchanges", "modes", "postmortem", "strategies")


def test_the_nearest_of_the_known_words_is_named() -> None:
    known = {"lively": 1, "calm": 2, "chaos": 3}
    assert nearest_word("livly", known) == "lively"
    assert did_you_mean("livly", set(known), "--scenario ") == "; did you mean --scenario lively?"


def test_nothing_is_said_where_none_is_near() -> None:
    assert nearest_word("xyz", ["calm"]) is None
    assert did_you_mean("xyz", ["calm"]) == did_you_mean("xyz", []) == ""


def test_nobody_looks_for_the_nearest_word_by_hand() -> None:
    files = [path for folder in PROGRAM for path in (ROOT / folder).rglob("*.py")]
    by_hand = [str(path.relative_to(ROOT)) for path in files if "difflib" in path.read_text(encoding="utf-8")]
    assert by_hand == ["bot/suggestion.py"]
