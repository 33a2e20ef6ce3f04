"""An imported order book file and the frames themselves tell the same book at every moment."""

import json
import random
import tempfile
import zipfile
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot.clock import SystemClock
from bot.domain.order_book import BookState, OrderBook
from bot.storage.archive.store import ArchiveStore
from bot.storage.archive_queries import archive_queries
from bot.storage.book_replay import DepthRules
from bot.storage.imports.importer import import_history
from bot.storage.imports.ledger import ImportLedger
from bot.storage.queries import JournalReader
from exchanges.bybit.history import BybitHistory
from exchanges.bybit.order_book import BookMessage
from tests.unit.history_files import BYBIT_LINEAR, DAY_MS, DAY_NS, MS

NAME = "2024-08-08_BTCUSDT_ob200.data.zip"
Side = dict[float, float]


def frames(seed: int, count: int, lost: int | None) -> list[str]:
    """A day's file: a whole book, then changes 7 s apart; frame number `lost` is missing."""
    rng = random.Random(seed)
    bids: Side = {1000.0 - at: 1.0 for at in range(1, 9)}
    asks: Side = {1000.0 + at: 1.0 for at in range(1, 9)}
    lines = [_frame("snapshot", 10, 0, bids, asks)]
    for number in range(1, count):
        changed: tuple[Side, Side] = ({}, {})
        for _ in range(rng.randrange(4)):
            at, quantity = rng.randrange(1, 25), float(rng.choice([0, 0, 1, 2, 3]))
            changed[rng.random() < 0.5][float(at)] = quantity
        below = {1000.0 - at: quantity for at, quantity in changed[0].items()}
        above = {1000.0 + at: quantity for at, quantity in changed[1].items()}
        lines.append(_frame("delta", 10 + number, number * 7_000, below, above))
    return [line for number, line in enumerate(lines) if number != lost]


def _frame(kind: str, u: int, after_ms: int, bids: Side, asks: Side) -> str:
    levels = [[[f"{price:.1f}", f"{size:g}"] for price, size in side.items()] for side in (bids, asks)]
    data = {"s": "BTCUSDT", "b": levels[0], "a": levels[1], "u": u, "seq": 1_000 + u}
    ms = DAY_MS + after_ms
    return json.dumps({"topic": "orderbook.200.BTCUSDT", "type": kind, "ts": ms, "data": data, "cts": ms})


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(seed=st.integers(0, 10**6), depth=st.integers(2, 12), lost=st.none() | st.integers(1, 39))
def test_the_book_at_any_moment_is_that_of_the_frames(seed: int, depth: int, lost: int | None) -> None:
    lines = frames(seed, 40, lost)
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / NAME
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("x.data", "\n".join(lines))
        with ArchiveStore.open(Path(directory)) as store, ImportLedger.open(Path(directory)) as ledger:
            file = BybitHistory(book_depth=depth).local(path, BYBIT_LINEAR)
            import_history(store, ledger, [file], Path(directory) / "x", SystemClock())
            with JournalReader.open(Path(directory)) as journal:
                queries = archive_queries(store, journal, {"bybit": DepthRules(50, is_window=True)})
                live, expected_id = OrderBook(200, is_window=True), 10
                for line in lines[:-1]:  # what comes after the last one, nobody knows
                    message = BookMessage.model_validate_json(line)
                    answer = queries.order_book(BYBIT_LINEAR.id, message.ts_event_ns or 0)
                    if message.sequence != expected_id:
                        # The frame before is missing: no book from here on.
                        assert answer.state is BookState.INVALID
                        continue
                    expected_id += 1
                    live.apply(message)
                    if not live.asks.best_price or not live.bids.best_price:
                        assert answer.state is not BookState.VALID
                        return
                    assert answer.state is BookState.VALID
                    assert list(answer.bids) == live.bids.levels(depth)
                    assert list(answer.asks) == live.asks.levels(depth)
                    assert answer.sequence == message.sequence


def test_two_days_follow_one_another(tmp_path: Path) -> None:
    with ArchiveStore.open(tmp_path) as store, ImportLedger.open(tmp_path) as ledger:
        for number, day in enumerate(("2024-08-08", "2024-08-09")):
            path = tmp_path / NAME.replace("2024-08-08", day)
            with zipfile.ZipFile(path, "w") as archive:
                archive.writestr("x.data", "\n".join(_later(line, number * 86_400_000) for line in frames(1, 5, None)))
            import_history(store, ledger, [BybitHistory().local(path, BYBIT_LINEAR)], tmp_path / "x", SystemClock())
        with JournalReader.open(tmp_path) as journal:
            queries = archive_queries(store, journal, {"bybit": DepthRules(50, is_window=True)})
            day_later = queries.order_book(BYBIT_LINEAR.id, DAY_NS + 86_400_000 * MS + 1)
    assert (day_later.state, day_later.sequence) == (BookState.VALID, 10)
    assert len(day_later.bids) == 8


def _later(line: str, ms: int) -> str:
    message = json.loads(line)
    return json.dumps({**message, "ts": message["ts"] + ms, "cts": message["cts"] + ms})
