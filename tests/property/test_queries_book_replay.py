"""The replay of archived depth without a step per level, against the book that takes level by level."""

from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.domain.order_book import BookChange, BookState, OrderBook
from bot.storage.archive.channels import SCHEMAS, Channel
from bot.storage.book_replay import DepthRules, replay

Levels = list[tuple[float, float]]
prices = st.integers(1, 12).map(lambda ticks: ticks / 100)
quantities = st.one_of(st.just(0.0), st.integers(1, 50).map(lambda lots: lots / 10))


def sides(least: int = 0) -> st.SearchStrategy[tuple[Levels, Levels]]:
    bids = st.lists(st.tuples(prices.map(lambda price: 1.0 - price), quantities), min_size=least, max_size=8)
    asks = st.lists(st.tuples(prices.map(lambda price: 1.0 + price), quantities), min_size=least, max_size=8)
    return st.tuples(bids, asks)


messages = st.lists(st.tuples(st.booleans(), sides()), min_size=1, max_size=25)


def rows(told: list[tuple[str, Levels, Levels]], first: int = 7) -> pa.Table:
    found: list[dict[str, Any]] = []
    for number, (kind, bids, asks) in enumerate(told):
        levels = [(1, *level) for level in bids] + [(-1, *level) for level in asks]
        found += [
            {"instrument": "x:A/B", "ts_recv_ns": number, "ts_event_ns": None, "message": first + number, "kind": kind,
             "first_id": number, "last_id": number, "side": side, "price": price, "quantity": quantity}
            for side, price, quantity in levels or [(0, 0.0, 0.0)]
        ]  # fmt: skip
    return pa.Table.from_pylist(found, schema=SCHEMAS[Channel.DEPTH])


def reference(told: list[tuple[str, Levels, Levels]], rules: DepthRules) -> OrderBook:
    book = OrderBook(rules.depth, is_window=rules.is_window)
    for number, (kind, bids, asks) in enumerate(told):
        printed = [tuple((repr(price), repr(quantity)) for price, quantity in side) for side in (bids, asks)]
        book.apply(BookChange(bids=printed[0], asks=printed[1], sequence=number, whole=kind == "snapshot"))
    return book


def shown(told: list[tuple[str, Levels, Levels]], rules: DepthRules) -> Any:
    image = replay(rows(told), rules)
    assert image is not None
    return image.at("x:A/B", 0)


@settings(max_examples=150, deadline=None)
@given(sides(1), messages, st.sampled_from([3, 5, 30]))
def test_a_window_is_what_the_live_book_keeps(start: tuple[Levels, Levels], later: Any, depth: int) -> None:
    told = [("snapshot", *start)] + [("snapshot" if whole else "delta", *levels) for whole, levels in later]
    rules = DepthRules(depth, is_window=True)
    live, book = reference(told, rules), shown(told, rules)
    if len(live.bids) and len(live.asks):
        assert book.state is BookState.VALID
        assert (list(book.bids), list(book.asks)) == (live.bids.levels(), live.asks.levels())
        assert book.sequence == live.sequence
    else:
        assert book.state is not BookState.VALID


@settings(max_examples=150, deadline=None)
@given(sides(1), messages)
def test_a_book_that_is_known_to_its_ends_has_every_level(start: tuple[Levels, Levels], later: Any) -> None:
    told = [("snapshot", *start)] + [("delta", *levels) for _, levels in later]
    rules = DepthRules(100)
    live, book = reference(told, rules), shown(told, rules)
    if len(live.bids) and len(live.asks):
        assert (list(book.bids), list(book.asks)) == (live.bids.levels(), live.asks.levels())


@settings(max_examples=150, deadline=None)
@given(messages, st.integers(4, 10))
def test_of_a_book_that_was_cut_off_no_wrong_level_is_shown(later: Any, depth: int) -> None:
    # As the recorder keeps it: what the live book let pass is not in the archive.
    snapshot = ("snapshot", *[[(1 + sign * n / 100, 1.0) for n in range(1, depth + 1)] for sign in (-1, 1)])
    live = OrderBook(depth, is_window=False)
    told = [snapshot]
    live.apply(reference([snapshot], DepthRules(depth)).image() or pytest.fail("no book"))
    for _, (bids, asks) in later:
        printed = [tuple((repr(price), repr(quantity)) for price, quantity in side) for side in (bids, asks)]
        live.apply(BookChange(bids=printed[0], asks=printed[1], sequence=0))
        kept = [[level for level in side if book.quantity_at(level[0]) == level[1]]
                for side, book in ((bids, live.bids), (asks, live.asks))]  # fmt: skip
        told.append(("delta", kept[0], kept[1]))
        if live.is_thin:
            return  # the live book asks for a new snapshot here, and the archive gets it
    book = shown(told, DepthRules(depth))
    assert list(book.bids) == live.bids.levels(depth // 2)
    assert list(book.asks) == live.asks.levels(depth // 2)


@settings(deadline=None)
@given(sides(1), messages, st.data())
def test_a_message_that_is_missing_leaves_no_book(
    start: tuple[Levels, Levels], later: Any, data: st.DataObject
) -> None:
    told = [("snapshot", *start)] + [("delta", *levels) for _, levels in later]
    table = rows(told)
    gone = 7 + data.draw(st.integers(1, len(told) - 1))
    left = table.filter([number != gone for number in table.column("message").to_pylist()])
    image = replay(left, DepthRules(100))
    assert image is not None
    if gone < 7 + len(told) - 1:
        assert image.at("x:A/B", 0).state is BookState.INVALID
        assert "missing" in image.at("x:A/B", 0).reason


@settings(deadline=None)
@given(sides(1), messages, sides(1))
def test_after_invalid_only_a_snapshot_makes_a_book(start: Any, later: Any, again: Any) -> None:
    deltas = [("delta", *levels) for _, levels in later]
    lost = [("snapshot", *start), ("invalid", [], []), *deltas]
    assert shown(lost, DepthRules(100)).state is BookState.INVALID
    healed = [*lost, ("snapshot", *again)]
    alone, after = shown([("snapshot", *again)], DepthRules(100)), shown(healed, DepthRules(100))
    assert (after.state, after.bids, after.asks) == (alone.state, alone.bids, alone.asks)
