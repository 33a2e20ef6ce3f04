"""Text from outside that wants to steer the terminal: inert wherever it is shown."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from demo_engine import feed, prepared, route, top

from bot.tui.dialogs import EndScreen, RowScreen
from tests.tui.tui_scene import scene, screen_text, until

HOSTILE = "[/][red]\x1b]0;owned\x07\x1b]52;c;ZXZpbA==\x07\x1b[2J\x9b31m\x9d0;x\x9c\u202eevil\u2066[/"


def hostile_snapshot() -> dict[str, Any]:
    bad = HOSTILE
    return {
        "run_id": bad, "strategy": bad, "market": bad, "state": bad, "headline": bad,
        "realised": {bad: Decimal(1)}, "unrealised": {bad: Decimal(-1)}, "refused": {bad: 3}, "closed": {bad: 1},
        "tops": (top(bad, bad, 1.0, 2, 0, venue=bad, bid=bad, bid_qty=bad, ask=bad, ask_qty=bad, status=bad),),
        "routes": (route(bad, bad, bad, 1.0, 2.0, route=bad, why_not=bad, open_quantity=bad, assumed=True),),
        "feeds": (feed(bad, 0, bad),),
    }  # fmt: skip


def dangerous(text: str) -> list[str]:
    return [c for c in text if c != "\n" and (ord(c) < 32 or 0x7F <= ord(c) < 0xA0 or c in "\u202e\u2066")]


@pytest.mark.parametrize("size", [(200, 50), (80, 24)], ids=["200x50", "80x24"])
async def test_hostile_text_is_inert_in_every_panel(socket_path: Path, size: tuple[int, int]) -> None:
    async with scene(socket_path, size, **hostile_snapshot()) as (demo, app, pilot):
        demo.server.log("error", HOSTILE)
        await until(lambda: app._messages._kept.maxlen is not None and len(app._messages._kept) > 0, pilot)
        for panel in "12345":
            await pilot.press(panel, "z")
            assert "[/][red]]0;owned" in screen_text(app), "markup is shown as it came"
            assert not dangerous(screen_text(app))


async def test_hostile_text_is_inert_in_every_dialog(socket_path: Path) -> None:
    async with scene(socket_path, **hostile_snapshot()) as (demo, app, pilot):
        for panel in "1234":
            await pilot.press(panel, "enter")
            assert isinstance(app.screen, RowScreen)
            assert not dangerous(screen_text(app))
            await pilot.press("escape")
        demo.server.finished({HOSTILE: {HOSTILE: HOSTILE}, "pnl": {HOSTILE: HOSTILE}})
        await until(lambda: isinstance(app.screen, EndScreen), pilot)
        await pilot.pause()
        assert "[/][red]]0;owned" in screen_text(app)
        assert not dangerous(screen_text(app))
        await pilot.press("x")
    assert not dangerous("\n".join(app.last_words))
    assert app.return_code == 0


async def test_hostile_text_would_be_seen_by_this_test() -> None:
    assert dangerous(HOSTILE)
    assert dangerous(prepared(headline=HOSTILE).headline)
