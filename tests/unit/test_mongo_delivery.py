"""What counts as delivered, and that waiting for a server that is away holds nobody up."""

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest
from bson.raw_bson import RawBSONDocument
from pymongo.errors import BulkWriteError

from bot.clock import VirtualClock
from bot.storage.mongo.batches import Batch, Encoder
from bot.storage.mongo.cursors import Cursor
from bot.storage.mongo.delivery import deliver
from bot.storage.mongo.segment_rows import Form
from bot.storage.mongo.shipper import Pace, State
from bot.storage.mongo.worker import Worker
from tests.services.mongo_rig import NOON_NS, FolderStore, journal_records, shipper_of, until


class Collection:
    """Answers as it was told."""

    def __init__(self, answer: dict[str, Any] | None = None, held: tuple[str, ...] = ()) -> None:
        self.answer = answer
        self.held = held
        self.requests: list[list[str]] = []

    async def insert_many(self, documents: list[RawBSONDocument], *, ordered: bool) -> None:
        assert ordered is False
        self.requests.append([document["_id"] for document in documents])
        if self.answer is not None:
            raise BulkWriteError(self.answer)

    async def find(self, query: dict[str, Any], fields: dict[str, int]) -> Any:
        assert fields == {"_id": 1}
        for identity in self.held:
            if identity in query["_id"]["$in"]:
                yield {"_id": identity}


def batch(count: int, text: str = "") -> Batch:
    encoded = Encoder()
    return Batch(Cursor(), count, {"fills": [encoded({"_id": str(at), "text": text}) for at in range(count)]})


async def sent(
    collection: Any, made: Batch, *, at_once: int = 100, most_bytes: int = 1 << 20, series: bool = False
) -> Any:
    # `find` of the real collection gives a cursor at once; an async generator is one as well.
    return await deliver({"fills": collection}, made, frozenset({"fills"} if series else ()), at_once, most_bytes)  # type: ignore[arg-type]


async def test_a_document_that_is_there_is_delivered() -> None:
    there = {"index": 0, "code": 11000, "errmsg": "E11000", "keyPattern": {"_id": 1}}
    done = await sent(Collection({"writeErrors": [there, {**there, "keyPattern": {"run_id": 1, "seq": 1}}]}), batch(3))
    assert (done.documents, done.duplicates) == (3, 2)


@pytest.mark.parametrize(
    "answer",
    [
        {"writeErrors": [{"code": 121, "errmsg": "validation"}]},
        {"writeErrors": [{"code": 11000, "errmsg": "", "keyPattern": {"body.symbol": 1}}]},
        {"writeErrors": [{"code": 11000, "errmsg": ""}, {"code": 8, "errmsg": "x"}]},
        {"writeErrors": [], "writeConcernErrors": [{"code": 64, "errmsg": "waiting for replication timed out"}]},
        {"writeErrors": [{"code": 11000, "errmsg": ""}], "writeConcernErrors": [{"code": 91, "errmsg": "shutdown"}]},
    ],
    ids=["validation", "a unique index of others", "two reasons", "no majority", "no majority of the rest"],
)
async def test_anything_else_is_not(answer: dict[str, Any]) -> None:
    with pytest.raises(BulkWriteError):
        await sent(Collection(answer), batch(3))


async def test_requests_are_bounded_by_count_and_by_size() -> None:
    collection = Collection()
    await sent(collection, batch(5), at_once=2)
    assert collection.requests == [["0", "1"], ["2", "3"], ["4"]]
    collection = Collection()
    await sent(collection, batch(4, "x" * 1000), most_bytes=2_500)
    assert collection.requests == [["0", "1"], ["2", "3"]]
    collection = Collection()
    await sent(collection, batch(2, "x" * 1000), most_bytes=10)
    assert collection.requests == [["0"], ["1"]]


async def test_a_time_series_is_sent_what_it_does_not_hold() -> None:
    collection = Collection(held=("1", "2", "7"))
    done = await sent(collection, batch(4), series=True)
    assert (collection.requests, done.documents, done.duplicates) == ([["0", "3"]], 4, 2)
    collection = Collection(held=("0", "1"))
    assert (await sent(collection, batch(2), series=True)).duplicates == 2
    assert collection.requests == []


class Silent:
    """Takes every connection, and answers nothing."""

    def __init__(self) -> None:
        self.is_asked = asyncio.Event()

    def __getitem__(self, name: str) -> "Silent":
        return self

    async def find_one(self, *_: Any) -> None:
        self.is_asked.set()
        await asyncio.Event().wait()

    async def close(self) -> None:
        pass


async def test_a_server_that_never_answers_holds_no_stop_up(tmp_path: Path) -> None:
    journal_records(tmp_path, 3)
    store, silent = FolderStore(tmp_path / "archive"), Silent()
    with shipper_of(tmp_path, store, "mongodb://127.0.0.1:1/", "x", client=lambda target: silent) as shipper:
        assert not shipper.status().message
        shipper.start()
        await silent.is_asked.wait()
        await shipper._refresh()  # the one at the stop has as little time as the server
        await shipper.stop(within_s=0.2)
        assert shipper.status().state is State.STOPPED
        assert sum(source.rows_waiting for source in shipper.status().sources) == 3
        await shipper.stop()  # again does nothing


async def test_who_wakes_it_during_a_look_is_looked_at_again(tmp_path: Path) -> None:
    class Looked:
        """An outlet; a record comes once the first look has passed its place."""

        looks = 0

        async def resume(self, *_: Any) -> None:
            pass

        refresh = retry_aside = drop = resume

        async def ship(self, *_: Any) -> bool:
            self.looks += 1
            if self.looks == 1:
                shipper.wake()
            return False

    store, outlet = FolderStore(tmp_path / "archive"), Looked()
    clock = VirtualClock(NOON_NS)  # stands still
    with shipper_of(tmp_path, store, "mongodb://127.0.0.1:1/", "x", clock=clock) as shipper:
        shipper._outlets, outlets = [outlet], shipper._outlets  # type: ignore[list-item]
        shipping = asyncio.create_task(shipper._ship(None, frozenset()))  # type: ignore[arg-type]
        await until(lambda: outlet.looks == 2)
        shipping.cancel()
        shipper._outlets = outlets
        await shipper.stop()


async def test_tries_are_spread_and_grow_to_a_cap(tmp_path: Path) -> None:
    store = FolderStore(tmp_path / "archive")
    draws = iter([0.0, 1.0, 0.5] * 4)
    pace = Pace(backoff_first_s=1.0, backoff_cap_s=6.0)
    with shipper_of(tmp_path, store, "mongodb://127.0.0.1:1/", "x", pace=pace, jitter=lambda: next(draws)) as shipper:
        assert [shipper._backoff_s() for _ in range(6)] == [0.5, 2.0, 3.0, 3.0, 6.0, 4.5]
        await shipper.stop()


async def test_waiting_goes_by_the_clock_and_ends_when_woken(tmp_path: Path) -> None:
    clock = VirtualClock(NOON_NS)
    with shipper_of(
        tmp_path, FolderStore(tmp_path / "archive"), "mongodb://127.0.0.1:1/", "x", clock=clock, quotes_as=Form.ROW
    ) as shipper:
        for wake in (lambda: clock.advance_to(clock.now_ns() + 30_000_000_000), shipper.wake):
            waiting = asyncio.create_task(shipper._pause(30.0))
            await asyncio.sleep(0.01)
            assert not waiting.done()
            wake()
            await asyncio.wait_for(waiting, 60)
        await shipper.stop()


async def test_a_bug_ends_the_shipping_and_says_so(tmp_path: Path) -> None:
    events: list[tuple[str, str]] = []

    def broken(_: object) -> Any:
        raise KeyError("our bug \x1b[2J")

    store = FolderStore(tmp_path / "archive")
    log = events.append
    with shipper_of(
        tmp_path, store, "mongodb://127.0.0.1:1/", "x", client=broken, log=lambda *event: log(event)
    ) as shipper:
        shipper.start()
        await until(lambda: shipper.status().state is State.FAILED)
        await shipper.stop()
    assert events == [("error", "MongoDB failed: KeyError: 'our bug \\x1b[2J'")]


async def test_a_worker_does_one_thing_after_the_other_in_a_thread_of_its_own() -> None:
    worker = Worker("test")
    found = [worker.do(threading.current_thread), worker.do(lambda: 1 // 0), worker.do(lambda: 3)]
    thread, error, three = await asyncio.gather(*found, return_exceptions=True)
    assert isinstance(thread, threading.Thread)
    assert (thread.name, thread.daemon) == ("test", True)
    assert isinstance(error, ZeroDivisionError)
    assert three == 3
    worker.close()
    await until(lambda: not thread.is_alive())


async def test_a_database_that_answers_slowly_does_not_hold_up_the_start(tmp_path: Path) -> None:
    store = FolderStore(tmp_path / "archive")
    with shipper_of(tmp_path, store, "mongodb://127.0.0.1:1", "test", client=lambda target: Silent()) as shipper:
        assert not await shipper.check(within_s=0.05)
        assert shipper.status().state is State.AWAY
        assert "not ready within 0.05 s" in shipper.status().message
        await shipper.stop()
