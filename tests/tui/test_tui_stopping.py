"""`s`: the box that asks how much is to be stopped, and what the engine is told."""

from pathlib import Path

import pytest
from demo_engine import prepared, route

from bot.tui.stopping import StopScreen
from tests.tui.tui_scene import scene, screen_text, until

FIRST = "cash_and_carry:binance:ETH/USDT>bybit:ETH/USDT:USDT"
"""Has an open pair, and stands first."""


@pytest.mark.parametrize(
    ("key", "asked"),
    [
        ("r", ("pause", FIRST)), ("c", ("flatten", FIRST)), ("a", ("pause", None)), ("t", ("resume", None)),
        ("f", ("flatten", None)), ("H", ("halt", None)),
    ],
)  # fmt: skip
async def test_each_choice_is_told_to_the_engine(socket_path: Path, key: str, asked: tuple[str, str | None]) -> None:
    async with scene(socket_path) as (demo, app, pilot):
        await pilot.press("s")
        await until(lambda: isinstance(app.screen, StopScreen), pilot)
        await pilot.pause()
        assert FIRST in screen_text(app)
        await pilot.press(key)
        await until(lambda: bool(demo.asked), pilot)
        assert demo.asked == [asked]
        assert not isinstance(app.screen, StopScreen)


async def test_the_route_under_the_cursor_is_meant(socket_path: Path) -> None:
    async with scene(socket_path) as (demo, app, pilot):
        await pilot.press("down", "s")
        await until(lambda: isinstance(app.screen, StopScreen), pilot)
        await pilot.press("r")
        await until(lambda: bool(demo.asked), pilot)
        assert demo.asked == [("pause", "convergence:binance:ETH/USDT:USDT>bybit:ETH/USDT:USDT")]


async def test_a_paused_route_says_so_and_is_resumed_by_the_same_key(socket_path: Path) -> None:
    paused = route("convergence", "binance:ETH/USDT:USDT", "bybit:ETH/USDT:USDT", 0.8, 21.0, paused=True,
                   why_not="paused by a person")  # fmt: skip
    async with scene(socket_path, routes=(paused,)) as (demo, app, pilot):
        assert "paused by a person" in screen_text(app)
        await pilot.press("s")
        await until(lambda: isinstance(app.screen, StopScreen), pilot)
        await pilot.pause()
        assert "let it trade again" in screen_text(app)
        await pilot.press("r")
        await until(lambda: bool(demo.asked), pilot)
        assert demo.asked == [("resume", paused.route)]


@pytest.mark.parametrize("key", ["escape", "s", "q"])
async def test_it_can_be_left_without_a_word(socket_path: Path, key: str) -> None:
    async with scene(socket_path) as (demo, app, pilot):
        await pilot.press("s")
        await until(lambda: isinstance(app.screen, StopScreen), pilot)
        await pilot.press("h", "x", key)  # keys of the screen below mean nothing here
        await until(lambda: not isinstance(app.screen, StopScreen), pilot)
        assert demo.asked == []


@pytest.mark.parametrize("size", [(120, 40), (80, 24)], ids=["120x40", "80x24"])
async def test_without_a_route_the_rest_is_there(socket_path: Path, size: tuple[int, int]) -> None:
    async with scene(socket_path, size, routes=(), paused=("",)) as (_, app, pilot):
        assert "PAUSED" in screen_text(app)
        await pilot.press("s", "r", "c")
        await until(lambda: isinstance(app.screen, StopScreen), pilot)
        await pilot.pause()
        text = screen_text(app)
        for words in ("pause all", "trade on", "flatten", "HALT", "One pair is open"):
            assert words in text, words
        assert prepared().paused == ()
