"""What `--mode kill` reads by itself: the same directory and market as the run that it is to stop."""

from pathlib import Path

import pytest

from bot.command_line import parse
from bot.settings.loader import load_settings
from modes.kill_words import quick_market, quick_words
from strategies.registry import strategy_settings

_OVERLAYS = "market_overrides:\n  live:\n    data_dir: /srv/live\n"


@pytest.mark.parametrize(
    ("words", "environ", "text"),
    [
        ((), {"CRYPTO_PIPE__DATA_DIR": '"/srv/quoted"'}, ""),
        ((), {"CRYPTO_PIPE__DATA_DIR": " /srv/blanks "}, ""),
        ((), {"CRYPTO_PIPE__data_dir": "/srv/lower"}, ""),
        (("--set", "data_dir = /srv/set"), {}, ""),
        (("--set", "data_dir='/srv/two words'"), {}, ""),
        (("--set", "market= live"), {}, _OVERLAYS),
        ((), {"CRYPTO_PIPE__MARKET": "'live'"}, _OVERLAYS),
        (("--market", "live"), {}, "market_overrides:\n  live.data_dir: /srv/live\n"),
        (("--market", "live"), {}, "market_overrides.live.data_dir: /srv/live\n"),
        (("--market", "live"), {}, "market_overrides.live:\n  data_dir: /srv/live\n"),
        (("--market", "testnet"), {}, f"data_dir: /srv/base\n{_OVERLAYS}"),
    ],
)
def test_the_flag_lies_where_the_run_looks_for_it(
    tmp_path: Path, words: tuple[str, ...], environ: dict[str, str], text: str
) -> None:
    file = tmp_path / "settings.yaml"
    file.write_text(text)
    asked = ["--mode", "kill", "--settings", str(file), *words]
    arguments = parse(asked)
    run = load_settings(file, environ, arguments.set, arguments.flags(), strategy_settings()).settings

    found = quick_words(asked, environ, file)

    assert found is not None
    assert (found.data_dir, quick_market(asked, environ, file)) == (run.data_dir, run.market)


def test_a_quote_that_does_not_end_is_taken_as_it_stands(tmp_path: Path) -> None:
    found = quick_words(["--mode", "kill"], {"CRYPTO_PIPE__DATA_DIR": '"/srv/x'}, tmp_path / "none.yaml")

    assert found is not None
    assert found.data_dir == Path('"/srv/x')


def test_the_command_line_of_a_run_with_another_mode_stops_that_run(tmp_path: Path) -> None:
    run = ["--strategy", "arbitrage", "--market", "live", "--real-money", "--headless", "--for", "2h", "--shadow"]
    file = tmp_path / "settings.yaml"
    file.write_text(_OVERLAYS)

    found = quick_words([*run, "--mode", "kill", "--flatten"], {}, file)

    assert found is not None, "nobody looks up which options belong to a kill"
    assert (found.data_dir, found.flatten) == (Path("/srv/live"), True)
    assert parse(list(found.asked)).mode == "kill", "what the settings are asked with is understood"


@pytest.mark.parametrize("words", [("--flaten",), ("--since", "2h"), ("--for",)])
def test_what_is_no_option_of_a_run_is_left_to_who_knows_them_all(tmp_path: Path, words: tuple[str, ...]) -> None:
    assert quick_words(["--mode", "kill", *words], {}, tmp_path / "none.yaml") is None
