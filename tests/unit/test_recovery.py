"""A start beside what an earlier run left: each order, trade and position, those of others too, and what is done."""

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import pytest

from bot.clock import SystemClock
from bot.domain.account import Position
from bot.domain.instrument import Instrument
from bot.domain.order import Fill, Order, OrderStatus, OrderType, Side
from bot.engine.accounts.left_behind import LeftBehind
from bot.engine.accounts.recovery import Recovery, tell_adopted
from bot.engine.accounts.runs_before import ADOPTED
from bot.errors import AuthenticationFailed, InvariantError, PreflightFailed, VenueError, VenueUnavailable
from bot.execution.journal_replay import JournalReplay, LeftPair
from bot.execution.pair import PairState
from bot.ports import Holdings, OrderFound, RecordKind
from bot.ports.account import KnownFill
from bot.settings import ExecutionSettings
from bot.settings.reconciliation import ReconciliationSettings
from tests.property.test_dust_killed import kept
from tests.unit.executor_bench import MemoryJournal
from tests.unit.pair_bench import OTHER, PERP, SPOT, Bench

D = Decimal
NOTHING = D(0)


@dataclass
class Venue:
    """Implements `AccountQuestions`; a test writes what it knows."""

    venue: str
    unknown_for_s: float = 0.01
    known: dict[str, list[OrderFound | VenueError | None]] = field(default_factory=dict)
    """By client order id: its answers, one after another; the last one stays."""
    fills_of: dict[str, list[list[Fill]]] = field(default_factory=dict)
    told: list[Fill] = field(default_factory=list)
    resting: list[OrderFound] = field(default_factory=list)
    positions: list[Position] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    cancelled: list[str] = field(default_factory=list)
    trouble: VenueError | None = None
    """What every question about the whole account comes to."""

    def wallet_of(self, instrument: Instrument) -> str:
        return f"{instrument.venue}.linear"

    async def open_orders(self) -> Sequence[OrderFound]:
        return self.resting

    async def trades(self, instruments: Collection[Instrument], since_ns: int, known: KnownFill) -> Sequence[Fill]:
        return [one for one in self.told if not known(one.instrument.id, one.fill_id)]

    async def holdings(self) -> Holdings:
        if self.trouble is not None:
            raise self.trouble
        return Holdings([], self.positions)

    async def order(self, order: Order) -> OrderFound | None:
        self.asked.append(order.client_order_id)
        answers = self.known.get(order.client_order_id, [None])
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(answer, VenueError):
            raise answer
        return answer

    async def fills(self, order: Order, found: OrderFound) -> Sequence[Fill]:
        answers = self.fills_of[order.client_order_id]
        return answers.pop(0) if len(answers) > 1 else answers[0]

    async def cancel(self, order: Order) -> None:
        self.cancelled.append(order.client_order_id)

    def take(self, fill: Fill) -> bool:
        raise AssertionError("nobody listens before the start")


def opening() -> tuple[LeftPair, dict[Side, Order]]:
    """A pair that was killed with both orders on their way: as the journal tells of it."""
    here = Bench()
    here.open()
    orders = {order.side: order for order in here.inbox}
    replay = JournalReplay({one.id: one for one in (SPOT, PERP)})
    for record in kept(here):
        replay.take(record)
    (left,) = replay.left()
    return left, orders


def fill(order: Order, quantity: str, name: str = "1") -> Fill:
    return Fill(
        fill_id=f"{order.client_order_id}.{name}", client_order_id=order.client_order_id, instrument=order.instrument,
        side=order.side, price=D(1000), quantity=D(quantity), fee=NOTHING, fee_asset="USDT", is_maker=False,
        ts_event_ns=5,
    )  # fmt: skip


def found(order: Order, status: OrderStatus, filled: str = "0") -> OrderFound:
    return OrderFound(order.client_order_id, order.instrument, status, D(filled), venue_order_id="7")


def strange(name: str = "web-1", instrument: Instrument = PERP) -> OrderFound:
    return OrderFound(name, instrument, OrderStatus.SENT, NOTHING, venue_order_id="88")


def held(quantity: str, instrument: Instrument = PERP) -> Position:
    return Position(instrument=instrument, quantity=D(quantity), average_price=D(1000))


class Rig:
    """Two venues and a recovery of one pair that was being opened."""

    def __init__(self, with_pair: bool = True) -> None:
        self.left = LeftBehind(since_ns=1)
        self.at = {"a": Venue("a"), "b": Venue("b")}
        self.journal = MemoryJournal()
        self.said: list[tuple[str, str]] = []
        if with_pair:
            one, self.orders = opening()
            self.left.pairs.append(one)
            self.pair = one.pair
            self.buy, self.sell = self.orders[Side.BUY], self.orders[Side.SELL]

    def recovery(self, instruments: Sequence[Instrument] = (SPOT, PERP), **settings: Any) -> Recovery:
        options = ReconciliationSettings.model_validate({"deadline_s": 60.0, **settings})
        accounts: Any = list(self.at.values())
        clock = SystemClock()
        event = lambda *told: self.said.append(told)  # noqa: E731 - it is all of it
        return Recovery(self.left, accounts, instruments, self.journal, clock, options, event)

    def both_filled(self) -> None:
        """What the venues know: both orders were filled whole."""
        for order, venue in ((self.buy, self.at["a"]), (self.sell, self.at["b"])):
            venue.known[order.client_order_id] = [found(order, OrderStatus.FILLED, "0.50")]
            venue.fills_of[order.client_order_id] = [[fill(order, "0.50")]]
        self.at["b"].positions = [held("-0.50")]

    def written(self, kind: RecordKind) -> list[Any]:
        return [body for told, _, body in self.journal.records if told is kind]

    def says(self, text: str) -> int:
        return sum(text in line for _, line in self.said)


# Orders whose end is not known


async def test_fault_59_an_order_that_no_venue_knows_is_asked_for_twice_and_never_arrived() -> None:
    rig = Rig()
    await rig.recovery().settle()
    assert rig.at["a"].asked == [rig.buy.client_order_id] * 2
    assert (rig.pair.pending, rig.pair.buy.held, rig.pair.sell.held) == (set(), 0, 0)
    ended = rig.written(RecordKind.ORDER)
    assert {body["status"] for body in ended} == {"rejected"}
    assert all("never arrived" in body["reason"] for body in ended)


async def test_an_order_that_a_venue_shows_late_is_not_given_up_at_the_first_no() -> None:
    rig = Rig()
    rig.both_filled()
    rig.at["a"].known[rig.buy.client_order_id].insert(0, None)
    await rig.recovery().settle()
    assert rig.pair.buy.held == D("0.50")


async def test_a_venue_that_knows_at_once_is_asked_once() -> None:
    rig = Rig()
    for venue in rig.at.values():
        venue.unknown_for_s = 0
    await rig.recovery().settle()
    assert rig.at["a"].asked == [rig.buy.client_order_id]


async def test_what_rests_is_cancelled_and_its_end_waited_for() -> None:
    rig = Rig()
    rig.both_filled()
    rig.at["a"].known[rig.buy.client_order_id] = [
        found(rig.buy, OrderStatus.SENT),
        found(rig.buy, OrderStatus.CANCELLED, "0.20"),
    ]
    rig.at["a"].fills_of[rig.buy.client_order_id] = [[fill(rig.buy, "0.20")]]
    (left,) = await rig.recovery().settle()
    assert rig.at["a"].cancelled == [rig.buy.client_order_id]
    assert (left.pair.buy.held, left.pair.sell.held) == (D("0.20"), D("-0.50"))
    assert left.pair.orders[rig.buy.client_order_id][0].status is OrderStatus.CANCELLED


async def test_fault_36_fills_that_a_venue_shows_later_than_the_order_are_waited_for() -> None:
    rig = Rig()
    rig.both_filled()
    whole = [fill(rig.buy, "0.20", "1"), fill(rig.buy, "0.30", "2")]
    rig.at["a"].fills_of[rig.buy.client_order_id] = [[], whole[:1], whole]
    await rig.recovery().settle()
    assert rig.pair.buy.held == D("0.50")
    kinds = [kind for kind, key, _ in rig.journal.records if rig.buy.client_order_id in key]
    assert kinds == [RecordKind.FILL, RecordKind.FILL, RecordKind.ORDER], "the fills before the end, each once"


async def test_a_venue_that_is_away_is_asked_again_and_that_is_said() -> None:
    rig = Rig()
    rig.both_filled()
    rig.at["a"].known[rig.buy.client_order_id].insert(0, VenueUnavailable("a", "maintenance"))
    await rig.recovery().settle()
    assert rig.pair.buy.held == D("0.50")
    assert rig.says("not known yet what the account holds: a: maintenance") == 1


async def test_fault_34_a_key_that_is_refused_is_not_asked_with_again() -> None:
    rig = Rig()
    rig.at["a"].known[rig.buy.client_order_id] = [AuthenticationFailed("a", "invalid key")]
    with pytest.raises(AuthenticationFailed):
        await rig.recovery().settle()
    assert rig.at["a"].asked == [rig.buy.client_order_id]


async def test_a_venue_that_does_not_answer_by_the_deadline_ends_the_start() -> None:
    rig = Rig(with_pair=False)

    async def nothing() -> Holdings:
        await asyncio.Event().wait()
        raise AssertionError

    rig.at["b"].holdings = nothing  # type: ignore[method-assign]
    with pytest.raises(PreflightFailed, match=r"could not be compared with the journal within 0\.2 s") as refused:
        await asyncio.wait_for(rig.recovery(deadline_s=0.2).settle(), 60)
    assert refused.value.exit_code == 3


async def test_a_venue_that_is_away_until_the_deadline_ends_the_start_by_its_name() -> None:
    rig = Rig(with_pair=False)
    rig.at["b"].trouble = VenueUnavailable("b", "maintenance")
    with pytest.raises(VenueUnavailable, match=r"b: the account could not be compared .* within 0\.2 s: b: mainten"):
        await asyncio.wait_for(rig.recovery(deadline_s=0.2).settle(), 60)


# Trades, positions and orders of others


async def test_fault_32_a_late_fill_of_an_order_that_was_over_is_journalled_once_and_counted() -> None:
    """It had ended with a part filled; the rest of its fills was never told, and a look at own trades finds it."""
    rig = Rig()
    rig.both_filled()
    left = rig.left.pairs[0]
    first, second = fill(rig.buy, "0.20", "1"), fill(rig.buy, "0.30", "2")
    left.pair.count(first)
    left.fills.append(first)
    rig.left.fill_ids.add((SPOT.id, first.fill_id))
    rig.at["a"].known[rig.buy.client_order_id] = [found(rig.buy, OrderStatus.EXPIRED, "0.20")]
    rig.at["a"].fills_of[rig.buy.client_order_id] = [[first]]
    rig.at["a"].told = [first, second]
    await rig.recovery().settle()
    assert left.pair.buy.held == D("0.50")
    told = [
        body["fill_id"] for body in rig.written(RecordKind.FILL) if body["client_order_id"] == first.client_order_id
    ]
    assert told == [second.fill_id]
    assert rig.says(f"fill {second.fill_id} of order {second.client_order_id} was missed") == 1


async def test_fault_32_a_fill_that_came_when_its_pair_was_over_is_told_and_nothing_is_opened_there() -> None:
    """Spot is a balance: no position differs, and nobody else would ever hear of it."""
    rig = Rig(with_pair=False)
    _, orders = opening()
    late, others = fill(orders[Side.BUY], "0.50"), fill(orders[Side.BUY], "0.10", "2")
    rig.left.orders_over = {late.client_order_id: "run-1"}
    rig.at["a"].told = [late, others.model_copy(update={"client_order_id": "web-1"})]
    recovery = rig.recovery()
    assert await recovery.settle() == []
    assert recovery.quarantined.keys() == {SPOT.id}
    assert rig.says("(buy 0.50 at") == 1
    assert rig.says(f"of order {late.client_order_id} came when pair run-1 was over") == 1
    assert rig.says("web-1") == 0, "what a person traded while nobody ran is the person's"


def over(rig: Rig) -> dict[Side, Order]:
    """The rig's journal tells of a pair that was missed: both orders expired. Returns them."""
    here = Bench()
    here.open()
    orders = {order.side: order for order in here.inbox}
    for order in orders.values():
        here.end(order, status=OrderStatus.EXPIRED)
    replay = JournalReplay({one.id: one for one in (SPOT, PERP)})
    for record in kept(here):
        replay.take(record)
    assert replay.left() == []
    rig.left.orders_over, rig.left.take_up = replay.orders_over(), replay.rebuilt
    return orders


@pytest.mark.parametrize("side", list(Side))
async def test_fault_32_a_pair_that_was_over_is_taken_up_for_a_fill_that_a_start_finds_and_closed(side: Side) -> None:
    rig = Rig(with_pair=False)
    late = fill(over(rig)[side], "0.50")
    rig.at["a" if side is Side.BUY else "b"].told = [late]
    rig.at["b"].positions = [held("-0.50")] if side is Side.SELL else []
    recovery = rig.recovery()
    (left,) = await recovery.settle()
    assert (left.pair.state, left.pair.close_reason, left.fills) == (PairState.CLOSING, "late_fill", [late])
    assert recovery.quarantined == {}
    assert rig.left.reopened == ["run-1"]
    assert [kind for kind, _, _ in rig.journal.records] == [RecordKind.PAIR, RecordKind.FILL], "a kill loses neither"
    assert rig.says("ALARM: pair run-1 was over, and its order") == 1
    there = Bench()
    there.executor.adopt(left.pair)
    there.answer(side.opposite, late.instrument)
    assert left.pair.state is PairState.CLOSED


async def test_a_fill_that_a_pair_that_is_over_has_counted_is_no_news() -> None:
    here = Bench()
    here.open()
    known = [here.fill(here.take(side, one)) for side, one in ((Side.BUY, SPOT), (Side.SELL, PERP))]
    (pair,) = here.executor.pairs.values()
    for order, _, _ in list(pair.orders.values()):
        here.end(order, order.quantity)
    here.executor.close(pair, "edge_gone")
    here.answer(Side.SELL, SPOT)
    here.answer(Side.BUY, PERP)
    replay = JournalReplay({one.id: one for one in (SPOT, PERP)})
    for record in kept(here):
        replay.take(record)
    rig = Rig(with_pair=False)
    rig.left.orders_over, rig.left.take_up = replay.orders_over(), replay.rebuilt
    rig.at["a"].told, rig.at["b"].told = known[:1], known[1:]
    recovery = rig.recovery()
    assert await recovery.settle() == []
    assert (rig.journal.records, recovery.quarantined, rig.left.reopened) == ([], {}, [])


async def test_a_pair_that_was_over_stays_so_where_a_person_has_closed_what_there_was() -> None:
    rig = Rig(with_pair=False)
    rig.at["a"].told = [fill(over(rig)[Side.BUY], "0.50")]
    recovery = rig.recovery(pairs="abandon")
    assert await recovery.settle() == []
    assert recovery.quarantined.keys() == {SPOT.id}
    assert rig.written(RecordKind.PAIR) == []


async def test_a_position_that_the_pairs_explain_lets_the_bot_start() -> None:
    rig = Rig()
    rig.both_filled()
    (left,) = await rig.recovery().settle()
    assert left.pair is rig.pair
    assert rig.left.fill_ids == {(one.instrument.id, one.fill_id) for one in left.fills}, "no news for the run"
    assert [one.fill_id for one in left.fills] == [f"{one.client_order_id}.1" for one in (rig.buy, rig.sell)]


@pytest.mark.parametrize("foreign", ["refuse", "quarantine"])
async def test_a_position_that_is_not_what_the_pairs_hold_is_never_quarantined(foreign: str) -> None:
    rig = Rig()
    rig.both_filled()
    rig.at["b"].positions = [held("-0.40")]
    rig.at["b"].told = [fill(rig.sell.model_copy(update={"client_order_id": "web-1", "side": Side.BUY}), "0.10")]
    with pytest.raises(PreflightFailed) as refused:
        await rig.recovery(foreign=foreign).settle()
    assert "b:ETH/USDT:USDT: position -0.40, and the journal's pairs hold -0.50" in str(refused.value)
    assert "others traded +0.10 there since" in str(refused.value)
    assert (PERP.id, "web-1.1") in rig.left.fill_ids, "told, and no news for the run"
    assert rig.left.asked_ns is not None
    assert "reconciliation.pairs=abandon" in str(refused.value)


@pytest.mark.parametrize("left", ["0", "0.20"])
async def test_fault_50_what_the_venue_took_away_while_nobody_ran_is_booked_and_the_other_leg_closed(left: str) -> None:
    """Refused, the start would leave that leg alone until a person comes."""
    rig = Rig()
    rig.both_filled()
    rig.pair.state = PairState.OPEN
    rig.at["b"].positions = [held(f"-{left}")] if D(left) else []
    name = {"client_order_id": "autoclose-1", "side": Side.BUY, "forced": "liquidation"}
    taken = fill(rig.sell, "0.10").model_copy(update={**name, "fill_id": "x"})
    rest = D("0.40") - D(left)
    rig.at["b"].told = [taken, taken.model_copy(update={"fill_id": "y", "quantity": rest})]
    await rig.recovery().settle()
    assert (rig.pair.buy.held, rig.pair.sell.held) == (D("0.50"), -D(left))
    booked = [body for body in rig.written(RecordKind.FILL) if body["client_order_id"] == "autoclose-1"]
    assert [(body["fill_id"], body["pair"], body["leg"]) for body in booked] == [
        (name, rig.pair.id, "hedge_buy") for name in ("x", "y")
    ]
    assert {(PERP.id, "x"), (PERP.id, "y")} <= rig.left.fill_ids, "no news for the run"
    assert rig.says("ALARM: the venue took 0.10 of b:ETH/USDT:USDT at 1000 away (liquidation)") == 1
    assert (rig.pair.state, rig.pair.close_reason) == (PairState.CLOSING, "liquidation")
    there = Bench()
    there.executor.adopt(rig.pair)
    while rig.pair.state is not PairState.CLOSED:
        if not there.inbox:
            there.wait_for_an_order()
        order = there.inbox[0]
        there.answer(order.side, order.instrument)
    assert (rig.pair.buy.held, rig.pair.sell.held) == (0, 0)


@pytest.mark.parametrize(("forced", "position"), [("", "0"), ("liquidation", "-0.30"), ("liquidation", "0.10")])
async def test_what_the_venue_took_away_is_booked_only_where_it_is_all_that_is_missing(
    forced: str, position: str
) -> None:
    rig = Rig()
    rig.both_filled()
    rig.at["b"].positions = [held(position)] if D(position) else []
    quantity = "0.60" if position == "0.10" else "0.50"
    taken = fill(rig.sell.model_copy(update={"client_order_id": "autoclose-1", "side": Side.BUY}), quantity)
    rig.at["b"].told = [taken.model_copy(update={"forced": forced})]
    with pytest.raises(PreflightFailed, match="others traded"):
        await rig.recovery().settle()
    assert rig.pair.sell.held == D("-0.50")
    assert "autoclose-1" not in {body["client_order_id"] for body in rig.written(RecordKind.FILL)}


@pytest.mark.parametrize(
    ("orders", "positions", "words"),
    [
        ([strange()], [], "open order web-1"),
        ([strange("")], [], "open order 88"),
        ([], [held("0.7")], "position +0.7, and the journal's pairs hold +0"),
        ([strange()], [held("0.7")], "open order web-1; position +0.7, and the journal's pairs hold +0"),
    ],
)
async def test_fault_55_what_is_not_ours_refuses_the_start_or_is_quarantined(
    orders: list[OrderFound], positions: list[Position], words: str
) -> None:
    rig = Rig(with_pair=False)
    rig.at["b"].resting, rig.at["b"].positions = orders, positions
    with pytest.raises(PreflightFailed) as refused:
        await rig.recovery().settle()
    assert f"{PERP.id}: {words}" in str(refused.value)
    assert "reconciliation.foreign=quarantine" in str(refused.value)
    beside = rig.recovery(foreign="quarantine")
    assert await beside.settle() == []
    assert beside.quarantined == {PERP.id: words}
    assert rig.says(f"QUARANTINE {PERP.id}: {words}") == 1


async def test_every_venue_is_compared_before_the_start_is_refused() -> None:
    rig = Rig(with_pair=False)
    rig.at["a"].resting, rig.at["b"].resting = [strange("x", SPOT)], [strange("y")]
    with pytest.raises(PreflightFailed) as refused:
        await rig.recovery().settle()
    assert len(str(refused.value).splitlines()) == 2


async def test_a_pair_on_an_instrument_that_is_not_in_this_run_ends_the_start_before_anything_is_asked() -> None:
    rig = Rig()
    with pytest.raises(PreflightFailed, match=f"pair {rig.pair.id} .*on an instrument that is not in this run"):
        await rig.recovery((SPOT, OTHER)).settle()
    assert rig.at["a"].asked == []


# What a person has closed


async def test_pairs_that_a_person_has_closed_are_forgotten_and_what_is_still_there_is_not_ours() -> None:
    rig = Rig()
    assert await rig.recovery(pairs="abandon").settle() == []
    (over,) = rig.written(RecordKind.PAIR)
    assert (over["state"], over["close_reason"]) == ("failed", "abandoned")
    unknown = sorted(order.client_order_id for order in rig.orders.values())
    nothing = f"+0 {SPOT.base} on {SPOT.id}, +0 {PERP.base} on {PERP.id}"
    assert over["abandoned"] == {"was": "opening", "held": nothing, "orders": unknown}
    assert rig.pair.state is PairState.FAILED
    assert rig.says(f"pair {rig.pair.id} of an earlier run is abandoned") == 1
    assert rig.says(f"it was opening and held {nothing}; orders without a known end: {', '.join(unknown)}") == 1
    assert rig.at["a"].asked == [], "nobody asks for its orders any more"
    replay = JournalReplay({one.id: one for one in (SPOT, PERP)})
    (kind, key, body) = next(one for one in rig.journal.records if one[0] is RecordKind.PAIR)
    replay.take(type("Told", (), {"kind": kind, "key": key, "body": body})())
    assert replay.left() == [], "nor does the next start"


async def test_a_rest_of_an_abandoned_pair_is_foreign() -> None:
    rig = Rig()
    rig.at["b"].positions = [held("-0.50")]
    with pytest.raises(PreflightFailed, match=r"position -0\.50, and the journal's pairs hold \+0"):
        await rig.recovery(pairs="abandon").settle()
    assert rig.written(RecordKind.PAIR) == [], "the next start knows the pair still: it may be asked for too early"


async def test_what_was_adopted_is_told_once_for_the_next_start() -> None:
    rig = Rig()
    rig.both_filled()
    pairs = await rig.recovery().settle()
    tell_adopted(rig.journal, SystemClock(), pairs)
    (kind, key, body) = rig.journal.records[-1]
    assert (kind, key, body["pairs"]) == (RecordKind.EVENT, ADOPTED, [rig.pair.id])


# Going on with it


def uneven() -> LeftPair:
    """A pair that was killed when one leg alone was filled, and whose other order is known to have brought nothing."""
    left, orders = opening()
    for order, status in ((orders[Side.BUY], OrderStatus.FILLED), (orders[Side.SELL], OrderStatus.EXPIRED)):
        _, leg, expected = left.pair.orders[order.client_order_id]
        left.pair.orders[order.client_order_id] = (order.model_copy(update={"status": status}), leg, expected)
    left.pair.count(fill(orders[Side.BUY], "0.50"))
    left.pair.pending.clear()
    return left


def test_an_adopted_pair_is_unwound_and_never_completed() -> None:
    there = Bench(ExecutionSettings(), net_edge_bps=30.0, taker_bps=5.0)  # completing would cost less
    pair = uneven().pair
    there.executor.adopt(pair)
    (order,) = there.inbox
    assert (order.instrument, order.side, order.type) == (SPOT, Side.SELL, OrderType.MARKET)
    there.answer(Side.SELL, SPOT)
    assert (pair.state, pair.buy.held) == (PairState.FAILED, 0)


def test_a_pair_is_adopted_once_and_not_when_it_is_over() -> None:
    there, pair = Bench(), uneven().pair
    there.executor.adopt(pair)
    with pytest.raises(InvariantError, match="was to be adopted"):
        there.executor.adopt(pair)
    there.answer(Side.SELL, SPOT)
    assert pair.state.is_over
    with pytest.raises(InvariantError, match="was to be adopted"):
        there.executor.adopt(pair)
