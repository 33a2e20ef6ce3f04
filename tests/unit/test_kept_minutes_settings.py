"""Which instruments have minute rows, and what of the archive goes to MongoDB."""

from pathlib import Path

import pyarrow as pa
import pytest
from pydantic import ValidationError

from bot.clock import VirtualClock
from bot.domain.instrument import Feed
from bot.settings import Settings
from bot.storage.archive.channels import SCHEMAS, Channel
from bot.storage.archive.store import ArchiveStore
from bot.storage.mongo.cursors import Cursor
from exchanges.binance import shipped
from modes.archive_jobs import archive_jobs, chosen
from modes.shipping import archive_source

BTC, ETH = (shipped.INSTRUMENTS[Feed.parse("binance.linear")][name] for name in ("BTCUSDT", "ETHUSDT"))
NOON_NS = 1_723_118_400_000_000_000
SECOND_NS = 1_000_000_000


def kept(**archive: object) -> Settings:
    return Settings.model_validate({"archive": archive})


def test_the_perpetual_of_bitcoin_on_binance_has_minute_rows_unless_others_are_named() -> None:
    settings = Settings()
    assert chosen([ETH, BTC], settings.archive.minute_trades) == [BTC]
    assert chosen([ETH, BTC], settings.archive.minute_books) == [BTC]
    assert chosen([ETH, BTC], kept(minute_books=[ETH.id]).archive.minute_books) == [ETH]
    assert chosen([ETH, BTC], kept(minute_trades=["ALL"]).archive.minute_trades) == [ETH, BTC]
    assert chosen([ETH, BTC], kept(minute_trades=[]).archive.minute_trades) == []


@pytest.mark.parametrize("name", ["BTC/USDT:USDT", "binance", "binance:BTCUSDT", "binance:BTC/USDT:USDT ", "all"])
def test_what_is_no_instrument_is_refused(name: str) -> None:
    with pytest.raises(ValidationError, match="minute_trades"):
        kept(minute_trades=[name])


def test_the_job_writes_the_rows_of_those_that_are_named(tmp_path: Path) -> None:
    rows = [
        {"instrument": one.id, "ts_recv_ns": at, "ts_event_ns": at, "trade_id": str(at), "price": 1.5, "quantity": 2.0,
         "buyer_is_maker": False}
        for one in (BTC, ETH)
        for at in (NOON_NS, NOON_NS + 130 * SECOND_NS)
    ]  # fmt: skip
    with ArchiveStore.open(tmp_path) as store:
        table = pa.Table.from_pylist(rows, schema=SCHEMAS[Channel.TRADES])
        store.write(Channel.TRADES, str(BTC.feed), table, {one.id: one for one in (BTC, ETH)})
        clock = VirtualClock(NOON_NS + 600 * SECOND_NS)
        jobs = archive_jobs(kept(minute_trades=[ETH.id]), store, [BTC, ETH], [], clock, clock.now_ns)
        job = next(job for job in jobs if job.name == "minutes")
        assert job.run() == "2 minutes of trades, 0 corrected, 0 of books"
        assert store.instruments(Channel.MINUTE_TRADES) == [ETH.id]


def test_only_the_channels_that_are_named_are_delivered(tmp_path: Path) -> None:
    settings = Settings.model_validate({"mongodb": {"channels": ["trades", "minute_trades"]}})
    rows = [
        {"instrument": BTC.id, "ts_recv_ns": NOON_NS, "channel": "trades", "start_ns": 1, "stop_ns": 2, "reason": ""}
    ]
    with ArchiveStore.open(tmp_path) as store:
        store.write(
            Channel.GAPS, str(BTC.feed), pa.Table.from_pylist(rows, schema=SCHEMAS[Channel.GAPS]), {BTC.id: BTC}
        )
        waiting = [
            archive_source(one, store, VirtualClock(NOON_NS)).backlog(Cursor()).rows for one in (Settings(), settings)
        ]
        assert waiting == [1, 0]
    with pytest.raises(ValidationError, match="channels"):
        Settings.model_validate({"mongodb": {"channels": ["decisions"]}})
