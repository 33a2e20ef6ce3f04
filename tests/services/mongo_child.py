"""A bot as far as its memory goes: records, archives, merges and ships, until it is killed.

Every line of its file tells what was acknowledged to it: records of this run, segments, and documents shipped.
"""

import asyncio
import sys
from pathlib import Path
from typing import Any, TextIO

from bot.ports import RecordKind
from bot.storage.archive.channels import SCHEMAS, Channel
from bot.storage.archive.store import ArchiveStore
from bot.storage.journal import SqliteJournal
from bot.storage.mongo.outlet import Limits
from bot.storage.mongo.segment_rows import Form
from bot.storage.mongo.shipper import MongoShipper
from tests.services.mongo_rig import (
    BTC,
    ETH,
    MINUTE_NS,
    NOON_NS,
    is_done,
    minute_trades,
    newest_seq,
    quotes,
    shipper_of,
    table,
    until,
)

quotes([NOON_NS])  # pyarrow looks for pandas at its first rows, for a second: once, where the children come from

_PATIENCE_S = 1_800
_RECORDS = 25
_ROWS = 40


def run(*arguments: Any) -> None:
    """The process."""
    asyncio.run(main(*arguments))


async def main(data_dir: Path, uri: str, database: str, run_id: str, quotes_as: Form) -> None:
    """Live under `run_id`; the run `last` delivers what the others left, and ends."""
    journal = SqliteJournal(data_dir, run_id, deliver=asyncio.get_running_loop().call_soon_threadsafe)
    store = ArchiveStore.open(data_dir)
    # Small batches, so that there is much to interrupt; what is left at the end of a long soak goes in large ones.
    small = {"limits": Limits(documents=20), "source": {"batch_documents": 20, "batch_rows": 60}}
    small = {} if run_id == "last" else small
    with shipper_of(data_dir, store, uri, database, quotes_as=quotes_as, **small) as shipper:
        shipper.start()
        if run_id == "last":
            try:
                await until(lambda: is_done(shipper, store, newest_seq(data_dir)), _PATIENCE_S)
            except TimeoutError:
                sys.exit(f"not done: {shipper.status()}")
            await shipper.stop()
            journal.close()
            store.close()
            return
        with (data_dir / f"{run_id}.out").open("w", buffering=1) as out:
            await _live(journal, store, shipper, out)


async def _live(journal: SqliteJournal, store: ArchiveStore, shipper: MongoShipper, out: TextIO) -> None:
    recorded, kinds = 0, list(RecordKind)
    for moment in range(1_000_000):
        for _ in range(_RECORDS):
            recorded += 1
            journal.record(kinds[recorded % len(kinds)], f"key-{recorded}", recorded, {"n": recorded})
        durable = asyncio.Event()
        journal.when_durable(durable.set)
        await durable.wait()
        await asyncio.to_thread(_archive, store, moment)
        shipper.wake()
        await asyncio.sleep(0.02)  # a market has its pace
        print(recorded, len(store.segments(written=True)), *(s.documents for s in shipper.status().sources), file=out)


def _archive(store: ArchiveStore, moment: int) -> None:
    number = len(store.segments(written=True))
    # Minutes that overlap: a run that was killed within a minute goes on within it.
    start = NOON_NS + number * MINUTE_NS // 3
    times = [start + at * 1_000_000_000 for at in range(_ROWS // 2)]
    store.write(Channel.QUOTES, "binance.linear", table(quotes(times, BTC, number), quotes(times, ETH, -number)), {})
    if moment % 4 == 0:
        minute = [minute_trades(NOON_NS + number // 8 * MINUTE_NS, number, base=str(number))]
        store.write(Channel.MINUTE_TRADES, "all", table(minute, schema=SCHEMAS[Channel.MINUTE_TRADES]), {})
    if moment % 16 == 15:
        store.merge(start + 48 * 60 * MINUTE_NS)
