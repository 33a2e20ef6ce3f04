"""A screen over a prepared snapshot, and what stands on it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from demo_engine import DemoEngine
from textual.pilot import Pilot

from bot.tui.app import CryptoPipeApp

WAIT_S = 60
Scene = tuple[DemoEngine, CryptoPipeApp, Pilot[None]]


def screen_text(app: CryptoPipeApp) -> str:
    """What stands on the terminal, line by line."""
    frame = app.screen._compositor.render_strips()
    return "\n".join(strip.text for strip in frame)


async def until(condition: Callable[[], bool], pilot: Pilot[None]) -> None:
    async with asyncio.timeout(WAIT_S):
        while not condition():
            await pilot.pause(0.01)


@asynccontextmanager
async def scene(path: Path, size: tuple[int, int] = (120, 40), **changes: Any) -> AsyncIterator[Scene]:
    demo = DemoEngine(path, **changes)
    await demo.server.start()
    app = CryptoPipeApp(path)
    try:
        async with app.run_test(size=size) as pilot:
            await until(lambda: app._painted is not None and "Top of book" in screen_text(app), pilot)
            await pilot.pause()
            yield demo, app, pilot
    finally:
        await demo.server.stop()
