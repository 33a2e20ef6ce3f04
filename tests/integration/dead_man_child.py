"""A trader with an order that rests, and a dead-man switch that its own loop pets: to be killed, or stopped."""

import asyncio
import json
import os
import random
import sys
from decimal import Decimal

from pydantic import SecretStr

from bot.clock import SystemClock
from bot.domain.fees import FeeSchedule
from bot.domain.instrument import Feed, Instrument, Segment
from bot.domain.order import Fill, Order, OrderType, Side, TimeInForce
from bot.engine.watches.dead_man import DeadMan
from bot.settings import Settings
from exchanges.binance.actions import BinanceActions
from exchanges.bybit.actions import BybitActions
from exchanges.common.account.account_setup import AccountSetup
from exchanges.common.requests.api_keys import ApiKeys

D = Decimal


class Deaf:
    """Hears nothing."""

    def on_order(self, order: Order) -> None: ...

    def on_fill(self, fill: Fill) -> None: ...


async def main() -> None:
    told = json.loads(os.environ["DEAD_MAN"])
    feed = Feed(venue=told["venue"], segment=Segment.LINEAR)
    what = Instrument(
        venue=feed.venue, segment=feed.segment, symbol="BTC/USDT:USDT", base="BTC", quote="USDT", settle="USDT",
        tick_size=D("0.1"), lot_size=D("0.001"),
    )  # fmt: skip
    endpoint = {"rest_url": told["rest"], "stream_url": told["stream"]}
    settings = Settings.model_validate({"venues": {feed.venue: {"linear": endpoint}}})
    keys = ApiKeys(key=SecretStr(told["key"]), secret=SecretStr(told["secret"]))
    fees = {feed: FeeSchedule(feed=feed, maker_bps=D(1), taker_bps=D(1), source="settings")}
    kind: type[BinanceActions] | type[BybitActions] = {"binance": BinanceActions, "bybit": BybitActions}[feed.venue]
    clock = SystemClock()
    actions = kind(AccountSetup(
        {feed: {"BTCUSDT": what}}, keys, settings, clock, random.Random(1), fees,
        lambda level, text: print(level, text, file=sys.stderr, flush=True), Deaf(),
    ))  # fmt: skip
    await actions.start()
    DeadMan(actions, clock, told["within_s"]).start()  # type: ignore[arg-type]
    order = Order(
        client_order_id="rests",
        instrument=what,
        side=Side.BUY,
        type=OrderType.LIMIT,
        price=D(49000),
        time_in_force=TimeInForce.GTC,
        quantity=D("0.01"),
        ts_decision_ns=1,
    )
    actions.submit(order)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
