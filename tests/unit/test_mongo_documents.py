"""Documents and back: every value of every channel, and of the journal."""

import bson
import pyarrow as pa
import pytest
from bson.codec_options import CodecOptions
from bson.decimal128 import Decimal128

from bot.errors import StorageError
from bot.ports import RecordKind
from bot.storage.archive.channels import SCHEMAS, Channel
from bot.storage.mongo.batches import Encoder
from bot.storage.mongo.journal_documents import COLLECTIONS, journal_document, record_of
from bot.storage.mongo.market_documents import COLLECTIONS as MARKET
from bot.storage.mongo.market_documents import documents
from bot.storage.mongo.segment_rows import Form, SegmentRows, form_of
from bot.storage.mongo.tables import table_of
from bot.storage.schema import Record
from tests.services.mongo_rig import BTC, ETH, MINUTE_NS, NOON_NS, digest, every_channel, quotes


def through_bson(channel: Channel, table: pa.Table, quotes_as: Form = Form.ROW) -> list[dict[str, object]]:
    form = form_of(channel, quotes_as)
    rows = SegmentRows(table, form)
    made = documents(channel, form, rows, 0, len(rows))
    return [bson.decode(Encoder()(document).raw, CodecOptions(tz_aware=True)) for document in made]


@pytest.mark.parametrize("quotes_as", [Form.ROW, Form.MINUTE])
@pytest.mark.parametrize("channel", Channel)
def test_every_value_of_a_channel_comes_back(channel: Channel, quotes_as: Form) -> None:
    table = every_channel()[channel]
    found = through_bson(channel, table, quotes_as)
    assert len({document["_id"] for document in found}) == len(found)
    assert digest(table_of(channel, found)) == digest(table)


def test_every_channel_and_every_kind_has_a_collection_of_its_own() -> None:
    assert set(MARKET) == set(Channel)
    assert set(COLLECTIONS) == set(RecordKind)
    names = [*MARKET.values(), *COLLECTIONS.values()]
    assert len(set(names)) == len(names)


def test_rows_of_one_nanosecond_are_counted_by_instrument() -> None:
    table = pa.concat_tables([quotes([5, 5], ETH), quotes([5, 6, 5]), quotes([5], ETH)])
    ids = [document["_id"] for document in through_bson(Channel.QUOTES, table)]
    assert ids == [f"{BTC}|{5:019d}|0", f"{BTC}|{5:019d}|1", f"{BTC}|{6:019d}|0"] + [
        f"{ETH}|{5:019d}|{number}" for number in range(3)
    ]


def test_a_minute_is_cut_into_parts() -> None:
    table = quotes(range(NOON_NS, NOON_NS + 2_500))
    found = through_bson(Channel.QUOTES, table, Form.MINUTE)
    assert [(row["_id"], row["rows"], row["minute_rows"]) for row in found] == [
        (f"{BTC}|{NOON_NS}|{part}", rows, 2_500) for part, rows in enumerate((1_000, 1_000, 500))
    ]
    assert digest(table_of(Channel.QUOTES, reversed(found))) == digest(table)


def test_minute_trades_have_the_names_that_were_asked_for_and_exact_sums() -> None:
    first, second = through_bson(Channel.MINUTE_TRADES, every_channel()[Channel.MINUTE_TRADES])
    totals = ("COUNT_BUY", "COUNT_SELL", "BTC_BUY", "BTC_SELL", "USD_BUY", "USD_SELL")
    head = ["_id", "instrument", "ts_recv_ns", "TIME"]
    assert list(first) == [*head, *(f"TOTAL_{name}" for name in totals), "revision"]
    assert (first["TOTAL_BTC_BUY"], first["TOTAL_USD_BUY"]) == (Decimal128("10.5"), Decimal128("100"))
    assert first["TIME"].timestamp() * 1e9 == NOON_NS  # type: ignore[attr-defined]
    assert second["TOTAL_BTC_BUY"] == "1234567890123456789.123456789012345678"  # 37 digits: more than Decimal128 holds


def test_minute_books_tell_the_middle_exactly() -> None:
    both, one = through_bson(Channel.MINUTE_BOOKS, every_channel()[Channel.MINUTE_BOOKS])
    assert [str(both[name]) for name in ("bid", "ask", "mid", "spread")] == ["61000.10", "61000.20", "61000.15", "0.10"]
    assert both["bids"][0] == {"price": "61000.10", "quantity": "0.500"}  # type: ignore[index]
    assert [one[name] for name in ("bid", "mid", "spread")] == [None] * 3


def test_a_combined_view_is_a_document_as_programs_know_it() -> None:
    view, hostile = through_bson(Channel.VIEWS, every_channel()[Channel.VIEWS])
    assert view["binance"] == {"symbol": "BTCUSDT", "top_bid": "61000.10"}
    assert set(hostile) == {"_id", "instrument", "ts_recv_ns", "time", "event_time"} | {
        "%24;where", "%74;ime", "%25;24;"
    }  # fmt: skip


@pytest.mark.parametrize("view", ["[1]", "nothing", '{"a":'])
def test_a_view_that_is_no_object_is_refused(view: str) -> None:
    row = {"instrument": "BTC", "ts_recv_ns": 1, "view": view}
    with pytest.raises(StorageError, match="combined view"):
        through_bson(Channel.VIEWS, pa.Table.from_pylist([row], schema=SCHEMAS[Channel.VIEWS]))


def test_a_document_beyond_16_megabytes_is_refused_by_name() -> None:
    with pytest.raises(StorageError, match="run:1 has"):
        Encoder()({"_id": "run:1", "text": "x" * (16 << 20)})


@pytest.mark.parametrize("kind", RecordKind)
def test_a_record_comes_back(kind: RecordKind) -> None:
    body = {"$set": {"a.b": [1, 2.5, None, "\x00"]}, "price": "0.10", "big": 10**40, "text": "\ud800 \u202e"}
    record = Record(7, "run-1", kind, NOON_NS, "key\ud800", body)
    document = bson.decode(Encoder()(journal_document(record)).raw)
    assert document["_id"] == "run-1:7"
    assert record_of(document) == record


def test_slices_end_where_documents_end() -> None:
    depth = every_channel()[Channel.DEPTH]
    rows = SegmentRows(depth, Form.MESSAGE)
    assert rows.units(0, 4) == [(0, 2), (2, 3), (3, 4)]
    assert rows.slice_end(0, 1, 100) == 2
    assert rows.slice_end(0, 5, 1) == 2  # one document at least
    assert rows.slice_end(0, 5, 3) == 3
    assert rows.slice_end(2, 5, 100) == 4
    minutes = SegmentRows(quotes([NOON_NS, NOON_NS + 1, NOON_NS + MINUTE_NS]), Form.MINUTE)
    assert minutes.units(0, 3) == [(0, 2), (2, 3)]


def test_no_rows_are_no_documents() -> None:
    for channel in Channel:
        assert through_bson(channel, SCHEMAS[channel].empty_table()) == []
        assert table_of(channel, []).schema == SCHEMAS[channel]
