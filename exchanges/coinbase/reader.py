"""Coinbase's live market data: books and trades over as few connections as may carry them, and its clock."""

import json
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from bot.ports import FeedState, MarketSink, Wiring
from bot.settings import Settings
from exchanges.coinbase.clock import asking_time
from exchanges.coinbase.decoder import CoinbaseDecoder
from exchanges.coinbase.endpoints import SPOT, rest_url, stream_url
from exchanges.common.market.connection import SupervisedConnection
from exchanges.common.market.feed_reader import FeedReader
from exchanges.common.market.feed_state import GONE, FeedStates
from exchanges.common.market.plan import StreamPlan
from exchanges.common.market.renewable import RenewableConnection

_PRODUCTS_PER_CONNECTION = 10
"""Each begins with its whole book, of some MB; a lost message brings all those of its connection again."""


class CoinbaseReader(FeedReader):
    """Reads `coinbase.spot` into a sink."""

    def __init__(
        self,
        slots: Mapping[str, int],
        sink: MarketSink,
        wiring: Wiring,
    ) -> None:
        """Nothing happens before `start`; `slots` maps products (`BTC-USD`) to slots.

        Raises:
            SettingsError: If it would read the real exchange where nothing may leave the machine.
        """
        settings = wiring.settings
        plans = stream_plans(sorted(slots), settings)

        def connect(states: FeedStates) -> Sequence[SupervisedConnection]:
            return [
                _Connected(plan, {name: slots[name] for name in part}, sink, wiring, states).connection
                for part, plan in plans
            ]

        super().__init__(SPOT, sink, partial(asking_time, rest_url(settings)), connect, wiring)


class _Connected:
    """One connection and the decoder that counts its messages."""

    def __init__(
        self,
        plan: StreamPlan,
        slots: Mapping[str, int],
        sink: MarketSink,
        wiring: Wiring,
        states: FeedStates,
    ) -> None:
        self._tell = states.of(plan.name)
        self._decoder = CoinbaseDecoder(slots, sink, self._renew)
        self.connection = RenewableConnection(
            plan,
            settings=wiring.settings.connection,
            clock=wiring.clock,
            rng=wiring.rng,
            on_frame=self._decoder.on_frame,
            on_batch_end=sink.on_batch_end,
            on_state=self._on_state,
            tap=wiring.tap,
        )

    def _renew(self, reason: str) -> None:
        # Whole books come with a new connection alone: a subscription renewed on an old one may never be served.
        self.connection.renew(reason)

    def _on_state(self, state: FeedState, detail: str) -> None:
        if state in GONE:
            self._decoder.reset()
        self._tell(state, detail)


def stream_plans(products: Sequence[str], settings: Settings) -> list[tuple[Sequence[str], StreamPlan]]:
    """The connections that carry these products, and which each carries."""
    size = _PRODUCTS_PER_CONNECTION
    parts = [products[at : at + size] for at in range(0, len(products), size)]
    return [
        (part, _plan(tuple(part), settings, f" #{number}" if len(parts) > 1 else ""))
        for number, part in enumerate(parts, start=1)
    ]


def _plan(products: tuple[str, ...], settings: Settings, number: str) -> StreamPlan:
    return StreamPlan(
        name=f"{SPOT} stream{number}",
        feed=SPOT,
        url=stream_url(settings),
        streams=tuple(f"level2 {product}" for product in products),
        # Every frame counts as data, the first one too: a planned reconnect must not deliver frames of two
        # connections in turn, since each counts its own.
        data_prefix=b'{"channel":"',
        route_hint="check venues.coinbase.spot.stream_url and the symbols",
        subscribe=(
            _subscribe("level2", products),
            _subscribe("market_trades", products),
            # A message a second: shows that the connection lives, and keeps it open where nothing trades.
            _subscribe("heartbeats", ()),
        ),
    )


def _subscribe(channel: str, products: tuple[str, ...]) -> bytes:
    message: dict[str, Any] = {"type": "subscribe", "channel": channel}
    if products:
        message["product_ids"] = products
    return json.dumps(message, separators=(",", ":")).encode()
