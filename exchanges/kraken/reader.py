"""Kraken's live market data: tops of book and trades over as few connections as may carry them, and its clock."""

import json
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from bot.ports import MarketSink, Wiring
from bot.settings import Settings
from exchanges.common.market.connection import SupervisedConnection
from exchanges.common.market.feed_reader import FeedReader, connections
from exchanges.common.market.feed_state import FeedStates
from exchanges.common.market.plan import StreamPlan
from exchanges.kraken.clock import asking_time
from exchanges.kraken.decoder import KrakenDecoder
from exchanges.kraken.endpoints import SPOT, stream_url

_SYMBOLS_PER_MESSAGE = 100
_SYMBOLS_PER_CONNECTION = 200
"""Kraken names no limit; fewer keep one bad connection from taking everything with it."""
_PING_EVERY_S = 20.0


class KrakenReader(FeedReader):
    """Reads `kraken.spot` into a sink."""

    def __init__(
        self,
        slots: Mapping[str, int],
        sink: MarketSink,
        wiring: Wiring,
    ) -> None:
        """Nothing happens before `start`; `slots` maps v2 symbols (`BTC/USD`) to slots.

        Raises:
            SettingsError: If it would read the real exchange where nothing may leave the machine.
        """
        settings = wiring.settings
        plans = stream_plans(sorted(slots), settings)

        def connect(states: FeedStates) -> Sequence[SupervisedConnection]:
            on_frame = KrakenDecoder(slots, sink, states.note).on_frame
            return connections(plans, sink, on_frame, states.of, wiring)

        super().__init__(SPOT, sink, partial(asking_time, stream_url(settings)), connect, wiring)


def stream_plans(symbols: Sequence[str], settings: Settings) -> list[StreamPlan]:
    """The connections that carry these symbols."""
    parts = [symbols[at : at + _SYMBOLS_PER_CONNECTION] for at in range(0, len(symbols), _SYMBOLS_PER_CONNECTION)]
    return [
        _plan(tuple(part), settings, f" #{number}" if len(parts) > 1 else "")
        for number, part in enumerate(parts, start=1)
    ]


def _plan(symbols: tuple[str, ...], settings: Settings, number: str) -> StreamPlan:
    return StreamPlan(
        name=f"{SPOT} /v2{number}",
        feed=SPOT,
        url=stream_url(settings),
        streams=tuple(f"ticker {symbol}" for symbol in symbols),
        data_prefix=b'{"channel":"ticker"',
        # A pair may be quiet for minutes; Kraken then says every second that the connection is alive.
        alive_prefix=b'{"channel":"heartbeat"',
        route_hint="Kraken serves tickers on /v2: check venues.kraken.spot.stream_url and the symbols",
        subscribe=tuple(_subscriptions(symbols)),
        heartbeat=b'{"method":"ping"}',
        heartbeat_every_s=_PING_EVERY_S,
    )


def _subscriptions(symbols: tuple[str, ...]) -> list[bytes]:
    channels: tuple[dict[str, Any], ...] = (
        # `bbo`: on every change of the best prices or sizes, not only when something trades.
        {"channel": "ticker", "event_trigger": "bbo", "snapshot": True},
        {"channel": "trade", "snapshot": False},
    )
    return [
        _subscribe({**channel, "symbol": symbols[at : at + _SYMBOLS_PER_MESSAGE]})
        for channel in channels
        for at in range(0, len(symbols), _SYMBOLS_PER_MESSAGE)
    ]


def _subscribe(parameters: dict[str, Any]) -> bytes:
    return json.dumps({"method": "subscribe", "params": parameters}, separators=(",", ":")).encode()
