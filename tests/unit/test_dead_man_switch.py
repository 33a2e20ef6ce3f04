"""The dead-man switch by a clock of pets: what is armed, what is put away, and what a refusal takes with it."""

import asyncio
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from bot.domain.instrument import Instrument, Segment
from bot.domain.order import TimeInForce
from bot.errors import AuthenticationFailed, VenueError, VenueUnavailable
from exchanges.binance.dead_man import BinanceDeadMan
from exchanges.binance.refusals import checked
from exchanges.bybit.dead_man import BybitDeadMan
from exchanges.common.account.dead_man import DeadManSwitch
from exchanges.common.requests.venue_http import Answer
from exchanges.kraken.dead_man import KrakenDeadMan
from tests.integration.actions_rig import an_order

D = Decimal


def perpetual(venue: str, base: str, segment: Segment = Segment.LINEAR) -> Instrument:
    settle = "USDT" if segment is Segment.LINEAR else None
    return Instrument(
        venue=venue, segment=segment, symbol=f"{base}/USDT" + (":USDT" if settle else ""), base=base, quote="USDT",
        settle=settle, tick_size=D("0.1"), lot_size=D("0.001"),
    )  # fmt: skip


class Rest:
    """Binance's, or Bybit's; `answers` says by symbol what is wrong."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []
        self.wrong: dict[str, VenueError] = {}

    async def set_switch(self, path: str, values: dict[str, Any]) -> None:
        self.asked.append((values.get("symbol", values.get("product", "")), str(values.get("countdownTime", ""))))
        if (error := self.wrong.get(values.get("symbol", ""))) is not None:
            raise error


class Bench:
    def __init__(self, gateway: Callable[[Rest], Any]) -> None:
        self.rest = Rest()
        self.resting: set[Instrument] = set()
        self.log: list[str] = []
        self.switch = DeadManSwitch(
            gateway(self.rest), lambda level, text: self.log.append(text), lambda: frozenset(self.resting)
        )

    async def pet(self, within_s: float) -> list[tuple[str, str]]:
        """What was asked."""
        before = len(self.rest.asked)
        self.switch.pet(within_s)
        for _ in range(10):
            await asyncio.sleep(0)
        return self.rest.asked[before:]


def refusal(code: int) -> VenueError:
    try:
        checked(Answer(400, {}, f'{{"code":{code},"msg":"This contract is under delivery."}}'))
    except VenueError as error:
        return error
    raise AssertionError("an error is refused")


BTC, ETH = perpetual("binance", "BTC"), perpetual("binance", "ETH")
SYMBOLS = {BTC.id: "BTCUSDT", ETH.id: "ETHUSDT"}


def binance(rest: Any) -> BinanceDeadMan:
    return BinanceDeadMan(rest, SYMBOLS)


@pytest.mark.parametrize(
    "error", [refusal(-4108), VenueUnavailable("binance", "no answer in 5 s")], ids=["refused", "away"]
)
async def test_a_symbol_that_cannot_be_guarded_leaves_the_others_guarded(error: VenueError) -> None:
    here = Bench(binance)
    here.resting = {BTC, ETH}
    here.rest.wrong["BTCUSDT"] = error
    for _ in range(3):
        assert await here.pet(30.0) == [("BTCUSDT", "30000"), ("ETHUSDT", "30000")]
    here.rest.wrong.clear()
    assert await here.pet(30.0) == [("BTCUSDT", "30000"), ("ETHUSDT", "30000")]


async def test_a_refusal_is_said_once() -> None:
    here = Bench(binance)
    here.resting = {BTC}
    here.rest.wrong["BTCUSDT"] = refusal(-4108)
    for _ in range(3):
        await here.pet(30.0)
    assert sum("no dead-man switch" in line for line in here.log) == 1


async def test_a_key_that_may_not_is_not_tried_again_and_again() -> None:
    here = Bench(binance)
    here.resting = {BTC, ETH}
    here.rest.wrong["BTCUSDT"] = AuthenticationFailed("binance", "HTTP 401, code -2015")
    assert await here.pet(30.0) == [("BTCUSDT", "30000")]
    assert await here.pet(30.0) == []
    assert sum("no dead-man switch" in line for line in here.log) == 1


class Noting:
    """A gateway that notes what it is told, with another one's scopes."""

    def __init__(self, scopes: Any) -> None:
        self.scope = scopes.scope
        self.told: list[tuple[frozenset[Instrument], float]] = []

    def guards(self, instrument: Instrument) -> bool:
        return True

    async def set(self, instruments: frozenset[Instrument], within_s: float) -> None:
        self.told.append((instruments, within_s))


ONE_PRODUCT = [perpetual("bybit", "BTC"), perpetual("bybit", "ETH")]
ONE_ACCOUNT = [perpetual("kraken", "BTC", Segment.SPOT), perpetual("kraken", "ETH", Segment.SPOT)]
TWO_SYMBOLS = [BTC, ETH]
ANY: Any = None


@pytest.mark.parametrize(
    ("scopes", "instruments", "is_put_away"),
    [
        (BybitDeadMan(ANY, ANY), ONE_PRODUCT, False),
        (KrakenDeadMan(ANY), ONE_ACCOUNT, False),
        (BinanceDeadMan(ANY, SYMBOLS), TWO_SYMBOLS, True),
    ],
    ids=["a product's", "an account's", "a symbol's"],
)
async def test_what_rests_at_the_end_keeps_the_switch_that_it_shares(
    scopes: Any, instruments: list[Instrument], *, is_put_away: bool
) -> None:
    """One of two orders has gone since the last pet; the other rests in spite of the end."""
    gone, rests = instruments
    noting = Noting(scopes)
    resting = {gone, rests}
    switch = DeadManSwitch(noting, lambda level, text: None, lambda: frozenset(resting))
    switch.pet(30.0)
    switch.on_submit(an_order("a", rests, price="49000", time_in_force=TimeInForce.GTC))
    resting.discard(gone)
    switch.pet(0.0)
    await switch.stop()
    assert (frozenset({gone}), 0.0) in noting.told or not is_put_away
    assert is_put_away or all(within_s for _, within_s in noting.told)
    assert all(rests not in some for some, within_s in noting.told if not within_s)


async def test_at_an_orderly_end_everything_is_put_away() -> None:
    noting = Noting(KrakenDeadMan(ANY))
    resting = set(ONE_ACCOUNT)
    switch = DeadManSwitch(noting, lambda level, text: None, lambda: frozenset(resting))
    switch.pet(30.0)
    resting.clear()
    switch.pet(0.0)
    await switch.stop()
    assert noting.told[-1] == (frozenset(ONE_ACCOUNT), 0.0)
