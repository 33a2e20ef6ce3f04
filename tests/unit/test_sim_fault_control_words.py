"""What the bot tells the simulated exchanges that it starts, and what they understand."""

from pathlib import Path

import pytest

from bot.command_line import parse
from bot.settings import SimulatorSettings
from bot.settings.loader import load_settings
from exchanges.simulator.process import _words
from strategies.registry import strategy_settings


@pytest.mark.parametrize(
    "wanted",
    [
        SimulatorSettings(),
        SimulatorSettings(scenario="chaos", seed=7, time_scale=1.5, faults_per_hour=0),
        SimulatorSettings(faults=["gap,venue=bybit,match=BTC/USDT:USDT", "cut,venue=binance"], faults_per_hour=12.5),
    ],
)
def test_the_exchanges_understand_the_bots_settings_whatever_their_own_file_says(
    wanted: SimulatorSettings, tmp_path: Path
) -> None:
    own = tmp_path / "settings.yaml"
    own.write_text("simulator: {scenario: crash, seed: 3, faults: ['cut,venue=bybit'], faults_per_hour: 99}\n")
    arguments = parse(["--mode", "simulate", *_words(wanted)])
    understood = load_settings(own, {}, arguments.set, arguments.flags(), strategy_settings()).settings
    assert understood.simulator == wanted
