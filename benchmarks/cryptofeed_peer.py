"""cryptofeed's own message handlers, offline: symbols are told to it instead of asked for."""

import asyncio
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any

from benchmarks.peers import load
from bot.domain.instrument import Feed, Segment

Handler = Callable[[str], Awaitable[None]]


def handler(feed: Feed, symbol: str, example: str) -> Handler | None:
    """Its handler of one quote frame, tried on `example`, with a coroutine to call back; None without cryptofeed.

    Bybit's level-1 quotes come through its order book there, for it has no ticker of them.
    """
    exchanges: Any = load("cryptofeed", "cryptofeed.exchanges")
    if exchanges is None:
        return None
    symbols: Any = load("cryptofeed", "cryptofeed.symbols")
    spot = feed.segment is Segment.SPOT
    name = {"binance": "Binance" if spot else "BinanceFutures", "bybit": "Bybit"}[feed.venue]
    channel = "l2_book" if feed.venue == "bybit" else "ticker"
    base, quote = symbol[:-4], symbol[-4:]
    ours = f"{base}-{quote}" if spot else f"{base}-{quote}-PERP"
    exchange = getattr(exchanges, name)
    symbols.Symbols.set(exchange.id, {ours: symbol}, {"instrument_type": {ours: "spot" if spot else "perpetual"}})

    told: list[None] = []

    async def callback(update: object, receipt_timestamp: float) -> None:
        if not told:
            told.append(None)

    reader = exchange(symbols=[ours], channels=[channel], callbacks={channel: callback})
    connection = SimpleNamespace(address=f"wss://localhost/v5/public/{feed.segment}", uuid="benchmark")

    async def handle(text: str) -> None:
        await reader.message_handler(text, connection, 1.0)

    asyncio.run(handle(example))
    if not told:
        raise RuntimeError("cryptofeed did not call back: its figure would mean nothing")
    return handle
