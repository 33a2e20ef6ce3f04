"""Panel 7: the break-even surface on a real socket, at both sizes of a terminal."""

from pathlib import Path
from typing import Any

import pytest

from bot.domain.snapshot import CostRow, SizeRow, SurfaceRow
from bot.tui.dialogs import RowScreen
from tests.tui.demo_engine import START_NS
from tests.tui.tui_scene import scene, screen_text, until

SIZES = [(120, 40), (80, 24)]


def size(notional: float, offered: float | None, why: str = "net edge -1.9 bps, at least 1 needed",
         **more: Any) -> SizeRow:  # fmt: skip
    fees = CostRow(name="fee open buy binance.linear", bps=5.0, assumed=False)
    fields: dict[str, Any] = {
        "notional": notional, "quantity": "0.05", "offered_bps": offered, "needed_bps": 21.02,
        "missing_bps": None if offered is None else 22.02 - offered,
        "net_bps": None if offered is None else offered - 21.02, "costs": (fees,), "limit": "net_edge",
        "why_not": why, "trades_at": {}, "then": "",
    }  # fmt: skip
    return SizeRow(**(fields | more))


def surface() -> tuple[SurfaceRow, ...]:
    return (
        SurfaceRow(
            route="convergence:binance:BTC/USDT:USDT>bybit:BTC/USDT:USDT", kind="convergence",
            buy="binance:BTC/USDT:USDT", sell="bybit:BTC/USDT:USDT", currency="USDT", ts_ns=START_NS,
            sizes=(
                size(100, 30.0, "", limit=""),
                size(10_000, 19.99, trades_at={"bybit.linear": "VIP 1"}),
                size(100_000, None, "depth 66,000 USDT, at least 1e+05 needed", limit="depth"),
            ),
        ),
    )  # fmt: skip


@pytest.mark.parametrize("terminal", SIZES, ids=["120x40", "80x24"])
async def test_b_shows_every_size_on_the_whole_screen_and_goes_back(
    socket_path: Path, terminal: tuple[int, int]
) -> None:
    async with scene(socket_path, terminal, surface=surface()) as (_, app, pilot):
        assert "7 Break-even" not in screen_text(app)
        await pilot.press("b")
        await until(lambda: app.screen.maximized is not None and "7 Break-even" in screen_text(app), pilot)
        await until(lambda: "100,000 USDT" in screen_text(app), pilot)
        text = screen_text(app)
        for words in ("RECORDED MARKET", "Offered", "Needed", "Missing", "100 USDT", "10,000 USDT", "30.0", "21.0",
                      "-8.0", "2.0", "trades", "net edge", "depth"):  # fmt: skip
            assert words in text, words
        assert ("VIP 1" in text) == (terminal[0] > 100), "left out where the line is short; enter shows it"
        assert "2 Routes" not in text
        await pilot.press("b")
        await until(lambda: app.screen.maximized is None, pilot)
        await until(lambda: "2 Routes" in screen_text(app) and "3 Feeds" in screen_text(app), pilot)
        assert getattr(app.focused, "id", None) == "routes", "where the cursor was"


async def test_b_goes_back_to_the_panel_that_shared_its_place(socket_path: Path) -> None:
    async with scene(socket_path, (80, 24), surface=surface()) as (_, app, pilot):
        await pilot.press("6")
        await until(lambda: "6 Jobs" in screen_text(app), pilot)
        await pilot.press("b")
        await until(lambda: app.screen.maximized is not None and "7 Break-even" in screen_text(app), pilot)
        await pilot.press("b")
        await until(lambda: "6 Jobs" in screen_text(app) and "7 Break-even" not in screen_text(app), pilot)
        assert getattr(app.focused, "id", None) == "jobs"


async def test_a_whole_row_names_every_cost_and_the_tiers(socket_path: Path) -> None:
    async with scene(socket_path, (80, 24), surface=surface()) as (_, app, pilot):
        await pilot.press("7")
        await until(lambda: "7 Break-even" in screen_text(app), pilot)
        await pilot.press("down", "enter")
        await until(lambda: isinstance(app.screen, RowScreen), pilot)
        await until(lambda: "bybit.linear VIP 1" in screen_text(app), pilot)
        assert "net edge -1.9 bps, at least 1 needed" in screen_text(app)
        await pilot.press("pagedown")
        await until(lambda: "fee open buy binance.linear 5.00" in screen_text(app), pilot)


async def test_the_panels_that_share_its_place_come_back(socket_path: Path) -> None:
    async with scene(socket_path, surface=surface()) as (_, app, pilot):
        await pilot.press("7")
        await until(lambda: "7 Break-even" in screen_text(app) and "3 Feeds" not in screen_text(app), pilot)
        await pilot.press("6")
        await until(lambda: "6 Jobs" in screen_text(app) and "7 Break-even" not in screen_text(app), pilot)
        await pilot.press("3")
        await until(lambda: "3 Feeds" in screen_text(app), pilot)
