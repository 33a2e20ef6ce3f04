"""The accounts held against the journal every few moments: what is missed, what is not ours, what nobody explains."""

import asyncio
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import count
from types import SimpleNamespace
from typing import Any

import pytest

from bot.clock import SystemClock
from bot.domain.account import Balance, FundingPayment, Position
from bot.domain.instrument import Instrument, Segment
from bot.domain.order import Fill, Order, OrderStatus, Side
from bot.engine.accounts import reconciler as module
from bot.engine.accounts.cash_check import CashCheck
from bot.engine.accounts.left_behind import LeftBehind
from bot.engine.accounts.reconciler import Reconciler
from bot.errors import VenueUnavailable
from bot.execution.ledger import Ledger
from bot.ports import Holdings, OrderFound
from bot.ports.account import KnownFill
from bot.risk.gate import Cause, RiskGate, TradingState
from tests.integration.actions_rig import until
from tests.unit.risk_rig import ROUTE, A, Held

D = Decimal
SPOT = A.model_copy(update={"symbol": "BTC/USDT", "segment": Segment.SPOT, "settle": None})
ALSO = A.model_copy(update={"symbol": "ETH/USDT:USDT", "base": "ETH"})
NOTHING, START, PRICE = D(0), D(1000), D(100)


def fill(name: str, quantity: str, order: str = "ours", side: Side = Side.BUY, instrument: Instrument = A) -> Fill:
    return Fill(
        fill_id=name, client_order_id=order, instrument=instrument, side=side, price=D(100), quantity=D(quantity),
        fee=D("0.05"), fee_asset="USDT", is_maker=False, ts_event_ns=SystemClock().now_ns(),
    )  # fmt: skip


@dataclass
class Venue:
    """Implements `AccountQuestions`; a test writes what it knows."""

    venue: str = "binance"
    unknown_for_s: float = 2.0
    between_s: float = 0.0
    position: Decimal = NOTHING
    average: Decimal = PRICE
    usdt: Decimal = START
    told: list[Fill] = field(default_factory=list)
    resting: list[OrderFound] = field(default_factory=list)
    others: Sequence[Position] = ()
    is_away: bool = False
    asked: int = 0

    def wallet_of(self, instrument: Instrument) -> str:
        return f"{instrument.venue}.linear"

    async def open_orders(self) -> Sequence[OrderFound]:
        return self.resting

    async def trades(self, instruments: Collection[Instrument], since_ns: int, known: KnownFill) -> Sequence[Fill]:
        new = [one for one in self.told if not known(one.instrument.id, one.fill_id)]
        return [one for one in new if one.ts_event_ns >= since_ns]

    async def holdings(self) -> Holdings:
        self.asked += 1
        if self.is_away:
            raise VenueUnavailable(self.venue, "away")
        balances = [Balance(wallet="binance.linear", asset="USDT", total=self.usdt)]
        mine = Position(instrument=A, quantity=self.position, average_price=self.average)
        return Holdings(balances, [mine, *self.others])

    async def order(self, order: Order) -> OrderFound | None:
        raise AssertionError("nobody asks for one order")

    async def fills(self, order: Order, found: OrderFound) -> Sequence[Fill]:
        raise AssertionError("nobody asks for one order")

    async def cancel(self, order: Order) -> None:
        raise AssertionError("nothing is cancelled")

    def take(self, fill: Fill) -> bool:
        return False


class Gate(RiskGate):
    def __init__(self) -> None:
        self.why: list[str] = []
        super().__init__(
            (), Held(), max_daily_loss=1.0, max_cumulative_loss=1.0, max_throttled_per_second=1,
            on_state=lambda state, why: self.why.append(why),
        )  # fmt: skip


class Desk:
    """What a reconciler needs of a pair desk, with a ledger that is real."""

    def __init__(self) -> None:
        self.ledger, self.gate = Ledger(), Gate()
        self.ledger.open_pair("p", ROUTE, 1)
        self.pending: list[Any] = []
        route = SimpleNamespace(route=SimpleNamespace(instruments=[A]))
        self.pair: Any = SimpleNamespace(opportunity=route, waiting=lambda: iter(self.pending))
        self.chains: list[Any] = []
        self.portfolio = SimpleNamespace(quarantine={})
        self.on_booked: Any = lambda news: None

    def knows(self, client_order_id: str) -> bool:
        return client_order_id == "ours"

    def in_hand(self) -> list[Any]:
        return [self.pair, *self.chains]

    def on_fill(self, one: Fill) -> None:
        if self.ledger.on_fill("p", Side.BUY, one):
            self.on_booked(one)


@dataclass
class Rig:
    venue: Venue
    desk: Desk
    reconciler: Reconciler
    said: list[tuple[str, str]]

    async def looks(self, count: int) -> None:
        """So many whole looks from now on."""
        wanted = self.venue.asked + count + 1
        await until(lambda: self.venue.asked >= wanted)

    def says(self, text: str) -> int:
        return sum(text in line for _, line in self.said)


@asynccontextmanager
async def rig(
    monkeypatch: pytest.MonkeyPatch,
    left: LeftBehind | None = None,
    told: Sequence[Fill] = (),
    average: Decimal = PRICE,
) -> AsyncIterator[Rig]:
    """`average`: at which the venue says that the fills of `left` were entered."""
    monkeypatch.setattr(module, "_MOMENT_S", 0.01)
    venue, desk, said = Venue(told=list(told), average=average), Desk(), list[tuple[str, str]]()
    for one in () if left is None else (fill for pair in left.pairs for fill in pair.fills):
        desk.on_fill(one)
        venue.position += one.side.sign * one.quantity
    clock, event = SystemClock(), lambda *words: said.append(words)
    one = Reconciler([venue], desk, [A, ALSO, SPOT], clock, 0.01, event, left)  # type: ignore[arg-type]
    one.start()
    try:
        await until(lambda: one.looks > 0)
        yield Rig(venue, desk, one, said)
    finally:
        one.stop()
        await asyncio.sleep(0)


async def test_fault_32_a_fill_that_was_never_told_is_booked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    async with rig(monkeypatch) as here:
        missed = fill("1", "0.5")
        here.venue.told.append(missed)
        here.venue.position, here.venue.usdt = D("0.5"), D("999.95")
        await until(lambda: here.desk.ledger.position(A) == D("0.5"))
        await here.looks(5)
        assert here.says("fill 1 of order ours (buy 0.5 at 100) was never told: booked") == 1
        assert here.desk.ledger.position(A) == D("0.5")
        assert here.desk.gate.why == []
        assert here.says("cash") == 0, "its fee is known now"


async def test_fault_32_a_fill_that_came_between_the_looks_of_a_start_and_of_the_run_is_booked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before, known, late = fill("0", "0.1", "web-1"), fill("1", "0.1"), fill("2", "0.2")
    left = LeftBehind(since_ns=1, asked_ns=SystemClock().now_ns(), fill_ids={(A.id, known.fill_id)})
    left.fill_ids.add((A.id, before.fill_id))  # others' trades that the start was told of are no news either
    async with rig(monkeypatch, left, [before, known, late]) as here:
        await until(lambda: here.desk.ledger.has_fill(A.id, late.fill_id))
        await here.looks(2)
        assert here.desk.ledger.position(A) == D("0.2"), "once, and what the journal had is no news"
        assert here.desk.portfolio.quarantine == {}


async def test_fault_50_a_liquidation_that_the_stream_never_told_of_is_booked_and_no_strangers_trade(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Else the pair that lost it would be taken for whole, and its other leg stand alone."""
    async with rig(monkeypatch) as here:
        here.desk.on_fill(fill("1", "0.5"))
        taken = fill("2", "0.5", order="autoclose-1", side=Side.SELL).model_copy(update={"forced": "liquidation"})
        here.venue.told += [fill("1", "0.5"), taken]
        here.venue.usdt = D("999.9")
        await until(lambda: here.desk.ledger.has_fill(A.id, "2"))
        await here.looks(4)
        assert here.says("what the venue did itself (liquidation: sell 0.5 at 100) was never told: booked") == 1
        assert (here.desk.ledger.position(A), here.desk.portfolio.quarantine) == (0, {})


async def test_fault_50_a_liquidation_told_before_the_fill_that_it_took_from_is_booked_after_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The stream told of it when no pair held anything yet, and tells no fill twice."""
    async with rig(monkeypatch) as here:
        monkeypatch.setattr(here.venue, "take", lambda one: bool(one.forced))
        taken = fill("2", "0.5", order="autoclose-1", side=Side.SELL).model_copy(update={"forced": "adl"})
        here.venue.told += [fill("1", "0.5"), taken]
        here.venue.usdt = D("999.9")
        await until(lambda: here.desk.ledger.has_fill(A.id, "2"))
        await here.looks(4)
        assert (here.desk.ledger.position(A), here.desk.portfolio.quarantine) == (0, {})


async def test_fault_50_what_no_pair_held_of_a_liquidation_quarantines(monkeypatch: pytest.MonkeyPatch) -> None:
    async with rig(monkeypatch) as here:
        monkeypatch.setattr(here.desk, "on_fill", lambda one: None)
        taken = fill("2", "0.5", order="autoclose-1", side=Side.SELL).model_copy(update={"forced": "liquidation"})
        here.venue.told.append(taken)
        here.venue.position, here.venue.usdt = D("-0.5"), D("999.95")
        await until(lambda: A.id in here.desk.portfolio.quarantine)
        await here.looks(3)
        assert (here.says("QUARANTINE"), here.says("booked")) == (1, 0)


async def test_fault_33_a_trade_that_is_told_again_is_no_news(monkeypatch: pytest.MonkeyPatch) -> None:
    async with rig(monkeypatch) as here:
        here.desk.on_fill(fill("1", "0.5"))
        here.venue.told += [fill("1", "0.5"), fill("1", "0.5")]
        here.venue.position, here.venue.usdt = D("0.5"), D("999.95")
        await here.looks(5)
        assert here.desk.ledger.position(A) == D("0.5")
        assert here.said == []


async def test_fault_55_a_strange_trade_quarantines_its_instrument_and_explains_the_position(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with rig(monkeypatch) as here:
        here.venue.told.append(fill("9", "2", order="by-hand", side=Side.SELL))
        here.venue.position, here.venue.usdt = D(-2), D("999.95")
        await until(lambda: A.id in here.desk.portfolio.quarantine)
        await here.looks(6)
        assert here.says(f"QUARANTINE {A.id}: trade 9 (sell 2 at 100) of order by-hand is not of this run") == 1
        assert here.desk.gate.why == [], "it is explained"
        assert here.desk.ledger.position(A) == 0, "and none of ours"
        here.venue.resting.append(OrderFound("web_1", A, OrderStatus.SENT, NOTHING))
        await until(lambda: here.says("open order web_1 is not of this run") == 1)
        await here.looks(3)
        assert here.says("QUARANTINE") == 2, "each is said once"


async def test_a_position_that_nothing_explains_reduces_and_then_halts(monkeypatch: pytest.MonkeyPatch) -> None:
    async with rig(monkeypatch) as here:
        here.venue.position = D("0.3")
        await until(lambda: here.desk.gate.state is TradingState.HALTED)
        why = f"{A.id}: the venue holds +0.3, fills make +0: +0.3 is explained by nothing"
        assert here.desk.gate.why == [why, why], "REDUCING first"


async def test_a_position_that_is_explained_in_time_lets_trading_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    async with rig(monkeypatch) as here:
        monkeypatch.setattr(module, "_HALT_AT", 10_000)
        here.venue.position, here.venue.usdt = D("0.5"), D("999.95")
        await until(lambda: here.desk.gate.state is TradingState.REDUCING)
        here.venue.told.append(fill("1", "0.5"))  # the venue's copies come late
        await until(lambda: here.desk.gate.state is TradingState.ACTIVE)
        assert here.desk.gate.why[-1] == "the accounts are what fills make again"


async def test_two_positions_that_are_explained_in_time_let_trading_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    async with rig(monkeypatch) as here:
        monkeypatch.setattr(module, "_HALT_AT", 10_000)
        here.venue.others = [Position(instrument=ALSO, quantity=D("0.2"), average_price=PRICE)]
        here.venue.position, here.venue.usdt = D("0.5"), D("999.95")
        await until(lambda: here.says("is explained by nothing") == 2)
        await until(lambda: all(one.id in here.desk.gate.causes[Cause.ACCOUNT] for one in (A, ALSO)))
        here.venue.told.append(fill("1", "0.5"))
        await until(lambda: A.id not in here.desk.gate.causes[Cause.ACCOUNT])
        assert ALSO.id in here.desk.gate.causes[Cause.ACCOUNT]
        here.venue.others = []
        await until(lambda: here.desk.gate.state is TradingState.ACTIVE)


@pytest.mark.parametrize("other", [Cause.LOOP, Cause.DISK, Cause.PERSON])
async def test_a_position_that_nothing_explains_reduces_on_when_another_cause_has_ended(
    monkeypatch: pytest.MonkeyPatch, other: Cause
) -> None:
    """The loop stood still, say, when it was found: that passes, and the position is still explained by nothing."""
    async with rig(monkeypatch) as here:
        monkeypatch.setattr(module, "_HALT_AT", 10_000)
        here.desk.gate.reduce(other, "another cause")
        here.venue.position, here.venue.usdt = D("0.5"), D("999.95")
        await until(lambda: here.says("is explained by nothing") == 1)
        await here.looks(2)
        here.desk.gate.resume(other, "gone")
        assert here.desk.gate.state is TradingState.REDUCING
        assert here.desk.gate.why[-1].startswith("gone; still: ")
        assert "is explained by nothing" in here.desk.gate.why[-1]
        here.venue.told.append(fill("1", "0.5"))
        await until(lambda: here.desk.gate.state is TradingState.ACTIVE)
        assert here.says("is explained by nothing") == 1


async def test_what_a_person_has_paused_stays_paused(monkeypatch: pytest.MonkeyPatch) -> None:
    async with rig(monkeypatch) as here:
        monkeypatch.setattr(module, "_HALT_AT", 10_000)
        here.venue.position, here.venue.usdt = D("0.5"), D("999.95")
        await until(lambda: here.desk.gate.state is TradingState.REDUCING)
        here.desk.gate.reduce(Cause.PERSON, "paused by one")
        here.venue.told.append(fill("1", "0.5"))
        await until(lambda: here.desk.ledger.position(A) == D("0.5"))
        await until(lambda: list(here.desk.gate.causes) == [Cause.PERSON])
        assert here.desk.gate.state is TradingState.REDUCING
        here.desk.gate.resume(Cause.PERSON, "resumed by one")
        assert here.desk.gate.state is TradingState.ACTIVE


async def test_while_an_order_is_on_its_way_nothing_is_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    async with rig(monkeypatch) as here:
        here.desk.pending.append(SimpleNamespace(instrument=A))
        here.venue.position, here.venue.usdt = D("0.5"), D("900")
        await here.looks(8)
        assert here.desk.gate.why == []
        assert here.said == []
        here.desk.pending.clear()
        await until(lambda: here.desk.gate.state is TradingState.HALTED)


async def test_a_position_that_went_and_came_back_during_a_look_is_not_compared(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with rig(monkeypatch) as here:
        asked, numbers = here.venue.holdings, count()

        async def slow() -> Holdings:
            """The answer tells of the moment between a sale and the purchase that undoes it."""
            number = next(numbers)
            here.desk.on_fill(fill(f"s{number}", "0.1", side=Side.SELL))
            here.venue.position, here.venue.usdt = D("-0.1"), D("1009.95") - D("0.1") * number
            told = await asked()
            here.desk.on_fill(fill(f"b{number}", "0.1"))
            return told

        monkeypatch.setattr(here.venue, "holdings", slow)
        await here.looks(8)
        assert here.desk.gate.why == []
        assert here.said == []


async def test_money_that_nothing_explains_is_told_once_with_its_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    async with rig(monkeypatch) as here:
        here.venue.usdt = D("1000.01")
        await until(lambda: here.says("cash") == 1)
        await here.looks(4)
        assert here.said == [
            (
                "warning",
                "cash: binance.linear USDT: +0.01 unexplained "
                "(1000.01 told, 1000 by fills, fees, funding and transfers)",
            )
        ]
        assert here.desk.gate.why == []


async def test_funding_of_before_the_start_that_is_told_after_it_is_no_missing_money(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A restart asks for what was settled while nobody listened: the first balances hold it already."""
    asked_ns = SystemClock().now_ns()
    async with rig(monkeypatch) as here:
        here.desk.on_booked(_funding("-0.25").model_copy(update={"ts_ns": asked_ns}))
        await here.looks(4)
        assert here.said == []
        here.desk.on_booked(_funding("-0.5").model_copy(update={"ts_ns": SystemClock().now_ns()}))
        here.venue.usdt = D("999.5")
        await here.looks(4)
        assert here.said == [], "what is settled from then on counts"


async def test_a_venue_that_is_away_is_asked_again_and_said_once(monkeypatch: pytest.MonkeyPatch) -> None:
    async with rig(monkeypatch) as here:
        here.venue.is_away = True
        await here.looks(4)
        here.venue.is_away = False
        await until(lambda: here.says("the account is compared again") == 1)
        await here.looks(2)
        assert [text for _, text in here.said] == [
            "binance: the account could not be compared: binance: away",
            "binance: the account is compared again",
        ]
        assert here.desk.gate.why == []


class Carrier:
    """What a reconciler needs of an `AccountCarrier`."""

    def __init__(self) -> None:
        self.cash: Any = None
        self.on_its_way: set[str] = set()
        self.brought: str | None = None
        self.asked: list[tuple[str, str, Decimal]] = []

    def moving(self, venue: str) -> Collection[str]:
        return self.on_its_way

    async def foreign(self, venue: str, asset: str, amount: Decimal, since_ns: int) -> str | None:
        self.asked.append((venue, asset, amount))
        return self.brought


async def test_what_a_transfer_takes_and_brings_is_no_missing_money(monkeypatch: pytest.MonkeyPatch) -> None:
    async with rig(monkeypatch) as here:
        carrier = Carrier()
        here.reconciler.follow(carrier)  # type: ignore[arg-type]
        await here.looks(2)
        carrier.on_its_way = {"USDT"}
        here.venue.usdt = START - 300  # sent, and nobody has heard so yet
        await here.looks(4)
        carrier.cash.on_moved("binance", "USDT", D(-300))
        carrier.on_its_way = set()
        await here.looks(4)
        here.venue.usdt += 299
        carrier.cash.on_moved("binance", "USDT", D(299))
        await here.looks(4)
        assert here.said == []
        here.venue.usdt -= 1
        await until(lambda: here.says("cash: binance.linear USDT: -1 unexplained") == 1)


async def test_what_a_transfer_of_an_earlier_run_did_is_taken_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    async with rig(monkeypatch) as here:
        carrier = Carrier()
        carrier.on_its_way = {"USDT"}
        here.reconciler.follow(carrier)  # type: ignore[arg-type]
        await here.looks(2)
        here.venue.usdt = START + 49
        carrier.cash.on_unsettled("binance", "USDT")
        carrier.on_its_way = set()
        await here.looks(4)
        assert here.said == []
        here.venue.usdt += 1
        await until(lambda: here.says("cash: binance.linear USDT: +1 unexplained") == 1)


async def test_a_transfer_that_had_ended_before_the_first_look_excuses_nothing_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with rig(monkeypatch) as here:
        carrier = Carrier()
        here.reconciler.follow(carrier)  # type: ignore[arg-type]
        carrier.cash.on_unsettled("binance", "USDT")  # what it took is in the balance that the run begins with
        await here.looks(5)
        here.venue.usdt -= 300
        await until(lambda: here.says("cash: binance.linear USDT: -300 unexplained") == 1)


async def test_a_foreign_deposit_is_named_and_said_once(monkeypatch: pytest.MonkeyPatch) -> None:
    async with rig(monkeypatch) as here:
        carrier = Carrier()
        carrier.brought = "a deposit of 5 USDT on TRX, transaction 0xabc, that this run did not send"
        here.reconciler.follow(carrier)  # type: ignore[arg-type]
        await here.looks(2)
        here.venue.usdt = START + 5
        await until(lambda: here.says("transaction 0xabc") == 1)
        await here.looks(4)
        assert here.says("cash") == 1
        assert carrier.asked == [("binance", "USDT", D(5))]
        here.venue.usdt -= 7
        await until(lambda: here.says("cash") == 2)
        assert len(carrier.asked) == 1, "nobody is asked what took money away"


async def test_a_chain_is_of_this_run(monkeypatch: pytest.MonkeyPatch) -> None:
    async with rig(monkeypatch) as here:
        await here.looks(2)
        waits: list[Any] = [SimpleNamespace(instrument=SPOT)]
        opportunity = SimpleNamespace(route=SimpleNamespace(instruments=[SPOT]))
        here.desk.chains.append(SimpleNamespace(opportunity=opportunity, waiting=lambda: iter(waits)))
        here.venue.usdt = START - 100  # its order was done, and the answer is on its way
        await here.looks(4)
        assert here.said == []
        waits.clear()
        await until(lambda: here.says("cash") == 1)


def test_cash_is_what_fills_fees_and_funding_make() -> None:
    check = CashCheck(lambda instrument: f"{instrument.venue}.linear")
    check.apply(fill("0", "1"))  # a position from before, taken over
    check.begin([Balance(wallet="binance.linear", asset="USDT", total=D(500)), _bnb("3")])
    check.apply(fill("1", "1", side=Side.SELL).model_copy(update={"price": D(110)}))
    check.apply(fill("2", "1").model_copy(update={"fee": D("0.001"), "fee_asset": "BNB"}))
    check.pay(_funding("-0.25"))
    whole = [Balance(wallet="binance.linear", asset="USDT", total=D("509.70")), _bnb("2.999")]
    assert check.compare(whole) == check.compare(whole) == []
    less = [whole[0], _bnb("2.998")]
    assert check.compare(less) == [], "once may be a moment between two answers"
    assert [one.words for one in check.compare(less)] == [
        "binance.linear BNB: -0.001 unexplained (2.998 told, 2.999 by fills, fees, funding and transfers)"
    ]
    assert check.compare(less) == check.compare(less) == [], "said, and counted from there on"
    finer = [whole[0], _bnb("2.998000002")]
    assert check.compare(finer) == check.compare(finer) == [], "finer than any venue tells a balance"
    digit = [whole[0], _bnb("2.99800001")]
    assert [len(check.compare(digit)) for _ in range(2)] == [0, 1]


def test_an_asset_that_the_first_balances_leave_out_is_not_there() -> None:
    """A chain of an earlier run bought it and sent it away: venues leave out what is zero."""
    check = CashCheck(lambda instrument: f"{instrument.venue}.spot")
    check.apply(fill("0", "0.1", instrument=SPOT))
    check.begin([Balance(wallet="binance.spot", asset="USDT", total=D(500))])
    check.apply(fill("1", "0.2", instrument=SPOT))
    told = [
        Balance(wallet="binance.spot", asset="USDT", total=D("479.95")),
        Balance(wallet="binance.spot", asset="BTC", total=D("0.2")),
    ]
    assert check.compare(told) == check.compare(told) == []


async def test_a_pair_that_is_taken_over_and_closed_leaves_no_cash_unexplained(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    left = LeftBehind(since_ns=1, asked_ns=SystemClock().now_ns())
    left.pairs.append(SimpleNamespace(fills=[fill("0", "1")]))  # type: ignore[arg-type]
    async with rig(monkeypatch, left, average=D(101)) as here:
        here.desk.on_fill(fill("1", "1", side=Side.SELL).model_copy(update={"price": D(110)}))
        here.venue.position, here.venue.usdt = NOTHING, START + 9 - D("0.05")
        await here.looks(5)
        assert here.said == []


def test_what_was_taken_over_is_realised_by_the_venues_own_entry_price() -> None:
    check = CashCheck(lambda instrument: f"{instrument.venue}.linear")
    check.apply(fill("0", "1"))  # at 100, by the pair that is left; a pair that is over had the venue net it to 101
    held = Position(instrument=A, quantity=D(1), average_price=D(101))
    check.begin([Balance(wallet="binance.linear", asset="USDT", total=D(500))], [held])
    check.apply(fill("1", "1", side=Side.SELL).model_copy(update={"price": D(110)}))
    told = [Balance(wallet="binance.linear", asset="USDT", total=D("508.95"))]
    assert check.compare(told) == check.compare(told) == [], "110 - 101, and a fee of 0.05"
    one_less = [Balance(wallet="binance.linear", asset="USDT", total=D("507.95"))]
    assert [len(check.compare(one_less)) for _ in range(2)] == [0, 1]


def test_an_entry_price_that_the_venue_rounds_costs_no_digit_of_ours() -> None:
    check = CashCheck(lambda instrument: f"{instrument.venue}.linear")
    check.apply(fill("0", "1"))
    check.apply(fill("1", "2").model_copy(update={"price": D("100.01")}))  # on average 100.00666...
    held = Position(instrument=A, quantity=D(3), average_price=D("100.00666667"))
    check.begin([Balance(wallet="binance.linear", asset="USDT", total=D(500))], [held])
    check.apply(fill("2", "3", side=Side.SELL).model_copy(update={"price": D(110), "fee": D(0)}))
    told = [Balance(wallet="binance.linear", asset="USDT", total=D("529.98"))]
    assert check.compare(told) == check.compare(told) == []
    digit = [Balance(wallet="binance.linear", asset="USDT", total=D("529.98000001"))]
    assert [len(check.compare(digit)) for _ in range(2)] == [0, 1]


def _bnb(total: str) -> Balance:
    return Balance(wallet="binance.linear", asset="BNB", total=D(total))


def _funding(amount: str) -> FundingPayment:
    return FundingPayment(
        instrument=A, wallet="binance.linear", asset="USDT", amount=D(amount), quantity=D(1), rate=D(0),
        mark_price=D(100), ts_ns=1,
    )  # fmt: skip
