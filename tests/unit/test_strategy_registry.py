"""Strategies are found by what lies in `strategies/`; what is there and is none says so in one line."""

from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import BaseModel, ConfigDict

import strategies
from bot.errors import SettingsError
from bot.settings.loader import load_settings
from bot.settings.schema import settings_model
from bot.strategy_entry import StrategyEntry, section_name
from strategies.registry import build_strategy, strategy_settings

Place = Callable[[str, str], None]

GOOD = """
from pydantic import BaseModel, ConfigDict
from bot.strategy_entry import StrategyEntry

class Mine(BaseModel):
    model_config = ConfigDict(extra="forbid")
    depth: int = 3

STRATEGY = StrategyEntry({name!r}, Mine, lambda settings: settings)
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """Puts a module beside the shipped strategies."""
    monkeypatch.setattr(strategies, "__path__", [*strategies.__path__, str(tmp_path)])

    def put(name: str, text: str) -> None:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)

    return put


def test_the_shipped_strategies_are_found() -> None:
    assert {"arbitrage", "spread-reversion"} <= set(strategy_settings())


def test_a_module_is_found_by_lying_there(place: Place) -> None:
    place("registry_lone_file.py", GOOD.format(name="lone-file"))
    assert "lone-file" in strategy_settings()
    settings = settings_model(strategy_settings())(layers=[{"lone_file": {"depth": 7}}])
    assert build_strategy("lone-file", settings).depth == 7  # type: ignore[attr-defined]


def test_a_folder_is_found_by_lying_there(place: Place) -> None:
    place("registry_folder/__init__.py", GOOD.format(name="in-a-folder"))
    assert "in-a-folder" in strategy_settings()


def test_a_helper_with_an_underscore_is_no_strategy(place: Place) -> None:
    place("_registry_helper.py", "raise RuntimeError('nobody imports me')")
    assert not any("helper" in name for name in strategy_settings())


@pytest.mark.parametrize(
    ("module", "text", "said"),
    [
        ("registry_silent", "x = 1", "strategies/registry_silent says no STRATEGY"),
        ("registry_text", "STRATEGY = 'mine'", "says a STRATEGY that is a str"),
        ("registry_broken", "1 / 0", "strategies/registry_broken cannot be imported: ZeroDivisionError"),
        ("registry_twin", GOOD.format(name="arbitrage"), "there is another strategy arbitrage"),
        ("registry_caps", GOOD.format(name="Not_Lower"), "lower-case words joined by hyphens"),
        (
            "registry_lax",
            GOOD.format(name="lax").replace('ConfigDict(extra="forbid")', "ConfigDict()"),
            "must refuse unknown keys",
        ),
        ("registry_need", GOOD.format(name="need").replace("int = 3", "int"), "every one needs a default"),
    ],
)
def test_what_is_no_strategy_stops_the_start_with_one_line(place: Place, module: str, text: str, said: str) -> None:
    place(f"{module}.py", text)
    with pytest.raises(SettingsError) as refused:
        strategy_settings()
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


class Own(BaseModel):
    model_config = ConfigDict(extra="forbid")


def test_a_strategy_cannot_take_the_name_of_a_section() -> None:
    with pytest.raises(SettingsError, match="have a section of this name"):
        settings_model({"quote-gate": Own})


def test_the_section_is_the_name_with_underscores(tmp_path: Path) -> None:
    assert section_name("spread-reversion") == "spread_reversion"
    file = tmp_path / "settings.yaml"
    file.write_text("strategy: spread-reversion\nspread_reversion: {entry_ratio: 4}\n")
    loaded = load_settings(file, {}, ["spread_reversion.requote_s=9"], {}, strategy_settings())
    section = loaded.section("spread-reversion").model_dump()
    assert (section["entry_ratio"], section["requote_s"]) == (4.0, 9.0)


def test_a_wrong_name_is_told_the_nearest(tmp_path: Path) -> None:
    file = tmp_path / "settings.yaml"
    file.write_text("")
    with pytest.raises(SettingsError, match=r"did you mean spread-reversion\?"):
        load_settings(file, {}, [], {"strategy": "spread_reversion"}, strategy_settings())


def test_settings_that_are_no_model_are_refused() -> None:
    assert "no pydantic model" in (StrategyEntry("fine", int, int).problem() or "")  # type: ignore[type-var, arg-type]
