"""Five minutes of two made-up markets and a run, for an archive and a journal, and what the answers should be."""

import json
import random
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa

from bot.domain.instrument import Instrument, Segment
from bot.domain.order_book import BookChange, OrderBook
from bot.ports import RecordKind
from bot.storage.archive.channels import SCHEMAS, Channel
from bot.storage.archive.ports import SegmentStore
from bot.storage.book_replay import DepthRules
from bot.storage.journal import SqliteJournal
from bot.storage.minutes.jobs import MinuteJobs

SECOND = 1_000_000_000
MINUTE = 60 * SECOND
NOON = 1_723_118_400 * SECOND
END = NOON + 5 * MINUTE
GAP = NOON + 130 * SECOND, NOON + 190 * SECOND
"""Of the first market: nothing came, and a snapshot at its end."""
RULES = {"binance": DepthRules(40), "bybit": DepthRules(10, is_window=True)}
RUN = "run-$1"
Row = dict[str, Any]


def instrument(venue: str) -> Instrument:
    return Instrument(
        venue=venue,
        symbol="ETH/USDT:USDT",
        segment=Segment.LINEAR,
        base="ETH",
        quote="USDT",
        settle="USDT",
        tick_size=Decimal("0.01"),
        lot_size=Decimal("0.001"),
    )


@dataclass
class Facts:
    """Rows in the order in which they came, and live books."""

    instruments: list[Instrument]
    rows: dict[Channel, list[Row]] = field(default_factory=lambda: {channel: [] for channel in Channel})
    books: dict[str, list[tuple[int, BookChange | None]]] = field(default_factory=dict)
    """By instrument: when the book became what; None where it was lost."""
    records: list[tuple[RecordKind, str, int, Row]] = field(default_factory=list)

    def of(self, channel: Channel, name: str, start_ns: int = 0, stop_ns: int = END * 2) -> list[Row]:
        return [
            row for row in self.rows[channel] if row["instrument"] == name and start_ns <= row["ts_recv_ns"] < stop_ns
        ]


def in_gap(one: Instrument, ts_ns: int) -> bool:
    return one.venue == "binance" and GAP[0] < ts_ns < GAP[1]


def make(seed: int = 5) -> Facts:
    rng = random.Random(seed)
    facts = Facts([instrument("binance"), instrument("bybit")])
    for one in facts.instruments:
        _quotes(facts, one, rng)
        _trades(facts, one, rng)
        _depth(facts, one, rng)
        for number in range(5):
            facts.rows[Channel.FUNDING].append(
                {"instrument": one.id, "ts_recv_ns": NOON + number * MINUTE, "ts_event_ns": NOON, "rate": 1e-4 * number,
                 "next_funding_ns": END, "interval_h": None if number else 8.0, "mark_price": 2_600.5}
            )  # fmt: skip
    for channel in (Channel.QUOTES, Channel.TRADES, Channel.DEPTH):
        facts.rows[Channel.GAPS].append(
            {"instrument": facts.instruments[0].id, "ts_recv_ns": GAP[1], "channel": channel.value,
             "start_ns": GAP[0], "stop_ns": GAP[1], "reason": "reconnecting: \x1b[31mpulled"}
        )  # fmt: skip
    for number in range(5 * 60):
        view = {
            "event_time": NOON // 10**6 + number,
            "binance": {"symbol": "ETHUSDT", "top_bid": "2600.10", "$a.b": "="},
        }
        facts.rows[Channel.VIEWS].append(
            {"instrument": "ETH/USDT:USDT", "ts_recv_ns": NOON + number * SECOND,
             "view": json.dumps(view, separators=(",", ":"))}
        )  # fmt: skip
    _records(facts)
    return facts


def _times(one: Instrument, rng: random.Random, count: int) -> list[int]:
    times = sorted(rng.randrange(NOON, END - SECOND) for _ in range(count))
    # Several rows of one moment, as a batch brings them.
    return [ts for ts in times if not in_gap(one, ts) for _ in range(rng.choice((1, 1, 1, 12)))]


def _quotes(facts: Facts, one: Instrument, rng: random.Random) -> None:
    for number, ts in enumerate(_times(one, rng, 900)):
        bid = rng.randrange(260_000, 261_000) / 100
        facts.rows[Channel.QUOTES].append(
            {"instrument": one.id, "ts_recv_ns": ts, "ts_event_ns": None if number % 7 == 0 else ts - 10**6,
             "sequence": number, "bid_price": bid, "bid_qty": rng.randrange(1, 9999) / 1000, "ask_price": bid + 0.01,
             "ask_qty": rng.randrange(1, 9999) / 1000}
        )  # fmt: skip


def _trades(facts: Facts, one: Instrument, rng: random.Random) -> None:
    rows = [
        {"instrument": one.id, "ts_recv_ns": ts, "ts_event_ns": ts - rng.randrange(10**8), "trade_id": f"{number}",
         "price": rng.randrange(260_000, 261_000) / 100, "quantity": rng.randrange(1, 9999) / 1000,
         "buyer_is_maker": rng.random() < 0.5}
        for number, ts in enumerate(_times(one, rng, 300))
    ]  # fmt: skip
    again = [row | {"ts_recv_ns": row["ts_recv_ns"] + 5} for row in rng.sample(rows, 20)]
    facts.rows[Channel.TRADES] += sorted(rows + again, key=lambda row: row["ts_recv_ns"])


def _depth(facts: Facts, one: Instrument, rng: random.Random) -> None:
    """Levels around 2,600; a window venue does not say which ones fall out of its window."""
    rules = RULES[one.venue]
    book = OrderBook(rules.depth, is_window=rules.is_window)
    books = facts.books.setdefault(one.id, [])
    message, minute, is_lost = 1_000, -1, False
    for ts in range(NOON + SECOND, END - SECOND, 200_000_000):
        message += 1
        if in_gap(one, ts):
            if not is_lost:
                _add_message(facts, one, ts, message, "invalid", (), ())
                books.append((ts, None))
            message -= is_lost
            is_lost = True
            continue
        is_whole = is_lost or ts // MINUTE != minute
        if is_whole:
            sides = [[(2_600 + sign * n / 100, n / 1000) for n in range(1, rules.depth + 1)] for sign in (-1, 1)]
        else:
            sides = [
                [(2_600 + sign * n / 100, rng.choice((0.0, rng.randrange(1, 9999) / 1000)))
                 for n in rng.sample(range(1, rules.depth + 8), 4)] for sign in (-1, 1)
            ]  # fmt: skip
            for side, sign in zip(sides, (-1, 1), strict=True):
                side[:] = [level for level in side if level[0] != 2_600 + sign / 100]  # the best stays
        minute, is_lost = ts // MINUTE, False
        bids, asks = (tuple((repr(price), repr(quantity)) for price, quantity in side) for side in sides)
        book.apply(BookChange(bids=bids, asks=asks, sequence=message * 10, ts_event_ns=ts - 10**6, whole=is_whole))
        books.append((ts, book.image()))
        _add_message(facts, one, ts, message, "snapshot" if is_whole else "delta", *sides)


def _add_message(facts: Facts, one: Instrument, ts: int, message: int, kind: str, bids: Any, asks: Any) -> None:
    levels = [(1, *level) for level in bids] + [(-1, *level) for level in asks]
    event = None if kind == "invalid" else ts - 10**6
    for side, price, quantity in levels or [(0, 0.0, 0.0)]:
        facts.rows[Channel.DEPTH].append(
            {"instrument": one.id, "ts_recv_ns": ts, "ts_event_ns": event, "message": message, "kind": kind,
             "first_id": message * 10, "last_id": message * 10, "side": side, "price": price, "quantity": quantity}
        )  # fmt: skip


def _records(facts: Facts) -> None:
    kinds = (RecordKind.DECISION, RecordKind.ORDER, RecordKind.FILL, RecordKind.BALANCE, RecordKind.EVENT)
    facts.records.append((RecordKind.RUN, RUN, NOON, {"started_ns": NOON, "market": "simulated"}))
    for number in range(50):
        body = {"number": number, "edge": number / 7, "$where": {"a.b": ["=1+1", None, True, 10**30]}}
        facts.records.append((kinds[number % 5], f"key-{number}", NOON + number * SECOND, body))


def write(facts: Facts, store: SegmentStore, data_dir: Path) -> None:
    """Everything minute by minute, then the minute rows; a trade that comes late changes one of them."""
    by_id = {one.id: one for one in facts.instruments}
    late: list[Row] = []
    for start in range(NOON, END, MINUTE):
        for channel in (Channel.QUOTES, Channel.TRADES, Channel.FUNDING, Channel.DEPTH, Channel.GAPS, Channel.VIEWS):
            rows = [row for row in facts.rows[channel] if start <= row["ts_recv_ns"] < start + MINUTE]
            for scope in ("all",) if channel is Channel.VIEWS else ("binance.linear", "bybit.linear"):
                mine = [row for row in rows if scope == "all" or by_id[row["instrument"]].feed.venue in scope]
                store.write(channel, scope, pa.Table.from_pylist(mine, schema=SCHEMAS[channel]), by_id)
    jobs = MinuteJobs(store, facts.instruments, facts.instruments, depth_rules=RULES)
    jobs.run(NOON + 4 * MINUTE)
    for one in facts.instruments:
        late.append(
            {"instrument": one.id, "ts_recv_ns": END + 10 * SECOND, "ts_event_ns": NOON + 70 * SECOND,
             "trade_id": "late", "price": 2_600.0, "quantity": 1.5, "buyer_is_maker": True}
        )  # fmt: skip
        table = pa.Table.from_pylist(late[-1:], schema=SCHEMAS[Channel.TRADES])
        store.write(Channel.TRADES, str(one.feed), table, by_id)
    facts.rows[Channel.TRADES] += late
    jobs.run(END + MINUTE)
    journal = SqliteJournal(data_dir, RUN)
    for kind, key, ts_ns, body in facts.records:
        journal.record(kind, key, ts_ns, body)
    journal.close()
