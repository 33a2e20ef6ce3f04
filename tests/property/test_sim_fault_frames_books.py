"""Books of clients while `crossed` strikes changes of depth: crossed where it says so, and the true ones after."""

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.clock import VirtualClock
from bot.domain.instrument import Segment
from exchanges.simulator.faults.catalogue import FaultKind
from exchanges.simulator.faults.desk import FaultDesk
from exchanges.simulator.faults.frame_binance import BinanceFrames
from exchanges.simulator.faults.frame_bybit import BybitFrames
from exchanges.simulator.faults.frame_codec import TEXT, decoded, encoded
from exchanges.simulator.faults.frame_dialect import Dialect, Label
from exchanges.simulator.faults.frames import FrameFaults
from exchanges.simulator.faults.values import Fault

Side = dict[int, int]
Book = tuple[Side, Side]

middles = st.integers(95, 105)
sizes = st.lists(st.integers(1, 9), min_size=1, max_size=4)


@st.composite
def books(draw: st.DrawFn) -> Book:
    """Never crossed, and never empty on a side."""
    middle = draw(middles)
    bids = {middle - i: lots for i, lots in enumerate(draw(sizes))}
    asks = {middle + 1 + i: lots for i, lots in enumerate(draw(sizes))}
    return bids, asks


def changes(before: Side, after: Side) -> Side:
    return {price: after.get(price, 0) for price in before | after if before.get(price) != after.get(price)}


class Venue:
    """Spells changes."""

    def __init__(self, dialect: Dialect, digits: int) -> None:
        self.dialect, self.digits = dialect, digits
        self.u = 1

    def levels(self, side: Side, *, best_first: int) -> list[list[str]]:
        rows = sorted(side.items(), key=lambda one: -best_first * one[0])
        zero = "0" if self.dialect.venue == "bybit" else f"{0:.{self.digits}f}"
        return [[f"{price}.50", f"{lots}.{'0' * self.digits}" if lots else zero] for price, lots in rows]

    def frame(self, bids: Side, asks: Side, kind: str = "delta") -> str:
        self.u += 1
        sides = {"b": self.levels(bids, best_first=1), "a": self.levels(asks, best_first=-1), "u": self.u}
        if self.dialect.venue == "bybit":
            return json.dumps({"topic": "orderbook.50.X", "type": kind, "ts": 1, "data": {"s": "X", **sides, "seq": 1}})
        return json.dumps({"stream": "x@depth", "data": {"e": "depthUpdate", "E": 1, "s": "X", "pu": 1, **sides}})


class Client:
    """Follows them by price."""

    def __init__(self, book: Book) -> None:
        self.sides: list[dict[Decimal, Decimal]] = [
            {Decimal(price) + Decimal("0.5"): Decimal(lots) for price, lots in side.items()} for side in book
        ]

    def apply(self, payload: bytes) -> None:
        data = json.loads(payload)["data"]
        for side, name in zip(self.sides, "ba", strict=True):
            prices = [price for price, _ in data[name]]
            assert len(prices) == len(set(prices)), "a price twice in one frame"
            for price, quantity in data[name]:
                assert len(price.split(".")[1]) == 2
                if Decimal(quantity):
                    side[Decimal(price)] = Decimal(quantity)
                else:
                    side.pop(Decimal(price), None)

    @property
    def is_crossed(self) -> bool:
        return max(self.sides[0]) > min(self.sides[1])


@pytest.mark.parametrize("dialect", [BinanceFrames(lambda: 1), BybitFrames(lambda: 1)], ids=["binance", "bybit"])
@given(first=books(), steps=st.lists(st.tuples(books(), st.booleans()), min_size=1, max_size=12), last=books())
def test_a_book_crosses_at_every_strike_and_is_healed(
    dialect: Dialect, first: Book, steps: list[tuple[Book, bool]], last: Book
) -> None:
    desk = FaultDesk(VirtualClock())
    faults, venue, client = FrameFaults(desk, dialect), Venue(dialect, 3), Client(first)
    pipe = type("Pipe", (), {"tamper": None})()
    faults.opened(pipe, Label(Segment.LINEAR, "public"))

    def send(before: Book, after: Book) -> None:
        changed = [changes(one, other) for one, other in zip(before, after, strict=True)]
        frame = encoded(TEXT, venue.frame(*changed).encode())
        client.apply(decoded(pipe.tamper(frame) if pipe.tamper else frame)[1])

    truth, number = first, 0
    for book, strikes in steps:
        desk.end(number)
        if strikes:
            number = desk.order(Fault(fault=FaultKind.CROSSED, venue=dialect.venue))
        send(truth, book)
        truth = book
        struck = strikes and desk.orders[-1].struck
        assert client.is_crossed or not struck
        if not strikes:
            assert client.sides == Client(truth).sides
    desk.end(number)
    send(truth, last)
    assert client.sides == Client(last).sides
    assert pipe.tamper is None


def test_a_level_that_has_become_true_meanwhile_stays() -> None:
    desk, dialect = FaultDesk(VirtualClock()), BinanceFrames(lambda: 1)
    faults, venue, client = FrameFaults(desk, dialect), Venue(dialect, 3), Client(({}, {}))
    pipe = type("Pipe", (), {"tamper": None})()
    faults.opened(pipe, Label(Segment.LINEAR, "public"))
    number = desk.order(Fault(fault=FaultKind.CROSSED, venue="binance"))
    # A bid at 101 is put in; the ask there goes, and then a bid comes: frames of one side, in which nothing can cross.
    for bids, asks in (({100: 1}, {101: 1}), ({}, {101: 0, 103: 1}), ({101: 5}, {})):
        client.apply(decoded(pipe.tamper(encoded(TEXT, venue.frame(bids, asks).encode())))[1])
    desk.end(number)
    client.apply(decoded(pipe.tamper(encoded(TEXT, venue.frame({99: 2}, {}).encode())))[1])
    assert client.sides == Client(({100: 1, 101: 5, 99: 2}, {103: 1})).sides


@given(before=books(), book=books())
def test_a_snapshot_forgets_what_was_put_in(before: Book, book: Book) -> None:
    dialect = BybitFrames(lambda: 1)
    desk = FaultDesk(VirtualClock())
    faults, venue = FrameFaults(desk, dialect), Venue(dialect, 3)
    pipe = type("Pipe", (), {"tamper": None})()
    faults.opened(pipe, Label(Segment.LINEAR, "public"))
    number = desk.order(Fault(fault=FaultKind.CROSSED, venue="bybit"))
    pipe.tamper(encoded(TEXT, venue.frame(*before).encode()))
    assert desk.orders[-1].struck == 1
    desk.end(number)
    snapshot = encoded(TEXT, venue.frame(*book, "snapshot").encode())
    assert pipe.tamper(snapshot) == snapshot
    assert pipe.tamper is None
