"""What the journal and the archive hold stands in MongoDB, once, in the shape that was promised."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import uvloop
from pymongo import MongoClient

from bot.errors import StorageError
from bot.storage.archive.channels import SCHEMAS, Channel
from bot.storage.mongo.collections import CURSORS, VERSION, Layout
from bot.storage.mongo.cursors import FILE_NAME
from bot.storage.mongo.journal_documents import COLLECTIONS
from bot.storage.mongo.segment_rows import Form
from bot.storage.mongo.shipper import MongoShipper, Pace, State
from tests.services.mongo_rig import (
    BTC,
    ETH,
    MINUTE_NS,
    NOON_NS,
    FolderStore,
    assert_equal,
    every_channel,
    is_done,
    journal_records,
    minute_trades,
    quotes,
    shipper_of,
    until,
)

pytestmark = pytest.mark.services


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    return FolderStore(tmp_path / "archive")


@pytest.fixture
def database(mongodb_uri: str, database_name: str) -> Any:
    with MongoClient(mongodb_uri, tz_aware=True) as client:
        yield client[database_name]


def fill(data_dir: Path, store: FolderStore, records: int = 40) -> None:
    journal_records(data_dir, records)
    for channel, table in every_channel().items():
        store.write(channel, "binance.linear", table)


async def shipped(shipper: MongoShipper, store: FolderStore, seq: int) -> None:
    shipper.start()
    await until(lambda: is_done(shipper, store, seq))
    await shipper.stop()


@pytest.mark.parametrize("quotes_as", [Form.ROW, Form.MINUTE])
async def test_everything_arrives_once(
    tmp_path: Path, store: FolderStore, mongodb_uri: str, database: Any, quotes_as: Form
) -> None:
    fill(tmp_path, store)
    for _ in range(2):  # the second finds nothing to do
        with shipper_of(tmp_path, store, mongodb_uri, database.name, quotes_as=quotes_as) as shipper:
            await shipped(shipper, store, 40)
        assert_equal(tmp_path, store, database)
    assert sum(source.documents for source in shipper.status().sources) == 0
    assert sum(database[name].count_documents({}) for name in COLLECTIONS.values()) == 40
    assert database["orders"].find_one({"seq": 4})["body"]["price"] == "0.10"


async def test_sending_everything_again_changes_nothing(
    tmp_path: Path, store: FolderStore, mongodb_uri: str, database: Any
) -> None:
    fill(tmp_path, store)
    with shipper_of(tmp_path, store, mongodb_uri, database.name) as shipper:
        await shipped(shipper, store, 40)
    (tmp_path / FILE_NAME).unlink()
    with shipper_of(tmp_path, store, mongodb_uri, database.name) as shipper:
        await shipped(shipper, store, 40)
    assert_equal(tmp_path, store, database)
    for source in shipper.status().sources:
        assert source.documents == source.duplicates > 0


async def test_a_server_that_was_swapped_is_filled_again(
    tmp_path: Path, store: FolderStore, mongodb_uri: str, database: Any
) -> None:
    fill(tmp_path, store)
    events: list[tuple[str, str]] = []
    with shipper_of(tmp_path, store, mongodb_uri, database.name) as shipper:
        await shipped(shipper, store, 40)
    database.client.drop_database(database.name)
    with shipper_of(tmp_path, store, mongodb_uri, database.name, log=lambda *event: events.append(event)) as shipper:
        await shipped(shipper, store, 40)
    assert_equal(tmp_path, store, database)
    assert [text for level, text in events if level == "warning" and "sent again" in text]


async def test_a_server_that_was_restored_is_filled_from_where_it_stands(
    tmp_path: Path, store: FolderStore, mongodb_uri: str, database: Any
) -> None:
    journal_records(tmp_path, 40)
    with shipper_of(tmp_path, store, mongodb_uri, database.name) as shipper:
        await shipped(shipper, store, 40)
    before = database[CURSORS].find_one({"position": 40})
    journal_records(tmp_path, 40, "run-2")
    with shipper_of(tmp_path, store, mongodb_uri, database.name) as shipper:
        await shipped(shipper, store, 80)
    for name in COLLECTIONS.values():
        database[name].delete_many({"run_id": "run-2"})
    database[CURSORS].replace_one({"_id": before["_id"]}, before)
    with shipper_of(tmp_path, store, mongodb_uri, database.name) as shipper:
        await shipped(shipper, store, 80)
    assert_equal(tmp_path, store, database)
    assert shipper.status().sources[0].documents == 40


async def test_another_journal_under_the_same_numbers_is_noticed(
    tmp_path: Path, store: FolderStore, mongodb_uri: str, database: Any
) -> None:
    journal_records(tmp_path, 20)
    with shipper_of(tmp_path, store, mongodb_uri, database.name) as shipper:
        await shipped(shipper, store, 20)
    for path in tmp_path.glob("journal.db*"):
        path.unlink()
    journal_records(tmp_path, 30, "run-2")
    with shipper_of(tmp_path, store, mongodb_uri, database.name) as shipper:
        await shipped(shipper, store, 30)
    assert sum(database[name].count_documents({"run_id": "run-2"}) for name in COLLECTIONS.values()) == 30


@pytest.mark.parametrize("quotes_as", [Form.ROW, Form.MINUTE])
async def test_segments_that_share_a_minute_and_a_nanosecond_are_told_apart(
    tmp_path: Path, store: FolderStore, mongodb_uri: str, database: Any, quotes_as: Form
) -> None:
    journal_records(tmp_path, 1)
    cut = NOON_NS + 20 * 1_000_000_000
    for seed, times in enumerate(([NOON_NS, cut, cut], [cut, cut, cut + 1], [cut - 5, NOON_NS + MINUTE_NS])):
        table = pa.concat_tables([quotes(times, BTC, seed), quotes(times, ETH, seed + 9)])
        store.write(Channel.QUOTES, "binance.linear", table)
        store.write(Channel.QUOTES, "binance.spot", quotes(times, "binance:BTC/USDT", seed))
        with shipper_of(tmp_path, store, mongodb_uri, database.name, quotes_as=quotes_as) as shipper:
            await shipped(shipper, store, 1)
        assert_equal(tmp_path, store, database)
    assert database["quotes"].count_documents({}) == (24 if quotes_as is Form.ROW else 6)
    if quotes_as is Form.MINUTE:
        noon = database["quotes"].find_one({"instrument": BTC, "minute_ns": NOON_NS})
        assert (noon["minute_rows"], noon["ts_recv_ns"]) == (7, [NOON_NS, cut - 5, cut, cut, cut, cut, cut + 1])


async def test_a_late_correction_takes_the_place_of_what_it_corrects(
    tmp_path: Path, store: FolderStore, mongodb_uri: str, database: Any
) -> None:
    for revisions in ((2, 0), (1,), (4, 3)):
        rows = [minute_trades(NOON_NS, revision, base=str(revision)) for revision in revisions]
        store.write(Channel.MINUTE_TRADES, "all", pa.Table.from_pylist(rows, schema=SCHEMAS[Channel.MINUTE_TRADES]))
        with shipper_of(tmp_path, store, mongodb_uri, database.name) as shipper:
            await shipped(shipper, store, 0)
        (found,) = database["minute_trades"].find()
        assert found["revision"] == max(2, *revisions)
        assert str(found["TOTAL_BTC_BUY"]) == str(found["revision"])


async def test_a_segment_that_cannot_be_read_comes_later(
    tmp_path: Path, store: FolderStore, mongodb_uri: str, database: Any
) -> None:
    for minute in range(3):
        store.write(Channel.QUOTES, "binance.linear", quotes([NOON_NS + minute * MINUTE_NS]))
    store.damaged.add(2)
    with shipper_of(tmp_path, store, mongodb_uri, database.name) as shipper:
        shipper.start()
        await until(lambda: is_done(shipper, store, 0))
        assert shipper.status().sources[1].aside == 1
        assert database["quotes"].count_documents({}) == 2
        store.damaged.clear()
        await until(lambda: shipper.status().sources[1].aside == 0)
        await shipper.stop()
    assert database["quotes"].count_documents({}) == 3


async def test_a_damaged_segment_that_retention_took_is_not_tried_for_ever(
    tmp_path: Path, store: FolderStore, mongodb_uri: str, database: Any
) -> None:
    store.write(Channel.QUOTES, "binance.linear", quotes([NOON_NS, NOON_NS + 1]))
    store.damaged.add(1)
    with shipper_of(tmp_path, store, mongodb_uri, database.name) as shipper:
        shipper.start()
        await until(lambda: shipper.status().sources[1].aside == 1)
        store.removed.add(1)
        await until(lambda: shipper.status().sources[1].aside == 0)
        await shipper.stop()
        assert shipper.status().sources[1].rows_missing == 2


async def test_what_retention_took_first_is_counted(
    tmp_path: Path, store: FolderStore, mongodb_uri: str, database: Any
) -> None:
    store.write(Channel.QUOTES, "binance.linear", quotes([NOON_NS, NOON_NS + 1]))
    store.write(Channel.QUOTES, "binance.linear", quotes([NOON_NS + MINUTE_NS]))
    store.removed.add(1)
    with shipper_of(tmp_path, store, mongodb_uri, database.name) as shipper:
        await shipped(shipper, store, 0)
        assert shipper.status().sources[1].rows_missing == 2
    assert database["quotes"].count_documents({}) == 1


async def test_raw_rows_beyond_their_time_to_live_are_not_sent(
    tmp_path: Path, store: FolderStore, mongodb_uri: str, database: Any
) -> None:
    for channel, table in every_channel().items():
        store.write(channel, "binance.linear", table)
    with shipper_of(tmp_path, store, mongodb_uri, database.name, source={"raw_ttl_s": 3600}) as shipper:
        await shipped(shipper, store, 0)
    assert database["quotes"].count_documents({}) == database["depth"].count_documents({}) == 0
    assert database["minute_trades"].count_documents({}) == database["minute_books"].count_documents({}) == 2


async def test_raw_data_has_a_time_to_live_and_decisions_have_none(
    tmp_path: Path, store: FolderStore, mongodb_uri: str, database: Any
) -> None:
    for ttl_s in (3600, 7200, None):
        layout = Layout(raw_ttl_s=ttl_s, time_series=True)  # this server has none: ordinary collections
        with shipper_of(tmp_path, store, mongodb_uri, database.name, layout=layout) as shipper:
            assert await shipper.check()
        kept = {name: _ttl(database, name) for name in database.list_collection_names() if _ttl(database, name)}
        raw = ("quotes", "trades", "funding", "depth", "gaps", "market_views")
        assert kept == (dict.fromkeys(raw, ttl_s) if ttl_s else {})
    assert database["fills"].index_information()["run_id_1_seq_1"]["unique"]
    assert database["meta"].find_one() == {"_id": "schema", "version": VERSION, "quotes": "tick"}


def _ttl(database: Any, name: str) -> int | None:
    found = [index.get("expireAfterSeconds") for index in database[name].index_information().values()]
    return next((int(seconds) for seconds in found if seconds is not None), None)


async def test_fault_64_a_newer_database_is_refused_and_stays_as_it_is(
    tmp_path: Path, store: FolderStore, mongodb_uri: str, database: Any
) -> None:
    fill(tmp_path, store)
    database["meta"].insert_one({"_id": "schema", "version": VERSION + 1, "quotes": "tick"})
    with shipper_of(tmp_path, store, mongodb_uri, database.name) as shipper:
        with pytest.raises(StorageError, match="newer version") as raised:
            await shipper.check()
        assert raised.value.exit_code == 6
        shipper.start()
        await until(lambda: shipper.status().state is State.REFUSED)
        await shipper.stop()
    assert database.list_collection_names() == ["meta"]


async def test_quotes_are_not_stored_in_both_forms(
    tmp_path: Path, store: FolderStore, mongodb_uri: str, database: Any
) -> None:
    with shipper_of(tmp_path, store, mongodb_uri, database.name) as shipper:
        assert await shipper.check()
    with (
        shipper_of(tmp_path, store, mongodb_uri, database.name, quotes_as=Form.MINUTE) as shipper,
        pytest.raises(StorageError, match="by the tick, not by the minute"),
    ):
        await shipper.check()


async def test_fault_64_an_older_database_is_brought_up_to_date(
    tmp_path: Path, store: FolderStore, mongodb_uri: str, database: Any
) -> None:
    fill(tmp_path, store)
    with shipper_of(tmp_path, store, mongodb_uri, database.name, quotes_as=Form.MINUTE) as shipper:
        await shipped(shipper, store, 40)
    for schema in (None, {"_id": "schema", "version": 0}):
        database["meta"].delete_many({})
        if schema is not None:
            database["meta"].insert_one(schema)
        with shipper_of(tmp_path, store, mongodb_uri, database.name, quotes_as=Form.MINUTE) as shipper:
            assert await shipper.check()
        assert database["meta"].find_one() == {"_id": "schema", "version": VERSION, "quotes": "minute"}
    assert_equal(tmp_path, store, database)


async def test_hostile_strings_are_no_operators_and_no_fields_of_ours(
    tmp_path: Path, store: FolderStore, mongodb_uri: str, database: Any
) -> None:
    hostile = 'x"}; $where \x00\x1b]0;=cmd'
    store.write(Channel.QUOTES, "binance.linear", quotes([NOON_NS], hostile))
    fill(tmp_path, store)
    with shipper_of(tmp_path, store, mongodb_uri, database.name) as shipper:
        await shipped(shipper, store, 40)
    assert_equal(tmp_path, store, database)
    assert database["quotes"].count_documents({"instrument": {"$eq": hostile}}) == 1
    keys = {key for name in database.list_collection_names() for found in database[name].find() for key in _keys(found)}
    assert not [key for key in keys if set(key) & set("$.\x00\x1b")]


async def test_a_cursor_that_cannot_be_saved_waits_for_room(
    tmp_path: Path, store: FolderStore, mongodb_uri: str, database: Any
) -> None:
    fill(tmp_path, store)
    events: list[str] = []
    with shipper_of(tmp_path, store, mongodb_uri, database.name, log=lambda _, text: events.append(text)) as shipper:
        cursors = shipper._outlets[0]._cursors._connection
        cursors.execute("PRAGMA query_only = 1")
        shipper.start()
        await until(lambda: shipper.status().state is State.AWAY)
        assert "outbox.db cannot be used" in shipper.status().message
        cursors.execute("PRAGMA query_only = 0")
        await until(lambda: is_done(shipper, store, 40))
        await shipper.stop()
    assert_equal(tmp_path, store, database)
    assert "outbox.db cannot be used" in events[1]


async def test_a_password_stands_in_no_event_and_no_status(
    tmp_path: Path, store: FolderStore, mongodb_uri: str, database: Any
) -> None:
    seen: list[str] = []
    uri = mongodb_uri.replace("mongodb://", "mongodb://trader:c4nary%2F42@")
    with shipper_of(tmp_path, store, uri, database.name, log=lambda *event: seen.extend(event)) as shipper:
        shipper.start()
        await until(lambda: shipper.status().state is State.AWAY)
        seen.append(repr(shipper.status()))
        await shipper.stop()
    assert not [text for text in seen if "c4nary" in text or "trader" in text]


def test_it_runs_on_the_loop_of_the_bot(tmp_path: Path, store: FolderStore, mongodb_uri: str, database: Any) -> None:
    fill(tmp_path, store)

    async def run() -> None:
        with shipper_of(tmp_path, store, mongodb_uri, database.name) as shipper:
            await shipped(shipper, store, 40)

    uvloop.run(run())
    assert_equal(tmp_path, store, database)


async def test_what_waits_at_the_stop_is_delivered_within_its_time(
    tmp_path: Path, store: FolderStore, mongodb_uri: str, database: Any
) -> None:
    journal_records(tmp_path, 40)
    with shipper_of(tmp_path, store, mongodb_uri, database.name, pace=Pace(poll_s=3600)) as shipper:
        shipper.start()
        await until(lambda: is_done(shipper, store, 40))
        journal_records(tmp_path, 40, "run-2")
        await shipper.stop(within_s=120)
    assert_equal(tmp_path, store, database)


def _keys(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [*value, *(key for child in value.values() for key in _keys(child))]
    return [key for child in value for key in _keys(child)] if isinstance(value, list) else []
