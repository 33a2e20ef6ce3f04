"""The visible book: what is shown, less what we took."""

import math
from decimal import Decimal

import pytest

from bot.domain.instrument import Instrument, Segment
from bot.domain.market import TopOfBook
from bot.domain.order import Side
from bot.domain.order_book import BookChange, OrderBook
from bot.matching.book import VisibleBook

D = Decimal
SPOT = Instrument(
    venue="binance", symbol="ETH/USDT", segment=Segment.SPOT, base="ETH", quote="USDT",
    tick_size=D("0.01"), lot_size=D("0.01"),
)  # fmt: skip


def quote(bid: float = 99.9, bid_qty: float = 3.0, ask: float = 100.1, ask_qty: float = 2.0) -> TopOfBook:
    return TopOfBook(bid_price=bid, bid_qty=bid_qty, ask_price=ask, ask_qty=ask_qty, sequence=1)


@pytest.fixture
def book() -> VisibleBook:
    made = VisibleBook(SPOT)
    made.on_quote(quote())
    return made


def test_a_buy_meets_the_ask_and_a_sell_the_bid_with_the_digits_of_the_quote(book: VisibleBook) -> None:
    assert book.take(Side.BUY, D("0.5")) == [(D("100.1"), D("0.5"))]
    assert book.take(Side.SELL, D("0.5")) == [(D("99.9"), D("0.5"))]


def test_no_more_than_the_top_shows(book: VisibleBook) -> None:
    assert book.take(Side.BUY, D(10)) == [(D("100.1"), D("2.0"))]
    assert book.take(Side.BUY, D("0.01")) == []


def test_what_was_taken_stays_taken_while_the_price_stands(book: VisibleBook) -> None:
    book.take(Side.BUY, D("1.5"))
    book.on_quote(quote(ask_qty=1.8))
    assert book.available(Side.BUY) == D("0.3")
    book.on_quote(quote(ask_qty=1.2))
    assert book.available(Side.BUY) == 0
    assert book.available(Side.SELL) == 3


def test_a_new_price_on_one_side_is_offered_in_full_and_leaves_the_other_side_used(book: VisibleBook) -> None:
    book.take(Side.BUY, D(2))
    book.take(Side.SELL, D(3))
    book.on_quote(quote(ask=100.2))
    assert book.available(Side.BUY) == 2
    assert book.available(Side.SELL) == 0
    assert book.is_used


@pytest.mark.parametrize("moved", [-5.0, 5.0])
def test_what_was_taken_at_the_new_price_stays_taken_too(book: VisibleBook, moved: float) -> None:
    book.take(Side.BUY, D(2))
    for _ in range(2):
        book.on_quote(quote(ask=100.1 + moved))
        book.take(Side.BUY, D(2))
        assert book.available(Side.BUY) == 0


def test_a_price_that_leaves_and_returns_is_offered_in_full(book: VisibleBook) -> None:
    book.take(Side.BUY, D(2))
    book.on_quote(quote(ask=100.2))
    assert not book.is_used
    book.on_quote(quote())
    assert book.available(Side.BUY) == 2


@pytest.mark.parametrize(("side", "limit"), [(Side.BUY, "100"), (Side.SELL, "100")])
def test_a_limit_that_is_not_met_takes_nothing(book: VisibleBook, side: Side, limit: str) -> None:
    assert book.take(side, D(1), D(limit)) == []
    assert not book.is_used


@pytest.mark.parametrize(("side", "limit"), [(Side.BUY, "100.1"), (Side.SELL, "99.9")])
def test_a_limit_at_the_touch_is_met(book: VisibleBook, side: Side, limit: str) -> None:
    assert book.take(side, D(1), D(limit)) == [(D(limit), D(1))]


@pytest.mark.parametrize("bad", [math.nan, math.inf, 0.0, -1.0])
@pytest.mark.parametrize("field", ["ask", "ask_qty"])
def test_a_side_that_is_not_a_positive_number_offers_nothing(book: VisibleBook, field: str, bad: float) -> None:
    book.on_quote(quote(**{field: bad}))
    assert book.touch(Side.BUY) is None
    assert book.available(Side.BUY) == 0
    assert book.take(Side.BUY, D(1)) == []
    assert book.touch(Side.SELL) == D("99.9")


def test_a_withdrawn_quote_offers_nothing_and_its_return_remembers_what_we_took(book: VisibleBook) -> None:
    book.take(Side.BUY, D("1.5"))
    book.withdraw()
    assert book.take(Side.BUY, D(1)) == []
    book.on_quote(quote())
    assert book.available(Side.BUY) == D("0.5")


def test_only_whole_lots_are_offered(book: VisibleBook) -> None:
    book.on_quote(quote(ask_qty=0.0199))
    assert book.take(Side.BUY, D(1)) == [(D("100.1"), D("0.01"))]


def test_an_empty_book_offers_nothing() -> None:
    assert VisibleBook(SPOT).take(Side.BUY, D(1)) == []


def depth(bids: tuple[tuple[str, str], ...], asks: tuple[tuple[str, str], ...]) -> OrderBook:
    book = OrderBook(1_000, is_window=False)
    book.apply(BookChange(bids=bids, asks=asks, sequence=1, whole=True))
    return book


DEEP = depth(
    bids=(("100.0", "9"), ("99.9", "2"), ("99.5", "3")),
    asks=(("100.1", "9"), ("100.2", "1"), ("100.4", "5")),
)


def test_an_order_walks_the_levels_behind_the_quote_up_to_its_limit(book: VisibleBook) -> None:
    book.on_quote(quote(ask_qty=2.0), DEEP)
    assert book.take(Side.BUY, D(8), D("100.4")) == [(D("100.1"), D(2)), (D("100.2"), D(1)), (D("100.4"), D(5))]
    book.on_quote(quote(bid=100.0, bid_qty=1.0), DEEP)
    assert book.take(Side.SELL, D(9), D("99.9")) == [(D("100.0"), D(1)), (D("99.9"), D(2))]


def test_what_was_taken_behind_the_quote_stays_taken_while_it_stands_there(book: VisibleBook) -> None:
    book.on_quote(quote(ask_qty=2.0), DEEP)
    book.take(Side.BUY, D("3.5"))
    book.on_quote(quote(ask=100.05, ask_qty=1.0), DEEP)
    assert not book.take(Side.BUY, D(1), D("100.0"))
    # 100.1 is behind the quote now, where the book shows 9: of those 2 are ours; 0.5 of the 5 at 100.4 are.
    fills = book.take(Side.BUY, D(20))
    assert fills == [(D("100.05"), D(1)), (D("100.1"), D(7)), (D("100.4"), D("4.5"))]
    book.on_quote(quote(ask=100.3, ask_qty=1.0), DEEP)
    book.on_quote(quote(ask_qty=1.0), None)
    assert book.take(Side.BUY, D(5)) == [(D("100.1"), D(1))]


def test_a_book_that_is_better_than_the_quote_is_not_used(book: VisibleBook) -> None:
    """It shows a level that the quote says is gone."""
    book.on_quote(quote(ask=100.15, ask_qty=1.0), DEEP)
    assert book.take(Side.BUY, D(5)) == [(D("100.15"), D(1))]
