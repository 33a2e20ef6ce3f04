"""What a start finds in the journal: pairs of runs on the same accounts, and paper money that held them."""

import asyncio
import json
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

from bot.clock import VirtualClock
from bot.domain.fees import FeeSchedule
from bot.domain.order import Side
from bot.engine.accounts.left_behind import BEFORE_NS, left_behind, write_missing
from bot.engine.accounts.runs_before import ADOPTED
from bot.execution.pair import PairState
from bot.ports import RecordKind
from bot.settings import PaperSettings
from bot.storage.journal import SqliteJournal
from bot.storage.schema import encode
from exchanges.paper.actions import PaperActions
from tests.unit.pair_bench import PERP, SPOT, Bench

D = Decimal
MINE = {"a": "key-a", "b": "key-b"}
INSTRUMENTS = (SPOT, PERP)
MINUTE_NS = 60_000_000_000


def opened() -> list[tuple[RecordKind, str, Mapping[str, Any]]]:
    """The records of a pair that was opened, and is held."""
    bench = Bench()
    pair = bench.open()
    bench.answer(Side.BUY, SPOT)
    bench.answer(Side.SELL, PERP)
    assert pair.state is PairState.OPEN
    return bench.journal.records


def write(
    data_dir: Path,
    run_id: str,
    accounts: Mapping[str, str] | None,
    records: Any = (),
    ts_ns: int = 1,
    begun_ns: int | None = None,
) -> None:
    journal = SqliteJournal(data_dir, run_id)
    instruments = [one.model_dump(mode="json") for one in INSTRUMENTS]
    start = {"run_id": run_id, "market": "live", "accounts": accounts, "started_ns": 1, "instruments": instruments}
    journal.record(RecordKind.RUN, run_id, ts_ns if begun_ns is None else begun_ns, start)
    for kind, key, body in records:
        journal.record(kind, key, ts_ns, body)
    journal.close()


def names(data_dir: Path, accounts: Mapping[str, str] | None = MINE) -> list[str]:
    return [left.pair.id for left in left_behind(data_dir, accounts, INSTRUMENTS).pairs]


def test_a_pair_is_found_by_every_run_on_its_accounts_until_it_is_over(tmp_path: Path) -> None:
    assert names(tmp_path) == []
    write(tmp_path, "run", MINE, opened())
    found = left_behind(tmp_path, {**MINE, "kraken": "more"}, INSTRUMENTS)
    (left,) = found.pairs
    assert (left.pair.id, left.pair.state, left.pair.pending) == ("run-1", PairState.OPEN, set())
    assert (left.pair.buy.held, left.pair.sell.held) == (D("0.5"), D("-0.5"))
    assert {fill_id for _, fill_id in found.fill_ids} == {fill.fill_id for fill in left.fills}
    write(tmp_path, "second", MINE)  # ended before it took anything over
    assert names(tmp_path) == ["run-1"]
    write(tmp_path, "third", MINE, [(RecordKind.EVENT, ADOPTED, {"level": "info", "text": "", "pairs": ["run-1"]})])
    assert names(tmp_path) == ["run-1"], "the run that began it is read too"
    over = {**opened()[-1][2], "state": "closed"}
    write(tmp_path, "fourth", MINE, [(RecordKind.PAIR, "run-1", over)])
    assert names(tmp_path) == []
    assert set(left_behind(tmp_path, MINE, INSTRUMENTS).orders_over.values()) == {"run-1"}


def test_what_was_written_down_lately_is_no_news_whichever_run_wrote_it(tmp_path: Path) -> None:
    """News of an order may be late by minutes: so long back the venues are asked, and so long back is what is known."""
    end_ns, over = 2 * BEFORE_NS, (RecordKind.PAIR, "run-1", {**opened()[-1][2], "state": "closed"})
    paid = {"pair": None, "asset": "USDT", "payment": "0.1"}
    write(tmp_path, "run", MINE, [*opened(), (RecordKind.FUNDING, PERP.id, paid), over], ts_ns=end_ns - BEFORE_NS + 1)
    told = (RecordKind.EVENT, ADOPTED, {"level": "info", "text": "", "pairs": []})
    write(tmp_path, "second", MINE, [told], ts_ns=end_ns, begun_ns=end_ns - MINUTE_NS)
    found = left_behind(tmp_path, MINE, INSTRUMENTS)
    assert found.since_ns == end_ns - BEFORE_NS
    assert found.pairs == []
    assert {instrument for instrument, _ in found.fill_ids} == {SPOT.id, PERP.id}
    assert found.payments == {(PERP.id, end_ns - BEFORE_NS + 1)}


def test_a_pair_of_other_accounts_is_named_and_not_taken_over(tmp_path: Path) -> None:
    write(tmp_path, "run", {"a": "key-a", "b": "another"}, opened())
    found = left_behind(tmp_path, MINE, INSTRUMENTS)
    assert found.pairs == []
    (line,) = found.told
    assert "was killed, and left a pair open: run-1 was open, and held +0.500 on a:ETH/USDT" in line
    assert left_behind(tmp_path, None, INSTRUMENTS).told == [line]


def closed() -> tuple[list[Any], list[Any]]:
    """The records of a pair that was opened and closed: until it was open, and from then on."""
    bench = Bench()
    pair = bench.open()
    bench.answer(Side.BUY, SPOT)
    bench.answer(Side.SELL, PERP)
    records = len(bench.journal.records)
    bench.executor.close(pair, "edge_gone")
    bench.answer(Side.SELL, SPOT)
    bench.answer(Side.BUY, PERP)
    assert pair.state is PairState.CLOSED
    return bench.journal.records[:records], bench.journal.records[records:]


def test_a_pair_that_is_over_can_be_taken_up_whole_and_not_where_its_beginning_is_not_read(tmp_path: Path) -> None:
    opening, closing = closed()
    end_ns = 3 * BEFORE_NS
    write(tmp_path, "run", MINE, opening, ts_ns=1)
    told = {"level": "info", "text": "", "pairs": ["run-1"]}
    write(tmp_path, "second", MINE, [(RecordKind.EVENT, ADOPTED, told), *closing], ts_ns=end_ns)
    found = left_behind(tmp_path, MINE, INSTRUMENTS)
    left = found.take_up("run-1")
    assert left is not None
    assert [one.pair.id for one in found.lately] == ["run-1"], "funding of what it held may still be told"
    assert (left.pair.state, len(left.fills)) == (PairState.CLOSED, 4)
    assert [leg.held for leg in left.pair.legs] == [0, 0]
    nothing = (RecordKind.EVENT, ADOPTED, {**told, "pairs": []})
    write(tmp_path, "third", MINE, [nothing], ts_ns=end_ns + 1, begun_ns=end_ns + 1 - MINUTE_NS)
    found = left_behind(tmp_path, MINE, INSTRUMENTS)
    assert set(found.orders_over.values()) == {"run-1"}, "what closed it is read, since it was lately"
    assert found.take_up("run-1") is None
    assert found.lately == []


def test_what_an_older_version_wrote_of_a_pair_that_is_over_does_not_end_a_start(tmp_path: Path) -> None:
    opening, closing = closed()
    kind, key, body = closing[-1]
    odd = {name: value for name, value in json.loads(encode(body)).items() if name != "expected"}
    write(tmp_path, "run", MINE, [*opening, *closing[:-1], (kind, key, odd)])
    found = left_behind(tmp_path, MINE, INSTRUMENTS)
    assert (found.take_up("run-1"), found.lately) == (None, [])


def test_what_a_person_had_forgotten_is_not_taken_up(tmp_path: Path) -> None:
    over = {**opened()[-1][2], "state": "failed", "close_reason": "abandoned"}
    write(tmp_path, "run", MINE, [*opened(), (RecordKind.PAIR, "run-1", over)])
    assert left_behind(tmp_path, MINE, INSTRUMENTS).take_up("run-1") is None


async def test_paper_money_holds_again_what_it_held(tmp_path: Path) -> None:
    write(tmp_path, "run", {"paper": "live"}, opened())
    (left,) = left_behind(tmp_path, {"paper": "live"}, INSTRUMENTS).pairs
    fees = {
        one.feed: FeeSchedule(feed=one.feed, maker_bps=D(0), taker_bps=D(10), source="settings") for one in INSTRUMENTS
    }
    settings = PaperSettings(balances={"a.spot": {"USDT": D(1000)}, "b.linear": {"USDT": D(1000)}})
    paper = PaperActions(INSTRUMENTS, fees, settings, VirtualClock())
    paper.rebuild(left.fills)
    assert {one.instrument.id: one.quantity for one in paper.positions()} == {PERP.id: D("-0.5")}
    at_a, at_b = paper.account_questions()
    assert {one.asset: one.total for one in (await at_a.holdings()).balances}["ETH"] == D("0.5")
    assert [one.quantity for one in (await at_b.holdings()).positions] == [D("-0.5")]
    assert await at_a.order(next(iter(left.pair.orders.values()))[0]) is None
    assert await asyncio.gather(at_a.open_orders(), at_b.open_orders()) == [[], []]


def test_what_a_crash_took_of_a_funding_payment_is_written_down_once(tmp_path: Path) -> None:
    parts = [["run-1", "0.25"], ["run-2", "0.5"], [None, "-0.125"]]
    payment = {"instrument": PERP.id, "asset": "USDT", "payment": "0.5", "pair": "run-2", "parts": parts}
    write(tmp_path, "run", MINE, [*opened(), (RecordKind.FUNDING, PERP.id, payment)])
    found = left_behind(tmp_path, MINE, INSTRUMENTS)
    assert [(part.body["pair"], part.body["payment"]) for part in found.missing_parts] == [
        ("run-1", "0.25"),
        (None, "-0.125"),
    ]
    (left,) = found.pairs
    assert left.funding == [("USDT", D("0.25"))]

    journal = SqliteJournal(tmp_path, "second")
    start = {"run_id": "second", "market": "live", "accounts": MINE, "started_ns": 2, "instruments": []}
    journal.record(RecordKind.RUN, "second", 1, start)
    write_missing(journal, found)
    journal.close()
    again = left_behind(tmp_path, MINE, INSTRUMENTS)
    assert again.missing_parts == []
    assert again.pairs[0].funding == [("USDT", D("0.25"))]
