"""What pairs are valued with while a run goes on: the fees of now, of the very instrument, as its routes are priced."""

import asyncio
from collections import UserDict
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest

from bot.domain.fees import FeeSchedule, FeeSource
from bot.domain.instrument import Feed, Instrument
from bot.domain.order import Fill
from bot.domain.terms import Told
from bot.engine.terms.known import Terms
from bot.engine.terms.past_transfers import PastTransfers
from bot.engine.terms.rates import fee_schedules
from bot.engine.terms.terms_desk import TermsDesk
from bot.ports import RecordKind
from bot.settings import Settings
from postmortem.bodies import FillBody
from postmortem.token_fees import token_fees
from tests.unit.test_engine_decisions import LINEAR, SPOT, Bench
from tests.unit.test_terms_knowledge import Source

D = Decimal
OTHER = SPOT.model_copy(update={"symbol": "BTC/USDT", "base": "BTC"})
"""Of the same feed, and dearer."""


def schedule(instrument: Instrument, taker: str, token: str | None = None) -> FeeSchedule:
    return FeeSchedule(
        feed=instrument.feed, maker_bps=D(1), taker_bps=D(taker), source=FeeSource.ACCOUNT, token=token,
        token_discount=D("0.25") if token else D(0),
    )  # fmt: skip


class World:
    """An engine whose fees are wired as a run wires them, and a venue that tells other ones when the test wants."""

    def __init__(
        self,
        spot: str = "10",
        linear: str = "5",
        token: str | None = None,
        instruments: tuple[Instrument, ...] = (SPOT, LINEAR),
        arbitrage: Mapping[str, Any] | None = None,
        other: str | None = None,
    ) -> None:
        told: UserDict[Feed, FeeSchedule] = UserDict()
        live: Mapping[Feed, FeeSchedule] = fee_schedules([SPOT.feed, LINEAR.feed], told, Settings())
        told.data = {one.feed: schedule(one, rate, token) for one, rate in ((SPOT, spot), (LINEAR, linear))}
        execution = {"price_cap_bps": 40.0, "complete_tries": 2}
        self.bench = Bench(instruments, arbitrage=arbitrage, fees=live, execution=execution)
        self.source = Source()
        self.terms = Terms(
            [self.source], [SPOT, LINEAR, OTHER], {}, Settings(), self.bench.clock, lambda *_: None,
            PastTransfers(None, lambda *_: None),
        )  # fmt: skip
        told.data = self.terms.by_feed
        self.desk = TermsDesk(self.terms, self.bench.engine, self.bench.clock, {LINEAR.feed: 0.0}, lambda _: None)
        self.tell(spot, linear, other, token)

    def tell(self, spot: str, linear: str, other: str | None = None, token: str | None = None) -> None:
        """The venue's answer from now on, and the job `fees` has its turn."""
        rates = {SPOT: spot, LINEAR: linear, OTHER: other or spot}
        self.answer({one.id: schedule(one, rate, token) for one, rate in rates.items()})

    def answer(self, values: Mapping[str, FeeSchedule], wrong: Mapping[str, str] | None = None) -> None:
        self.source.says["fees"] = Told(values=dict(values), wrong=dict(wrong or {}), ts_ns=0)
        asyncio.run(self.desk.refresh())

    def open(self) -> None:
        bench = self.bench
        bench.warm()
        bench.linear(2_001, "1010.00", "1010.20")
        bench.linear(2_050, "1010.00", "1010.20")
        (pair,) = bench.engine.desk.executor.pairs.values()
        assert pair.state == "open"

    def unrealised(self) -> Decimal:
        return self.bench.engine.desk.unrealised()["USDT"]


def leaving(spot: str, linear: str, quantity: str = "0.99") -> Decimal:
    """Fees of closing 0.99 at what `World.open` left in the books."""
    sold = D(quantity) - D(quantity) * D("0.001")
    sold -= sold % D("0.0001")
    return (sold * D("999.90") * D(spot) + D(quantity) * D("1010.20") * D(linear)) / 10_000


def test_open_pairs_are_valued_at_the_fees_that_closing_them_costs_now() -> None:
    world = World()
    world.open()
    before = world.unrealised()
    world.tell("7", "3.5")
    assert world.unrealised() - before == leaving("10", "5") - leaving("7", "3.5")


def test_a_dearer_instrument_of_the_same_feed_changes_nothing_here() -> None:
    world = World()
    world.open()
    before = world.unrealised()
    world.tell("10", "5", other="40")
    assert world.unrealised() == before


def test_fees_that_make_no_sense_leave_the_last_that_did() -> None:
    world = World()
    world.open()
    before = world.unrealised()
    world.answer({OTHER.id: schedule(OTHER, "10")}, {SPOT.id: "taker", LINEAR.id: "taker"})
    assert [slot.fees for slot in world.bench.engine.slots] == [None, None]  # nothing new is opened
    assert world.unrealised() == before
    world.bench.engine.desk.leave(next(one for one in world.bench.engine.routes if one.pair is not None))
    for at_ms in (2_100, 2_200, 2_300):
        world.bench.spot(at_ms, "999.90", "1000.10")
        world.bench.linear(at_ms, "1010.00", "1010.20")
    assert not world.bench.engine.desk.executor.pairs  # and what is open can be closed, on paper too


def half_opened(world: World) -> Bench:
    """Spot is bought at 1000.10, and the perpetual falls away before its order comes: 79 bps below its price."""
    bench = world.bench
    bench.warm()
    bench.linear(2_001, "1010.00", "1010.20")
    bench.linear(2_005, "1002.00", "1002.20")
    return bench


def evened_by(bench: Bench) -> str:
    """The leg of the first order that got the pair even."""
    for at_ms in range(2_020, 2_400, 20):
        bench.spot(at_ms, "999.90", "1000.10")
        bench.linear(at_ms, "1002.00", "1002.20")
    sent = {order["client_order_id"]: order["leg"] for order in bench.journal.of(RecordKind.ORDER)}
    assert list(sent.values())[:2] == ["open_buy", "open_sell"]
    return str(list(sent.values())[2])


def test_a_missing_leg_is_completed_or_unwound_by_what_unwinding_costs_now() -> None:
    # Unwinding spot: 2 bps of price and twice its fee; the expected edge is 67 bps.
    same = World()
    assert evened_by(half_opened(same)) == "open_sell"
    cheaper = World()
    bench = half_opened(cheaper)
    cheaper.tell("2", "5", other="10")  # another one of its feed is as dear as it was
    assert evened_by(bench) == "hedge_sell"


class InTokens:
    """Between the paper venue and the desk: every fee is taken in BNB."""

    def __init__(self, bench: Bench) -> None:
        self._desk = bench.engine.desk
        self.on_order = self._desk.on_order
        bench.paper.listener = self

    def on_fill(self, fill: Fill) -> None:
        self._desk.on_fill(fill.model_copy(update={"fee": D("0.0015"), "fee_asset": "BNB"}))


def realised_in_tokens(world: World, new: tuple[str, str]) -> tuple[float, float]:
    """A pair is opened, the venue charges `new` from then on, and it is closed: its profit as limits count it, and the
    cash that moved beside fees."""
    InTokens(world.bench)
    world.open()
    world.tell(*new, token="BNB")
    bench = world.bench
    bench.engine.desk.leave(next(one for one in bench.engine.routes if one.pair is not None))
    for at_ms in (2_100, 2_200, 2_300):
        bench.spot(at_ms, "999.90", "1000.10")
        bench.linear(at_ms, "1010.00", "1010.20")
    ledger = bench.engine.desk.ledger
    (pair,) = ledger.pairs()
    assert pair.is_closed
    cash = pair.flows["USDT"] + pair.flows.get("ETH", D(0)) * D("1000.10")
    return bench.engine.desk.portfolio.realised_total(), float(cash)


def test_a_fee_in_a_token_is_worth_what_was_charged_when_it_was_taken() -> None:
    """Opening at 10 and 5 bps, closing at 6 and 4, a quarter less of each: not all of it at the newest."""
    world = World(token="BNB")
    profit, cash = realised_in_tokens(world, ("6", "4"))
    opened = D("0.99") * (D("1000.10") * D("7.5") + D(1010) * D("3.75"))
    closed = D("0.99") * (D("999.90") * D("4.5") + D("1010.20") * D(3))
    assert cash - profit == pytest.approx(float(opened + closed) / 1e4, abs=1e-9)
    # And the journal says so of each fill, so that a restart and the report count it alike.
    fills = [FillBody.model_validate(body) for body in world.bench.journal.of(RecordKind.FILL)]
    assert [fill.charged_bps for fill in fills] == [D("7.5"), D("3.75"), D("4.5"), D(3)]
    as_at_the_start = token_fees({str(one.feed): schedule(one, "10", "BNB").model_dump() for one in (SPOT, LINEAR)})
    assert sum(as_at_the_start(fill) or 0 for fill in fills) == (opened + closed) / 10_000


def fee_events(world: World) -> list[Mapping[str, Any]]:
    return [body for body in world.bench.journal.of(RecordKind.EVENT) if "fees" in body]


def test_a_change_of_tier_is_told_and_written_down_once() -> None:
    world = World(token="BNB")
    assert fee_events(world) == []  # what the run begins with stands in its first record
    world.tell("10", "5", token="BNB")
    world.tell("10", "4", other="30", token="BNB")
    world.answer({}, {LINEAR.id: "taker"})
    world.tell("10", "4", token="BNB")
    (event,) = fee_events(world)
    assert event["text"] == (
        "binance.linear: fees are taker 4 bps, maker 1 bps less 25 % in BNB (account); "
        "they were taker 5 bps, maker 1 bps less 25 % in BNB"
    )
    assert event["text"] in world.bench.log
    assert FeeSchedule.model_validate(event["fees"][LINEAR.id]) == schedule(LINEAR, "4", "BNB")


def test_one_instrument_of_a_feed_is_named_itself() -> None:
    world = World(instruments=(SPOT, LINEAR, OTHER))
    world.tell("10", "5", other="7")
    (event,) = fee_events(world)
    assert event["text"].startswith("binance:BTC/USDT: fees are taker 7 bps")
    world.answer({}, {LINEAR.id: "taker", SPOT.id: "taker", OTHER.id: "taker"})
    assert len(fee_events(world)) == 1


def test_the_start_tells_who_is_charged_otherwise_than_the_others_of_its_feed() -> None:
    world = World(instruments=(SPOT, LINEAR, OTHER), other="0")
    (event,) = fee_events(world)  # the run's first record has one schedule of each feed, the dearest
    assert event["text"] == "binance:BTC/USDT: fees are taker 0 bps, maker 1 bps (account)"


@pytest.mark.parametrize(("taker", "closed"), [("5", False), ("25", True)])
def test_the_loss_of_an_open_pair_counts_what_closing_it_costs_now(taker: str, *, closed: bool) -> None:
    # Opened at 99 bps of edge, 30 bps of fees; here 103 bps would be paid to leave: -34 bps, or -54 at 25 bps.
    world = World(arbitrage={"loss_stop_bps": 40.0})
    world.open()
    world.tell("10", taker)
    world.bench.new()
    world.bench.linear(2_060, "1010.00", "1010.20")
    assert [what[2] for what in world.bench.new() if what[1] == "there"] == (["loss_stop"] if closed else [])


@pytest.mark.parametrize("token", [None, "BNB"])
def test_what_is_open_is_worth_what_closing_it_at_these_quotes_brings_on_paper(token: str | None) -> None:
    world = World(token=token)
    world.open()
    pairs = world.bench.engine.desk.ledger.pairs
    (opened,) = pairs()
    saved = D("0.75") if token else 1  # a quarter of what both sides charge, in whatever asset paper takes it
    assert opened.fees == {"ETH": D("0.99") * D("0.001") * saved, "USDT": D("0.99") * 1010 * D("0.0005") * saved}
    before = world.bench.engine.desk.unrealised()
    bench = world.bench
    bench.engine.desk.leave(next(one for one in bench.engine.routes if one.pair is not None))
    for at_ms in (2_100, 2_200):
        bench.spot(at_ms, "999.90", "1000.10")
        bench.linear(at_ms, "1010.00", "1010.20")
    assert bench.engine.desk.unrealised() == {}
    assert bench.engine.desk.ledger.realised() == before
