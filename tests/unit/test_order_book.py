import pytest

from bot.domain.book_side import BookSide
from bot.domain.order_book import BookChange, OrderBook
from bot.errors import MalformedPayload


def side(*levels: tuple[str, str], is_bid: bool = False) -> BookSide:
    made = BookSide(is_bid=is_bid)
    made.apply(levels)
    return made


def whole(bids: list[tuple[str, str]], asks: list[tuple[str, str]], sequence: int = 1) -> BookChange:
    return BookChange(bids=tuple(bids), asks=tuple(asks), sequence=sequence, ts_event_ns=7, whole=True)


def test_levels_come_best_first_on_both_sides() -> None:
    levels = (("2", "20"), ("1", "10"), ("3", "30"))
    assert side(*levels).levels() == [(1.0, 10.0), (2.0, 20.0), (3.0, 30.0)]
    assert side(*levels, is_bid=True).levels(2) == [(3.0, 30.0), (2.0, 20.0)]
    assert side(*levels, is_bid=True).best_price == 3.0


def test_a_quantity_is_absolute_and_zero_deletes_however_it_is_spelled() -> None:
    made = side(("1.0", "5"), ("2.0", "6"), ("3.0", "7"))
    made.apply([("1.00", "4.5"), ("2", "0.00000000"), ("9", "0"), ("3.000", "0")])
    assert made.printed() == [("1.00", "4.5")]
    assert (made.quantity_at(1.0), made.quantity_at(2.0)) == (4.5, 0.0)


@pytest.mark.parametrize(
    "level",
    [
        ("NaN", "1"),
        ("1", "nan"),
        ("-1", "1"),
        ("0", "1"),
        ("1", "-1"),
        ("inf", "1"),
        ("1", "inf"),
        ("", "1"),
        ("1", ""),
    ],
)
def test_fault_13_what_is_no_price_or_quantity_is_malformed(level: tuple[str, str]) -> None:
    with pytest.raises(MalformedPayload):
        side(level)


def test_a_sweep_takes_level_after_level_up_to_its_limit() -> None:
    asks = side(("10", "1"), ("11", "2"), ("12", "4"))
    assert asks.sweep(2.0).notional == 10.0 + 11.0
    assert asks.sweep(2.0).worst_price == 11.0
    assert asks.sweep(100.0).quantity == 7.0
    assert asks.sweep(100.0, limit_price=11.0).quantity == 3.0
    assert asks.sweep(100.0, limit_price=9.0).worst_price is None
    bids = side(("10", "1"), ("9", "2"), ("8", "4"), is_bid=True)
    assert bids.sweep(100.0, limit_price=9.0).notional == 10.0 + 18.0


def test_behind_a_full_side_nothing_is_known() -> None:
    book = OrderBook(2, is_window=False)
    book.apply(whole([("5", "1"), ("4", "1")], [("6", "1")]))
    assert (book.bids.is_partial, book.asks.is_partial) == (True, False)
    book.apply(BookChange(bids=(("3", "9"), ("4", "0")), asks=(("7", "1"),), sequence=2))
    assert book.bids.levels() == [(5.0, 1.0)]
    assert book.asks.levels() == [(6.0, 1.0), (7.0, 1.0)]
    book.apply(BookChange(bids=(("4", "2"),), asks=(("8", "1"),), sequence=3))
    assert book.bids.levels() == [(5.0, 1.0), (4.0, 2.0)]
    assert book.asks.levels() == [(6.0, 1.0), (7.0, 1.0)]
    assert book.asks.is_partial


def test_a_window_takes_what_comes_into_view() -> None:
    book = OrderBook(2, is_window=True)
    book.apply(whole([("5", "1"), ("4", "1"), ("3", "1")], []))
    assert book.bids.levels() == [(5.0, 1.0), (4.0, 1.0)]
    book.apply(BookChange(bids=(("4", "0"), ("3", "1")), asks=(), sequence=2))
    assert book.bids.levels() == [(5.0, 1.0), (3.0, 1.0)]


def test_the_top_and_its_digits() -> None:
    book = OrderBook(5, is_window=True)
    assert (book.top(), book.printed_top("X"), book.image()) == (None, None, None)
    book.apply(whole([("5.10", "1.000")], [("5.20", "2.000")], sequence=9))
    top, printed = book.top(), book.printed_top("BTCUSDT")
    assert top is not None
    assert printed is not None
    assert (top.bid_price, top.bid_qty, top.ask_price, top.ask_qty) == (5.1, 1.0, 5.2, 2.0)
    assert (top.sequence, top.ts_event_ns) == (9, 7)
    assert printed.model_dump() == {
        "symbol": "BTCUSDT", "top_bid": "5.10", "top_bid_quantity": "1.000", "top_ask": "5.20",
        "top_ask_quantity": "2.000",
    }  # fmt: skip


@pytest.mark.parametrize(("bid", "is_crossed"), [("5.19", False), ("5.20", True), ("5.21", True)])
def test_fault_11_a_locked_book_is_a_crossed_one(bid: str, is_crossed: bool) -> None:
    book = OrderBook(5, is_window=True)
    book.apply(whole([(bid, "1")], [("5.2", "1")]))
    assert book.is_crossed is is_crossed


def test_a_book_is_thin_when_less_than_half_of_what_was_asked_for_is_known() -> None:
    book = OrderBook(4, is_window=False)
    book.apply(whole([(str(price), "1") for price in (9, 8, 7, 6)], [("10", "1")]))
    book.apply(BookChange(bids=(("9", "0"), ("8", "0")), asks=(), sequence=2))
    assert not book.is_thin
    book.apply(BookChange(bids=(("7", "0"),), asks=(), sequence=3))
    assert book.is_thin


def test_an_image_is_the_book_again() -> None:
    book = OrderBook(5, is_window=True)
    book.apply(whole([("5", "1"), ("4", "2")], [("6", "1")], sequence=3))
    image = book.image()
    assert image is not None
    again = OrderBook(5, is_window=True)
    again.apply(image)
    assert again.image() == image
    assert book.image(1) == whole([("5", "1")], [("6", "1")], sequence=3)
