"""Binance says that funding was settled, and not how much on what: its rows come one after the other, in any order."""

import asyncio
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest

from bot.clock import SystemClock, VirtualClock
from bot.domain.account import FundingPayment, Position
from bot.domain.instrument import Instrument, Segment
from bot.errors import VenueUnavailable
from exchanges.binance.account_requests import BinanceAccount
from exchanges.common.account import funding_asker as module
from exchanges.common.account.funding_asker import FundingAsker
from exchanges.common.account.funding_desk import FundingDesk
from exchanges.common.account.wallet_book import WalletBook
from tests.integration.actions_rig import until

D = Decimal
MS = 1_000_000
HOUR_MS = 1_795_000_000_000


def perpetual(base: str) -> Instrument:
    return Instrument(
        venue="binance", segment=Segment.LINEAR, symbol=f"{base}/USDT:USDT", base=base, quote="USDT", settle="USDT",
        tick_size=D("0.1"), lot_size=D("0.001"),
    )  # fmt: skip


BTC, ETH = perpetual("BTC"), perpetual("ETH")


class Rest:
    """Binance's answers to questions for income, as far as its books have got."""

    def __init__(self) -> None:
        self.rows: list[tuple[str, int]] = []
        self.asked = self.fails_at = self.rates_asked = 0
        self.has_published = True
        self.mark_price = "50000"

    async def open(self) -> None:
        """Its clock is ours."""

    async def learn_limits(self, symbol: str) -> None:
        """The published ones hold."""

    async def read(self, path: str, kind: Any, values: dict[str, str]) -> Any:
        assert path == "/v1/income"
        self.asked += 1
        if self.asked == self.fails_at:
            raise VenueUnavailable("binance", "down")
        told = sorted((row for row in self.rows if row[1] >= int(values["startTime"])), key=lambda row: row[1])
        told = told[: int(values["limit"])]
        return kind.validate_python(
            [{"symbol": one, "income": "0.25", "asset": "USDT", "time": at} for one, at in told]
        )

    async def public(self, path: str, kind: Any, values: dict[str, str]) -> Any:
        self.rates_asked += 1
        row = {"fundingRate": "-0.0001", "markPrice": self.mark_price, "fundingTime": int(values["startTime"]) + 60_000}
        return kind.validate_python([row] if self.has_published else [])


class Http:
    def open(self) -> None:
        """Nothing is connected."""


async def opened(rest: Any, position: str = "0") -> BinanceAccount:
    wallets = WalletBook(lambda _: "binance.linear", {}, D("0.2"), locks_margin=False)
    wallets.set_position(Position(instrument=BTC, quantity=D(position), average_price=D(50000)))
    http: Any = Http()
    by_feed = {BTC.feed: {"BTCUSDT": BTC, "ETHUSDT": ETH}}
    account = BinanceAccount({BTC.feed: rest}, by_feed, http, wallets, VirtualClock((HOUR_MS - 60_000) * MS))
    await account.open()
    return account


async def test_a_row_that_comes_later_and_is_dated_before_is_told_too() -> None:
    rest = Rest()
    heard: list[FundingPayment] = []
    desk = FundingDesk(heard.append)
    account = await opened(rest)
    asker = FundingAsker(account, desk, SystemClock(), lambda level, text: None)
    rest.rows = [("BTCUSDT", HOUR_MS + 5)]
    await asker.take()
    rest.rows = [("ETHUSDT", HOUR_MS), ("BTCUSDT", HOUR_MS + 5)]
    await asker.take()
    await asker.take()
    assert [one.instrument for one in heard] == [BTC, ETH], "each once"
    assert rest.rates_asked == 2, "what is known is not asked for again"
    rest.rows.append(("ETHUSDT", HOUR_MS + 8 * 3_600_000))
    await asker.take()
    assert len(heard) == 3


async def test_a_rate_that_is_not_published_yet_is_not_made_of_a_position_that_was_not_settled() -> None:
    rest = Rest()
    rest.has_published = False
    rest.rows = [("BTCUSDT", HOUR_MS)]
    account = await opened(rest, position="-0.001")  # by now; it was another when it was settled
    (payment,) = await account.missed_funding()
    assert (payment.amount, payment.rate, payment.mark_price) == (D("0.25"), 0, 0)


async def test_a_mark_price_that_binance_leaves_empty_keeps_back_no_payment() -> None:
    rest = Rest()
    rest.mark_price = ""
    rest.rows = [("BTCUSDT", HOUR_MS)]
    account = await opened(rest)
    (payment,) = await account.missed_funding()
    assert (payment.amount, payment.rate, payment.mark_price) == (D("0.25"), D("-0.0001"), 0)


async def test_funding_behind_a_page_of_other_instruments_is_told() -> None:
    """Another program trades a hundred of them with the account; ours was settled before them and after."""
    rest = Rest()
    rest.rows = [(f"OTHER{at}USDT", HOUR_MS + hour * 3_600_000) for hour in range(25) for at in range(100)]
    rest.rows += [("BTCUSDT", HOUR_MS + 1), ("BTCUSDT", HOUR_MS + 25 * 3_600_000)]
    account = await opened(rest)
    rest.fails_at = 3
    with pytest.raises(VenueUnavailable):
        await account.missed_funding()
    assert [one.instrument for one in await account.missed_funding()] == [BTC, BTC]
    rest.asked = 0
    assert [one.instrument for one in await account.missed_funding()] == [BTC]
    assert rest.asked == 1, "what is behind is not read again"


class Slow:
    """An account whose second instrument is settled a moment after the first; one word says that some is due."""

    def __init__(self, payments: Sequence[FundingPayment]) -> None:
        self._payments = list(payments)

    async def missed_funding(self) -> Sequence[FundingPayment]:
        return [self._payments.pop(0)] if self._payments else []


async def test_that_one_payment_was_there_does_not_end_the_asking(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_AFTER_S", (0.001, 0.001))
    heard: list[FundingPayment] = []
    desk = FundingDesk(heard.append)
    payments = [
        FundingPayment(
            instrument=one, wallet="w", asset="USDT", amount=D(1), quantity=D(1), rate=D("0.0001"), mark_price=D(1),
            ts_ns=HOUR_MS * MS,
        )
        for one in (BTC, ETH)
    ]  # fmt: skip
    asker = FundingAsker(Slow(payments), desk, SystemClock(), lambda level, text: None)
    task = asyncio.get_running_loop().create_task(asker.run())
    desk.due.set()
    await until(lambda: len(heard) == 2)
    task.cancel()


class Behind:
    """Books that are so far behind the stream."""

    def __init__(self, clock: VirtualClock, behind_s: float) -> None:
        self._clock = clock
        self._from_ns = clock.now_ns() + round(behind_s * 1e9)

    async def missed_funding(self) -> Sequence[FundingPayment]:
        payment = FundingPayment(
            instrument=BTC, wallet="w", asset="USDT", amount=D(1), quantity=D(1), rate=D("0.0001"), mark_price=D(1),
            ts_ns=HOUR_MS * MS,
        )  # fmt: skip
        return [payment] if self._clock.now_ns() >= self._from_ns else []


@pytest.mark.parametrize("behind_s", [0, 9, 25, 75])
async def test_books_that_are_a_minute_behind_are_not_left_until_the_next_settlement(behind_s: float) -> None:
    clock = VirtualClock(HOUR_MS * MS)
    heard: list[FundingPayment] = []
    desk = FundingDesk(heard.append)
    asker = FundingAsker(Behind(clock, behind_s), desk, clock, lambda level, text: None)
    task = asyncio.get_running_loop().create_task(asker.run())
    desk.due.set()
    await as_long_as_somebody_waits(clock)
    task.cancel()
    assert len(heard) == 1


async def settled() -> None:
    """Whoever was woken has got as far as it can."""
    for _ in range(10):
        await asyncio.sleep(0)


async def as_long_as_somebody_waits(clock: VirtualClock, until_ns: int | None = None) -> None:
    for _ in range(200):
        await settled()
        due_ns = clock.next_due_ns()
        if due_ns is not None and (until_ns is None or due_ns <= until_ns):
            clock.advance_to(due_ns)


@pytest.mark.parametrize("later_s", [0.3, 9, 30, 80, 200])
async def test_what_is_settled_while_it_is_asked_for_an_earlier_settlement_is_told_at_once(later_s: float) -> None:
    clock = VirtualClock(HOUR_MS * MS)
    told_ns: list[int] = []
    desk = FundingDesk(lambda payment: told_ns.append(clock.now_ns()))
    asker = FundingAsker(Behind(clock, later_s), desk, clock, lambda level, text: None)
    task = asyncio.get_running_loop().create_task(asker.run())
    settled_ns = clock.now_ns() + round(later_s * 1e9)
    desk.due.set()
    await as_long_as_somebody_waits(clock, settled_ns)
    clock.advance_to(settled_ns)
    desk.due.set()
    await as_long_as_somebody_waits(clock)
    task.cancel()
    assert [at_ns - settled_ns for at_ns in told_ns] == [100_000_000]


async def test_a_venue_that_says_it_all_the_time_is_asked_ten_times_a_second_at_most() -> None:
    clock = VirtualClock(HOUR_MS * MS)
    asked = 0

    class Counted:
        async def missed_funding(self) -> Sequence[FundingPayment]:
            nonlocal asked
            asked += 1
            return []

    desk = FundingDesk()
    task = asyncio.get_running_loop().create_task(FundingAsker(Counted(), desk, clock, lambda *_: None).run())
    for _ in range(1000):  # five seconds
        desk.due.set()
        clock.advance_to(clock.now_ns() + 5_000_000)
        await settled()
    task.cancel()
    assert 40 <= asked <= 50
