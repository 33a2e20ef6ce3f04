"""However a source is cut into batches, and wherever it is taken up again, it gives the same documents."""

from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import bson
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.storage.archive.channels import Channel
from bot.storage.archive.store import ArchiveStore
from bot.storage.mongo.archive_source import ArchiveSource
from bot.storage.mongo.batches import Batch, Source
from bot.storage.mongo.cursors import Cursor
from bot.storage.mongo.journal_source import JournalSource
from bot.storage.mongo.segment_rows import Form
from bot.storage.mongo.tables import table_of
from tests.services.mongo_rig import (
    BTC,
    ETH,
    MINUTE_NS,
    NOON_NS,
    archive_digests,
    digest,
    journal_records,
    quotes,
    table,
)

Database = dict[str, dict[str, object]]

# Seconds that are few, so that segments share minutes, and often nanoseconds.
TIMES = st.lists(st.integers(0, 150), min_size=1, max_size=8)
SEGMENTS = st.lists(st.tuples(TIMES, TIMES, st.booleans()), min_size=1, max_size=4)


def take(stored: Database, batch: Batch) -> None:
    """What a server does with it."""
    for name, documents in batch.inserts.items():
        for raw in documents:
            document = bson.decode(raw.raw)
            stored.setdefault(name, {}).setdefault(document["_id"], document)
    for name, growing in batch.replaces.items():
        for one in growing:
            document, there = bson.decode(one.document.raw), stored.setdefault(name, {}).get(one.keys["_id"])
            if there is None or there[one.by] < one.at:
                stored[name][one.keys["_id"]] = document


def drain(source: Source, stored: Database, cursor: Cursor, batches: int = 1_000) -> Cursor:
    for _ in range(batches):
        batch = source.batch(cursor)
        if batch is None:
            break
        take(stored, batch)
        cursor = batch.after
    return cursor


@settings(max_examples=25, deadline=None)
@given(
    segments=SEGMENTS,
    quotes_as=st.sampled_from([Form.ROW, Form.MINUTE]),
    documents=st.integers(1, 4),
    rows=st.integers(1, 9),
    stops=st.lists(st.integers(0, 4), max_size=4),
)
def test_an_archive(
    segments: list[tuple[list[int], list[int], bool]], quotes_as: Form, documents: int, rows: int, stops: list[int]
) -> None:
    with TemporaryDirectory() as directory, ArchiveStore.open(Path(directory)) as store:
        stored: Database = {}
        cursor = Cursor()
        for number, (btc, eth, is_merged) in enumerate(segments):
            parts = (quotes(moments(btc), BTC, number), quotes(moments(eth), ETH, -number))
            store.write(Channel.QUOTES, "binance.linear", table(*parts), {})
            if is_merged:
                store.merge(NOON_NS + 48 * 60 * MINUTE_NS)
            for stop in stops:  # killed, with or without its last cursor
                reached = drain(source(store, quotes_as, documents, rows), stored, cursor, stop)
                cursor = reached if stop % 2 else cursor
        last = drain(source(store, quotes_as, documents, rows), stored, cursor)
        found = table_of(Channel.QUOTES, stored["quotes"].values())
        assert digest(found) == archive_digests(store)[Channel.QUOTES]
        assert last.position == store.segments(written=True)[-1].number
        assert source(store, quotes_as, documents, rows).holds(last)
        assert source(store, quotes_as, documents, rows).backlog(last).rows == 0


def source(store: ArchiveStore, quotes_as: Form, documents: int, rows: int) -> ArchiveSource:
    return ArchiveSource(store, lambda: NOON_NS, quotes=quotes_as, batch_documents=documents, batch_rows=rows)


def moments(seconds: list[int]) -> list[int]:
    return [NOON_NS + second * 1_000_000_000 for second in sorted(seconds)]


@settings(max_examples=15, deadline=None)
@given(records=st.integers(0, 40), at_once=st.integers(1, 9), most_bytes=st.integers(1, 2_000), stop=st.integers(0, 9))
def test_a_journal(records: int, at_once: int, most_bytes: int, stop: int) -> None:
    with TemporaryDirectory() as directory:
        journal_records(Path(directory), records)
        with closing(JournalSource(Path(directory), batch_records=at_once, batch_bytes=most_bytes)) as journal:
            stored: Database = {}
            assert journal.backlog(Cursor()).rows == records
            cursor = drain(journal, stored, Cursor(), stop)
            assert journal.holds(cursor)
            assert journal.backlog(cursor).rows == records - cursor.position
            last = drain(journal, stored, cursor)
        assert last.position == records
        ids = {identity for documents in stored.values() for identity in documents}
        assert ids == {f"run-1:{seq}" for seq in range(1, records + 1)}


def test_no_journal_is_an_empty_one(tmp_path: Path) -> None:
    with closing(JournalSource(tmp_path)) as journal:
        assert journal.batch(Cursor()) is None
        assert journal.holds(Cursor())
        assert not journal.holds(Cursor(1, 0, "run:1"))
        assert journal.backlog(Cursor()).oldest_ns is None
