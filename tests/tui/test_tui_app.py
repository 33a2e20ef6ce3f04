"""The terminal UI against an engine on a real socket: keys pressed, commands and screens looked at."""

import re
from pathlib import Path

import pytest
from demo_engine import prepared, top

from bot.domain.shadow import ShadowStatus, figures
from bot.domain.snapshot import LogLine
from bot.tui.dialogs import RowScreen
from bot.tui.help import GLOSSARY, HelpScreen
from tests.tui.tui_scene import scene, screen_text, until


@pytest.mark.parametrize("size", [(120, 40), (80, 24)], ids=["120x40", "80x24"])
async def test_the_essentials_are_on_the_screen(socket_path: Path, size: tuple[int, int]) -> None:
    async with scene(socket_path, size) as (_, app, _pilot):
        text = screen_text(app)
        for words in (
            "RECORDED MARKET", "PAPER MONEY", "● ACTIVE", "Realised (paper)", "+3.4183 USDT", "Unrealised",
            "10:00:0", "UTC", "31%", "needs 21.0 bps", "binance.linear", "older than", "ASSUMED", "5,230",
            "? Help", "q Quit", "Needed", "Why not", "1 pair open",
        ):  # fmt: skip
            assert words in text, words
        assert len(text.splitlines()) == size[1]


@pytest.mark.parametrize("size", [(120, 40), (80, 24)], ids=["120x40", "80x24"])
async def test_a_simulated_market_says_so_and_what_a_calm_day_earns(socket_path: Path, size: tuple[int, int]) -> None:
    line = "Same 10 min in calm: 0 taken, +0.00 USDT; best edge 3.4 of 21.5 bps"
    async with scene(socket_path, size, market="simulated", comparison=line) as (demo, app, pilot):
        text = screen_text(app)
        assert "SIMULATED MARKET" in text
        assert line in text.splitlines()[3]
        assert "1 Top of book" in text.splitlines()[4]
        demo.changes["comparison"] = ""
        await until(lambda: "1 Top of book" in screen_text(app).splitlines()[3], pilot)
        assert "in calm" not in screen_text(app)


async def test_real_orders_beside_paper_ones_are_on_every_screen(socket_path: Path) -> None:
    nothing = figures([])
    shadow = ShadowStatus(
        run_id="r-s", money="REAL MONEY", state="HALTED", shadowed=7, not_shadowed={"balance binance.spot": 2},
        open_twins=1, real_orders=14, real_pnl={}, figures=nothing, by_venue={}, by_route={},
    )  # fmt: skip
    async with scene(socket_path, (120, 40), market="live", shadow=shadow, comparison="") as (_, app, _pilot):
        lines = screen_text(app).splitlines()
        assert "SHADOW: REAL MONEY" in lines[0]
        assert "PAPER MONEY" in lines[0]
        assert "SHADOW (REAL MONEY, HALTED): 7 pairs shadowed, 2 not shadowed; 0 fills compared" in lines[3]


@pytest.mark.parametrize("key", ["q", "s"])
async def test_who_leaves_or_stops_reads_of_the_real_pairs_beside_paper_ones(socket_path: Path, key: str) -> None:
    shadow = ShadowStatus(
        run_id="r-s", money="REAL MONEY", state="ACTIVE", shadowed=1, not_shadowed={}, open_twins=1, real_orders=2,
        real_pnl={}, figures=figures([]), by_venue={}, by_route={},
    )  # fmt: skip
    async with scene(socket_path, market="live", shadow=shadow, comparison="", open_pairs=0) as (_, app, pilot):
        await pilot.press(key)
        await until(lambda: "No pair is open. SHADOW (REAL MONEY): 1 open." in screen_text(app), pilot)


async def test_a_snapshot_that_arrives_while_the_panels_close_is_not_painted(
    socket_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    late = []
    async with scene(socket_path) as (_, app, _pilot):
        books = app._books
        leave = books._message_loop_exit

        async def leave_and_paint() -> None:
            await leave()
            books.notify_style_update()  # what Textual remembers of its styles goes with a change of theme
            app._painted = None
            app._paint()
            late.append(app.screen_stack)

        monkeypatch.setattr(books, "_message_loop_exit", leave_and_paint)
    assert len(late) == 1
    assert late[0], "the screen still stood when the late snapshot came"


async def test_what_the_engine_says_when_the_screens_are_gone_is_not_shown(socket_path: Path) -> None:
    async with scene(socket_path) as (_, app, _pilot):
        painted = app._painted
    app._take(prepared(7))
    app._show_loss("closed")
    assert app._painted is painted
    assert not app.screen_stack


async def test_real_money_is_said_in_words(socket_path: Path) -> None:
    async with scene(socket_path, market="live", real_money=True, progress=None) as (_, app, _pilot):
        text = screen_text(app)
        assert "LIVE MARKET" in text
        assert "REAL MONEY" in text
        assert "Realised (real)" in text
        assert "PAPER" not in text.upper()


async def test_no_profit_is_shown_as_none(socket_path: Path) -> None:
    async with scene(socket_path, realised={}, unrealised={}, tops=(), routes=(), feeds=()) as (_, app, _pilot):
        text = screen_text(app)
        assert "Realised (paper) none" in text
        assert "no route yet" in text


async def test_numbers_are_right_aligned_under_their_titles(socket_path: Path) -> None:
    async with scene(socket_path, size=(160, 40)) as (_, app, _pilot):
        lines = screen_text(app).splitlines()
        titles = next(line for line in lines if "Needed" in line)
        end = titles.index("Needed") + len("Needed")
        rows = [line for line in lines if " → " in line and "Buy" not in line]
        assert len(rows) == 5
        assert {line[end - 4 : end] for line in rows} == {"28.1", "21.0", "30.0", "31.5"}


async def test_open_pairs_come_first_and_then_the_best(socket_path: Path) -> None:
    async with scene(socket_path) as (_, app, _pilot):
        rows = [line for line in screen_text(app).splitlines() if " → " in line and "Buy" not in line]
        assert "0.412" in rows[0]
        assert "ETH/USDT:USDT binance → bybit" in rows[1]
        assert "no fresh quote" in rows[-1]


async def test_the_log_shows_levels_in_words_and_follows(socket_path: Path) -> None:
    async with scene(socket_path, size=(80, 24)) as (demo, app, pilot):
        for number in range(30):
            demo.server.log("info", f"line {number}")
        demo.server.log("error", "it broke")
        await until(lambda: "ERROR it broke" in screen_text(app), pilot)


async def test_lines_that_the_engine_no_longer_had_are_told(socket_path: Path) -> None:
    async with scene(socket_path) as (_, app, pilot):
        lines = [LogLine(number=number, ts_ns=0, level="info", text=f"line {number}") for number in (1, 2, 5)]
        app._messages.add(lines)
        await pilot.pause()
        rows = screen_text(app).splitlines()
        at = next(y for y, row in enumerate(rows) if "line 2" in row)
        assert "WARN  2 lines were not received" in rows[at + 1]
        assert "line 5" in rows[at + 2]


async def test_scrolling_up_in_the_log_stops_following(socket_path: Path) -> None:
    async with scene(socket_path, (80, 24)) as (_, app, pilot):
        app._messages.add([LogLine(number=n, ts_ns=0, level="info", text=f"line {n}") for n in range(1, 51)])
        await pilot.press("5", "up", "up")
        await until(lambda: not app._messages._follows, pilot)
        top = app._messages.scroll_offset.y
        app._messages.add([LogLine(number=51, ts_ns=0, level="info", text="line 51")])
        await pilot.pause()
        assert app._messages.scroll_offset.y == top
        assert "line 51" not in screen_text(app)
        await pilot.press("end")
        await until(lambda: "line 51" in screen_text(app), pilot)


async def test_p_pauses_the_display_only(socket_path: Path) -> None:
    async with scene(socket_path) as (demo, app, pilot):
        await pilot.press("p")
        await until(lambda: "DISPLAY PAUSED" in screen_text(app), pilot)
        frozen = app._painted
        demo.changes["headline"] = "news"
        demo.server.log("info", "written while paused")
        await until(lambda: app._newest is not None and app._newest.headline == "news", pilot)
        await pilot.pause(0.3)
        assert app._painted is frozen
        assert "news" not in screen_text(app)
        assert demo.commands == []
        await pilot.press("p")
        await until(lambda: "news" in screen_text(app) and "written while paused" in screen_text(app), pilot)


async def test_h_holds_and_trades_on(socket_path: Path) -> None:
    async with scene(socket_path) as (demo, app, pilot):
        await pilot.press("h")
        await until(lambda: demo.commands == ["pause"], pilot)
        await until(lambda: "▲ REDUCING" in screen_text(app), pilot)
        await pilot.press("h")
        await until(lambda: demo.commands == ["pause", "resume"], pilot)


async def test_h_holds_what_the_machine_has_reduced(socket_path: Path) -> None:
    """It would trade again by itself in a moment: who presses the key wants it not to."""
    standing = {"loop": "the loop stood still for 3.0 s"}
    async with scene(socket_path, state="REDUCING", reducing=standing) as (demo, _, pilot):
        await pilot.press("h")
        await until(lambda: demo.commands == ["pause"], pilot)


@pytest.mark.parametrize("state", ["HALTED", "FINISHED"])
async def test_h_does_not_wake_a_halted_engine(socket_path: Path, state: str) -> None:
    async with scene(socket_path, state=state) as (demo, app, pilot):
        assert state in screen_text(app)
        await pilot.press("h")
        await pilot.press("q", "s")
        await until(lambda: "stop" in demo.commands, pilot)
        assert demo.commands == ["stop"]


@pytest.mark.parametrize("size", [(120, 40), (80, 24)], ids=["120x40", "80x24"])
async def test_digits_go_to_the_panels(socket_path: Path, size: tuple[int, int]) -> None:
    async with scene(socket_path, size) as (_, app, pilot):
        for key, name in zip("12345", ("books", "routes", "feeds", "decisions", "log"), strict=True):
            await pilot.press(key)
            await pilot.pause()
            assert app.focused is not None
            assert app.focused.id == name
            assert app.focused.region.height > 0


async def test_a_small_screen_shows_decisions_on_demand(socket_path: Path) -> None:
    async with scene(socket_path, (80, 24)) as (_, app, pilot):
        assert "3 Feeds" in screen_text(app)
        assert "4 Decisions" not in screen_text(app)
        await pilot.press("4")
        await pilot.pause()
        assert "4 Decisions" in screen_text(app)
        assert "3 Feeds" not in screen_text(app)


async def test_zoom_keeps_the_header(socket_path: Path) -> None:
    async with scene(socket_path, (80, 24)) as (_, app, pilot):
        await pilot.press("2", "z")
        await pilot.pause(0.1)
        text = screen_text(app)
        assert "PAPER MONEY" in text
        assert "no fresh quote" in text
        assert "1 Top of book" not in text
        await pilot.press("z")
        await pilot.pause(0.1)
        assert "1 Top of book" in screen_text(app)


async def test_enter_shows_a_whole_row(socket_path: Path) -> None:
    async with scene(socket_path, (80, 24)) as (_, app, pilot):
        await pilot.press("2", "down", "down", "down", "down", "enter")
        await pilot.pause()
        assert isinstance(app.screen, RowScreen)
        assert "no fresh quote on bybit.spot" in screen_text(app)
        await pilot.press("escape")
        await pilot.pause()
        assert not isinstance(app.screen, RowScreen)


async def test_help_explains_the_words_of_the_screen(socket_path: Path) -> None:
    async with scene(socket_path) as (_, app, pilot):
        await pilot.press("question_mark")
        await pilot.pause()
        assert isinstance(app.screen, HelpScreen)
        assert "top of book" in screen_text(app)
        await pilot.press("escape")
        await pilot.pause()
        assert not isinstance(app.screen, HelpScreen)
    assert {"TOB", "net edge", "bps", "leg", "funding", "basis", "hedge", "ASSUMED"} <= GLOSSARY.keys()


async def test_silence_of_the_engine_is_shown(socket_path: Path) -> None:
    async with scene(socket_path) as (_, app, pilot):
        app._heard_ns -= 10_000_000_000
        app._paint()
        await pilot.pause()
        told = re.search(r"NO NEWS FOR (\d+) s", screen_text(app))
        assert told is not None
        assert int(told[1]) >= 10


async def test_only_changed_lines_are_painted(socket_path: Path) -> None:
    async with scene(socket_path, tops=(top("binance.spot", "ETH/USDT", 102.0, 2, 0),), routes=()) as (_, app, pilot):
        await until(lambda: app.query_one("#books").region.height > 0, pilot)
        app.query_one("#books")._repaint_regions.clear()
        app._books.show_tops((top("binance.spot", "ETH/USDT", 102.0, 2, 0),))
        assert not app._books._repaint_regions
        app._books.show_tops((top("binance.spot", "ETH/USDT", 101.0, 2, 0),))
        assert [region.height for region in app._books._repaint_regions] == [1]
