"""How a person leaves the screen, and how the screen learns that the engine is gone."""

from pathlib import Path

import pytest
from demo_engine import SUMMARY, DemoEngine

from bot.errors import ExitCode
from bot.tui.app import CryptoPipeApp
from bot.tui.dialogs import EndScreen, LeaveScreen
from tests.tui.tui_scene import WAIT_S, scene, screen_text, until


async def test_q_asks_and_cancel_changes_nothing(socket_path: Path) -> None:
    async with scene(socket_path) as (demo, app, pilot):
        await pilot.press("q")
        assert isinstance(app.screen, LeaveScreen)
        assert "One pair is open" in screen_text(app)
        await pilot.press("escape")
        await pilot.pause()
        assert not isinstance(app.screen, LeaveScreen)
        assert app.return_code is None
        assert demo.commands == []


async def test_the_question_tells_what_is_open_while_it_stands(socket_path: Path) -> None:
    async with scene(socket_path, open_pairs=0) as (demo, app, pilot):
        await pilot.press("q")
        await until(lambda: "No pair is open" in screen_text(app), pilot)
        demo.changes["open_pairs"] = 2
        await until(lambda: "2 pairs are open" in screen_text(app), pilot)


async def test_detach_leaves_the_engine_running(socket_path: Path) -> None:
    async with scene(socket_path) as (demo, app, pilot):
        await pilot.press("q", "d")
        await until(lambda: app.return_code is not None, pilot)
    assert app.return_code == 0
    assert demo.commands == []
    assert "engine goes on" in app.last_words[0]


async def test_the_focused_button_is_the_harmless_one(socket_path: Path) -> None:
    async with scene(socket_path) as (demo, app, pilot):
        await pilot.press("q", "enter")
        await until(lambda: app.return_code is not None, pilot)
    assert app.return_code == 0
    assert demo.commands == []


async def test_ctrl_c_asks_too_and_a_second_one_does_not_leave(socket_path: Path) -> None:
    async with scene(socket_path) as (demo, app, pilot):
        await pilot.press("ctrl+c")
        assert isinstance(app.screen, LeaveScreen)
        await pilot.press("ctrl+c")
        assert isinstance(app.screen, LeaveScreen)
        assert len(app.screen_stack) == 2
        assert app.return_code is None
        assert demo.commands == []


async def test_stop_is_sent_and_the_totals_wait_for_a_key(socket_path: Path) -> None:
    async with scene(socket_path) as (demo, app, pilot):
        await pilot.press("q", "s")
        await until(lambda: demo.commands == ["stop"], pilot)
        await until(lambda: "STOPPING" in screen_text(app), pilot)
        demo.server.finished(SUMMARY)
        await until(lambda: isinstance(app.screen, EndScreen), pilot)
        await pilot.pause()
        text = screen_text(app)
        assert "The run is finished" in text
        assert "realised, net (paper)" in text
        assert "3.4183  USDT" in text
        assert app.return_code is None
        await pilot.press("x")
        await until(lambda: app.return_code is not None, pilot)
    assert app.return_code == 0
    assert "  realised, net (paper)  3.4183  USDT" in app.last_words


@pytest.mark.parametrize("key", ["q", "ctrl+c", "escape", "enter"])
async def test_any_key_leaves_the_last_screen(socket_path: Path, key: str) -> None:
    async with scene(socket_path) as (demo, app, pilot):
        demo.server.finished(SUMMARY)
        await until(lambda: isinstance(app.screen, EndScreen), pilot)
        await pilot.press(key)
        await until(lambda: app.return_code is not None, pilot)
    assert app.return_code == 0


async def test_the_end_comes_through_whatever_is_open(socket_path: Path) -> None:
    async with scene(socket_path) as (demo, app, pilot):
        await pilot.press("question_mark")
        demo.server.finished(SUMMARY)
        await until(lambda: isinstance(app.screen, EndScreen), pilot)
        assert len(app.screen_stack) == 2


async def test_an_engine_that_vanishes_is_told_and_is_no_success(socket_path: Path) -> None:
    async with scene(socket_path) as (demo, app, pilot):
        await demo.server.stop()
        await until(lambda: isinstance(app.screen, EndScreen), pilot)
        await pilot.pause()
        assert "The engine is gone" in screen_text(app)
        await pilot.press("space")
        await until(lambda: app.return_code is not None, pilot)
    assert app.return_code == ExitCode.BUG
    assert "without finishing" in app.last_words[0]


async def test_no_engine_is_one_line_and_exit_2(socket_path: Path) -> None:
    app = CryptoPipeApp(socket_path)
    async with app.run_test() as pilot:
        await until(lambda: app.return_code is not None, pilot)
    assert app.return_code == ExitCode.SETTINGS
    assert "no engine is running" in app.last_words[0]


async def test_an_engine_that_is_starting_is_waited_for(socket_path: Path) -> None:
    app = CryptoPipeApp(socket_path, wait_s=WAIT_S)
    demo = DemoEngine(socket_path)
    async with app.run_test() as pilot:
        await pilot.pause(0.2)
        await demo.server.start()
        await until(lambda: app._painted is not None, pilot)
    await demo.server.stop()
