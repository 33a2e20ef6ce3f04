"""The questions that every implementation of `MarketQueries` answers alike."""

import random
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from bot.domain.market import TopOfBook
from bot.domain.order_book import BookState
from bot.ports import RecordKind
from bot.storage.archive.channels import SCHEMAS, Channel
from bot.storage.market_queries import MINUTE_SCHEMAS, MarketQueries, columns
from tests.unit.queries_data import END, GAP, MINUTE, NOON, RULES, RUN, SECOND, Facts, in_gap

HOSTILE = ('{"$gt": ""}', "' OR 1=1 --", "$where", "a.b", "\x00", "")
RANGES = {
    "quotes": Channel.QUOTES,
    "trades": Channel.TRADES,
    "funding": Channel.FUNDING,
}


class QueriesSuite:
    """Subclasses bring the fixtures `facts` and `queries`."""

    def test_top_of_book_is_the_newest_received_at_or_before(self, queries: MarketQueries, facts: Facts) -> None:
        rng = random.Random(1)
        for one in facts.instruments:
            rows = facts.of(Channel.QUOTES, one.id)
            times = [row["ts_recv_ns"] for row in rng.sample(rows, 8)]
            for ts_ns in (*times, *(ts - 1 for ts in times), *(rng.randrange(NOON, END) for _ in range(8))):
                known = [row for row in rows if row["ts_recv_ns"] <= ts_ns]
                found = queries.top_of_book(one.id, ts_ns)
                if not known:
                    assert found is None
                    continue
                assert found is not None
                assert found.quote == TopOfBook(**known[-1])
                assert found.ts_recv_ns == known[-1]["ts_recv_ns"]
                assert (found.gap is not None) == in_gap(one, ts_ns)

    def test_a_top_of_book_in_a_gap_says_so(self, queries: MarketQueries, facts: Facts) -> None:
        found = queries.top_of_book(facts.instruments[0].id, GAP[1] - 1)
        assert found is not None
        assert found.gap == "reconnecting: \x1b[31mpulled"
        assert queries.top_of_book(facts.instruments[0].id, NOON - 1) is None

    @pytest.mark.parametrize("name", RANGES)
    def test_a_range_has_every_row_from_start_to_before_stop(
        self, queries: MarketQueries, facts: Facts, name: str
    ) -> None:
        channel, one = RANGES[name], facts.instruments[1].id
        times = [row["ts_recv_ns"] for row in facts.of(channel, one)]
        for start, stop in ((0, END * 2), (times[1], times[-2]), (times[2] + 1, times[2] + 2 * MINUTE), (END, END + 1)):
            table = getattr(queries, name)(one, start, stop)
            assert table.schema.equals(SCHEMAS[channel])
            assert table.to_pylist() == facts.of(channel, one, start, stop)

    def test_views_come_back_as_they_were(self, queries: MarketQueries, facts: Facts) -> None:
        table = queries.views("ETH/USDT:USDT", NOON + SECOND, NOON + 100 * SECOND)
        assert table.to_pylist() == facts.of(Channel.VIEWS, "ETH/USDT:USDT", NOON + SECOND, NOON + 100 * SECOND)

    def test_columns_are_numpy_arrays(self, queries: MarketQueries, facts: Facts) -> None:
        one = facts.instruments[0].id
        rows = facts.of(Channel.QUOTES, one)
        found = columns(queries.quotes(one, 0, END * 2))
        assert found["bid_price"].dtype == np.float64
        assert found["ts_event_ns"].dtype == np.int64
        assert found["ts_event_ns"].tolist() == [row["ts_event_ns"] or 0 for row in rows]
        assert found["ask_qty"].tolist() == [row["ask_qty"] for row in rows]

    def test_gaps_are_found_by_what_they_overlap(self, queries: MarketQueries, facts: Facts) -> None:
        one, other = (instrument.id for instrument in facts.instruments)
        for start, stop, count in (
            (GAP[0] - 9, GAP[0], 0),
            (GAP[0], GAP[0] + 1, 1),
            (GAP[1] - 1, END, 1),
            (GAP[1], END, 0),
        ):
            assert queries.gaps(one, Channel.DEPTH, start, stop).num_rows == count
        assert queries.gaps(other, Channel.DEPTH, 0, END).num_rows == 0
        assert queries.gaps(one, Channel.FUNDING, 0, END).num_rows == 0

    def test_the_order_book_at_any_moment_is_the_one_that_was(self, queries: MarketQueries, facts: Facts) -> None:
        rng = random.Random(2)
        for one in facts.instruments:
            history = facts.books[one.id]
            shown = None if RULES[one.venue].is_window else RULES[one.venue].depth // 2
            for _ in range(40):
                ts_ns = rng.randrange(history[0][0], history[-1][0])
                at, image = max((entry for entry in history if entry[0] <= ts_ns), key=lambda entry: entry[0])
                book = queries.order_book(one.id, ts_ns)
                if image is None or in_gap(one, ts_ns):
                    assert book.state is BookState.INVALID
                    assert book.bids == book.asks == ()
                    continue
                assert book.state is BookState.VALID, book.reason
                assert (book.sequence, book.ts_recv_ns) == (image.sequence, at)
                for side, printed in ((book.bids, image.bids), (book.asks, image.asks)):
                    assert list(side) == [(float(price), float(quantity)) for price, quantity in printed][:shown]

    def test_a_book_tells_since_when_it_rests_on_a_whole_one(self, queries: MarketQueries, facts: Facts) -> None:
        rng = random.Random(3)
        for one in facts.instruments:
            rows = facts.of(Channel.DEPTH, one.id)
            for ts_ns in (rng.randrange(rows[0]["ts_recv_ns"], rows[-1]["ts_recv_ns"]) for _ in range(20)):
                starts = [row for row in rows if row["ts_recv_ns"] <= ts_ns and row["kind"] != "delta"]
                is_lost = starts[-1]["kind"] == "invalid"
                begun_ns = queries.order_book(one.id, ts_ns).begun_ns
                assert begun_ns == (None if is_lost else starts[-1]["ts_recv_ns"])
            assert queries.order_book(one.id, rows[0]["ts_recv_ns"] - 1).begun_ns is None

    def test_a_gap_has_no_book_from_its_start_to_its_end(self, queries: MarketQueries, facts: Facts) -> None:
        one = facts.instruments[0].id
        for ts_ns in (GAP[0], GAP[0] + 1, GAP[0] + 30 * SECOND, GAP[1] - 1):
            book = queries.order_book(one, ts_ns)
            assert book.state is BookState.INVALID
            assert book.reason == "gap: reconnecting: \x1b[31mpulled"
            assert book.top() is None
        assert queries.order_book(one, GAP[0] - 1).state is BookState.VALID
        # Its stream began anew at the next multiple of 200 ms.
        assert queries.order_book(one, GAP[1] + SECOND).state is BookState.VALID

    def test_before_and_after_what_was_kept_there_is_no_book(self, queries: MarketQueries, facts: Facts) -> None:
        one = facts.instruments[1].id
        assert queries.order_book(one, NOON).state is BookState.EMPTY
        after = queries.order_book(one, END + MINUTE)
        assert after.state is BookState.INVALID
        assert after.reason.startswith("nothing was kept after 2024-08-08T12:04:")

    def test_minutes_of_trades_are_their_sums_corrected_and_marked(self, queries: MarketQueries, facts: Facts) -> None:
        for one in facts.instruments:
            table = queries.minute_rows(Channel.MINUTE_TRADES, one.id, 0, END * 2)
            assert table.schema.equals(MINUTE_SCHEMAS[Channel.MINUTE_TRADES])
            rows = {row["ts_recv_ns"]: row for row in table.to_pylist()}
            assert list(rows) == [NOON + number * MINUTE for number in range(1, 5)]
            assert [row["revision"] for row in rows.values()] == [1, 0, 0, 0]
            assert [row["whole"] for row in rows.values()] == [True, *[one.venue != "binance"] * 2, True]
            for minute, row in rows.items():
                assert summed(facts, one.id, minute) == {name: row[name] for name in summed(facts, one.id, minute)}

    def test_a_part_of_the_minutes(self, queries: MarketQueries, facts: Facts) -> None:
        table = queries.minute_rows(
            Channel.MINUTE_TRADES, facts.instruments[0].id, NOON + 2 * MINUTE, NOON + 3 * MINUTE
        )
        assert table.column("ts_recv_ns").to_pylist() == [NOON + 2 * MINUTE]

    def test_minutes_of_books_are_the_books_at_their_ends(self, queries: MarketQueries, facts: Facts) -> None:
        for one in facts.instruments:
            rows = queries.minute_rows(Channel.MINUTE_BOOKS, one.id, 0, END * 2).to_pylist()
            ends = [NOON + number * MINUTE for number in range(1, 6)]
            assert [row["ts_recv_ns"] for row in rows] == [end for end in ends if not in_gap(one, end - 1)]
            for row in rows:
                book = queries.order_book(one.id, row["ts_recv_ns"] - 1)
                assert row["event_time_ns"] == book.ts_event_ns
                depth = min(20, len(book.bids))
                assert row["bids"] == [
                    {"price": f"{price:.2f}", "quantity": f"{quantity:.3f}"} for price, quantity in book.bids[:depth]
                ]
                assert len(row["offers"]) == min(20, len(book.asks))

    def test_only_minute_channels_have_minute_rows(self, queries: MarketQueries, facts: Facts) -> None:
        with pytest.raises(ValueError, match="quotes has no minute rows"):
            queries.minute_rows(Channel.QUOTES, facts.instruments[0].id, 0, 1)

    def test_what_nobody_knows_has_empty_answers(self, queries: MarketQueries) -> None:
        for name in HOSTILE:
            assert queries.top_of_book(name, END) is None
            assert queries.quotes(name, 0, END).num_rows == 0
            assert queries.minute_rows(Channel.MINUTE_TRADES, name, 0, END).num_rows == 0
            assert queries.minute_rows(Channel.MINUTE_BOOKS, name, 0, END).num_rows == 0
            assert queries.order_book(name, END).state is BookState.EMPTY
            assert list(queries.decisions(name)) == []

    @pytest.mark.parametrize("kind", ["decision", "order", "fill", "balance", "event"])
    def test_a_run_is_told_as_it_was_written(self, queries: MarketQueries, facts: Facts, kind: str) -> None:
        ask = getattr(queries, f"{kind}s")
        written = [(key, ts, body) for found, key, ts, body in facts.records if found == RecordKind(kind)]
        records = ask(RUN)
        assert [(record.key, record.ts_ns, record.body) for record in records] == written
        assert [record.seq for record in records] == sorted(record.seq for record in records)
        since, until = written[2][1], written[5][1]
        assert [record.key for record in ask(RUN, since, until)] == [key for key, _, _ in written[2:5]]
        assert [record.key for record in ask(RUN, until_ns=since)] == [key for key, _, _ in written[:2]]

    def test_runs_and_how_far_they_came(self, queries: MarketQueries, facts: Facts) -> None:
        (run,) = queries.runs()
        assert run.run_id == RUN
        assert run.end is None
        assert (run.started_ns, run.last_ns) == (NOON, NOON + 49 * SECOND)
        assert queries.runs(since_ns=END) == []


def summed(facts: Facts, one: str, minute: int) -> dict[str, Any]:
    seen: dict[str, Any] = {}
    for row in facts.of(Channel.TRADES, one):
        if minute <= row["ts_event_ns"] < minute + MINUTE:
            seen.setdefault(row["trade_id"], row)
    found: dict[str, Any] = {}
    for name, is_sell in (("buy", False), ("sell", True)):
        chosen = [row for row in seen.values() if row["buyer_is_maker"] is is_sell]
        base = [Fraction(repr(row["quantity"])) for row in chosen]
        quote = [amount * Fraction(repr(row["price"])) for amount, row in zip(base, chosen, strict=True)]
        found |= {f"count_{name}": len(chosen), f"base_{name}": exact(sum(base)), f"quote_{name}": exact(sum(quote))}
    return found


def exact(number: Fraction | int) -> Decimal:
    return Decimal(int(number * 10**18)).scaleb(-18)
