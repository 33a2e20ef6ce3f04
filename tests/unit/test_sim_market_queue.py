"""Price-time priority: what stands before an order trades before it, and nothing else does."""

import pytest

from exchanges.simulator.market.book_side import BookSide


@pytest.fixture
def side() -> BookSide:
    side = BookSide()
    side.set_market(100, 50)
    side.set_market(99, 20)
    return side


def test_an_order_trades_after_what_was_there_first(side: BookSide) -> None:
    side.join(100, 1, 10)
    assert side.consume(100, 50) == [(None, 50)]
    assert side.consume(100, 4) == [(1, 4)]
    assert side.shown(100) == 6


def test_what_comes_later_trades_later(side: BookSide) -> None:
    side.join(100, 1, 10)
    side.set_market(100, 80)
    side.join(100, 2, 5)
    assert side.consume(100, 1_000) == [(None, 50), (1, 10), (None, 30), (2, 5)]
    assert side.keys == [99]


def test_market_lots_behind_the_last_order_trade_last(side: BookSide) -> None:
    side.join(100, 1, 10)
    side.set_market(100, 60)
    assert side.consume(100, 65) == [(None, 50), (1, 10), (None, 5)]
    assert side.shown(100) == 5


def test_cancels_come_from_behind_an_order_as_long_as_there_is_something(side: BookSide) -> None:
    side.join(100, 1, 10)
    side.set_market(100, 80)
    side.set_market(100, 55)
    assert side.consume(100, 50) == [(None, 50)], "the 30 behind it have shrunk, not the 50 before it"
    side.set_market(100, 2)
    assert side.consume(100, 10) == [(1, 10)]


def test_an_order_holds_its_price_when_the_market_leaves(side: BookSide) -> None:
    side.join(100, 1, 10)
    side.set_market(100, 0)
    assert side.keys[-1] == 100
    assert side.best_market() == 99
    assert side.leave(1) == 10
    assert side.keys == [99]
    assert side.leave(1) == 0


def test_a_filled_order_is_gone(side: BookSide) -> None:
    side.join(101, 1, 10)
    side.join(101, 2, 10)
    assert side.consume(101, 12) == [(1, 10), (2, 2)]
    assert side.leave(1) == 0
    assert side.leave(2) == 8


def test_an_order_that_shrinks_keeps_its_place(side: BookSide) -> None:
    side.join(100, 1, 10)
    side.set_market(100, 80)
    side.touched.clear()
    assert side.shrink(1, 4)
    assert (side.shown(100), side.touched) == (86, {100})
    assert side.consume(100, 60) == [(None, 50), (1, 6), (None, 4)]
    assert not side.shrink(1, 1), "it is gone"


@pytest.mark.parametrize("lots", [10, 11])
def test_nothing_shrinks_to_nothing(side: BookSide, lots: int) -> None:
    side.join(100, 1, 10)
    assert not side.shrink(1, lots)
    assert side.shown(100) == 60
