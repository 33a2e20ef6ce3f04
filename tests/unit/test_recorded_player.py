import asyncio
import gzip
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from bot.clock import VirtualClock
from bot.domain.instrument import Feed
from bot.domain.market import FundingRate, PublicTrade, TopOfBook
from bot.errors import InvariantError, RecordingError
from bot.ports import FeedState
from exchanges.recorded.player import STOPPED, PlayResult, RecordedMarket, Speed

A, B = Feed.parse("acme.spot"), Feed.parse("acme.linear")
MS = 1_000_000


class Sink:
    """Keeps every call that a player makes."""

    def __init__(self, clock: VirtualClock) -> None:
        self.clock = clock
        self.calls: list[tuple[object, ...]] = []

    def on_batch_end(self, ts_recv_ns: int) -> None:
        assert self.clock.now_ns() == ts_recv_ns
        self.calls.append(("end", ts_recv_ns))

    def on_malformed(self, feed: Feed, raw: bytes, reason: str) -> None:
        self.calls.append(("malformed", str(feed), raw, reason))

    def on_quote(self, slot: int, quote: TopOfBook, ts_recv_ns: int, raw: bytes) -> None:
        raise AssertionError

    def on_trade(self, slot: int, trade: PublicTrade, ts_recv_ns: int) -> None:
        raise AssertionError

    def on_funding(self, slot: int, funding: FundingRate, ts_recv_ns: int) -> None:
        raise AssertionError

    def on_timed_frame(self, feed: Feed, ts_event_ns: int, ts_recv_ns: int) -> None:
        raise AssertionError

    def on_feed_state(self, feed: Feed, state: FeedState, detail: str) -> None:
        raise AssertionError

    def on_clock_offset(self, venue: str, offset_ns: int, round_trip_ns: int) -> None:
        raise AssertionError


class Decoder:
    def __init__(self, feed: Feed, sink: Sink) -> None:
        self.feed = feed
        self.sink = sink

    def on_frame(self, raw: bytes, ts_recv_ns: int) -> None:
        assert self.sink.clock.now_ns() == ts_recv_ns
        self.sink.calls.append((str(self.feed), raw, ts_recv_ns))


def market(
    feeds: dict[Feed, Sequence[Path]],
    speed: Speed = "max",
    until_ns: int | None = None,
) -> tuple[RecordedMarket, Sink]:
    clock = VirtualClock()
    sink = Sink(clock)
    decoders = {feed: Decoder(feed, sink) for feed in feeds}
    return RecordedMarket(feeds, decoders, sink, clock, speed, until_ns), sink


async def play(
    feeds: dict[Feed, Sequence[Path]], speed: Speed = "max", until_ns: int | None = None
) -> tuple[PlayResult, Sink]:
    player, sink = market(feeds, speed, until_ns)
    return await player.run(asyncio.Event()), sink


def frames(sink: Sink) -> list[tuple[object, ...]]:
    return [call for call in sink.calls if call[0] not in ("end", "malformed")]


def write(path: Path, *rows: str) -> Path:
    path.write_text("".join(f"{row}\n" for row in rows))
    return path


async def test_lines_come_in_receive_order_each_with_its_batch_end(tmp_path: Path) -> None:
    a = write(tmp_path / "a.raw", "10 a1", "30 a3")
    b = write(tmp_path / "b.raw", "20 b2", "40 b4")
    result, sink = await play({A: [a], B: [b]})
    assert sink.calls == [
        ("acme.spot", b"a1", 10),
        ("end", 10),
        ("acme.linear", b"b2", 20),
        ("end", 20),
        ("acme.spot", b"a3", 30),
        ("end", 30),
        ("acme.linear", b"b4", 40),
        ("end", 40),
    ]
    assert result == PlayResult(complete=True, reasons=(), lines=4, malformed=0, stopped=False)


async def test_the_feed_given_first_goes_first_in_the_same_nanosecond(tmp_path: Path) -> None:
    a = write(tmp_path / "a.raw", "10 a", "10 a")
    b = write(tmp_path / "b.raw", "10 b", "10 b")
    _, sink = await play({A: [a], B: [b]})
    assert [raw for _, raw, _ in frames(sink)] == [b"a", b"a", b"b", b"b"]
    _, sink = await play({B: [b], A: [a]})
    assert [raw for _, raw, _ in frames(sink)] == [b"b", b"b", b"a", b"a"]


async def test_files_of_a_feed_are_chained_and_time_never_goes_back(tmp_path: Path) -> None:
    one = write(tmp_path / "one.raw", "10 p", "30 q", "25 r")
    two = write(tmp_path / "two.raw", "20 s", "40 t")
    _, sink = await play({A: [one, two]})
    assert frames(sink) == [
        ("acme.spot", b"p", 10),
        ("acme.spot", b"q", 30),
        ("acme.spot", b"r", 30),
        ("acme.spot", b"s", 30),
        ("acme.spot", b"t", 40),
    ]


async def test_malformed_lines_are_told_in_their_place_and_the_run_goes_on(tmp_path: Path) -> None:
    a = write(tmp_path / "a.raw", "oops", "10 a", "broken line", "20 b")
    b = write(tmp_path / "b.raw", "15 c")
    result, sink = await play({A: [a], B: [b]})
    assert [raw for _, raw, _ in frames(sink)] == [b"a", b"c", b"b"]
    told = [call for call in sink.calls if call[0] == "malformed"]
    assert [(feed, raw) for _, feed, raw, _ in told] == [("acme.spot", b"oops"), ("acme.spot", b"broken line")]
    assert [str(reason).split()[0] for *_, reason in told] == ["a.raw:1", "a.raw:3"]
    assert (result.complete, result.lines, result.malformed) == (True, 5, 2)


async def test_a_line_that_the_decoder_cannot_use_can_be_named(tmp_path: Path) -> None:
    one = write(tmp_path / "one.raw", "10 a", "oops", "20 b", "20 c", "20 c")
    two = write(tmp_path / "two.raw", "20 d", "30 e")
    b = write(tmp_path / "b.raw", "20 c", "25 f")
    player, sink = market({A: [one, two], B: [b]})
    named = []
    sink.on_batch_end = lambda ts_recv_ns: named.append(  # type: ignore[method-assign]
        player.where(Feed.parse(str(sink.calls[-1][0])), sink.calls[-1][1])  # type: ignore[arg-type]
        if sink.calls[-1][0] != "malformed"
        else "-"
    )
    await player.run(asyncio.Event())
    assert named == [
        "one.raw:1", "-", "one.raw:3", "one.raw:4", "one.raw:4", "two.raw:1", "b.raw:1", "b.raw:2", "two.raw:2",
    ]  # fmt: skip
    assert player.where(A, b"never") is None
    assert player.where(Feed.parse("acme.inverse"), b"a") is None


async def test_a_truncated_file_ends_its_feed_and_not_the_others(tmp_path: Path) -> None:
    a = tmp_path / "a.gz"
    a.write_bytes(gzip.compress(b"10 a\n20 a\n")[:-8])
    later = write(tmp_path / "later.raw", "50 a")
    b = write(tmp_path / "b.raw", "30 b")
    result, sink = await play({A: [a, later], B: [b]})
    assert [ns for *_, ns in frames(sink)] == [10, 20, 30, 50]
    assert not result.complete
    assert not result.stopped
    assert result.reasons == (f"{a}: truncated: the gzip stream has no end, after line 2",)


async def test_timers_fire_between_the_lines_at_their_own_time(tmp_path: Path) -> None:
    a = write(tmp_path / "a.raw", f"{10 * MS} a", f"{50 * MS} b")
    player, sink = market({A: [a]})
    sink.clock.advance_to(10 * MS)
    sink.clock.call_later(0.02, lambda: sink.calls.append(("timer", b"", sink.clock.now_ns())))
    await player.run(asyncio.Event())
    assert frames(sink) == [("acme.spot", b"a", 10 * MS), ("timer", b"", 30 * MS), ("acme.spot", b"b", 50 * MS)]


async def test_play_until_leaves_later_lines_out_and_moves_the_clock_there(tmp_path: Path) -> None:
    a = write(tmp_path / "a.raw", "10 a", "20 b", "21 c", "90 d")
    b = write(tmp_path / "b.raw", "5 e", "20 f", "30 g")
    result, sink = await play({A: [a], B: [b]}, until_ns=20)
    assert [raw for _, raw, _ in frames(sink)] == [b"e", b"a", b"b", b"f"]
    assert sink.clock.now_ns() == 20
    assert result == PlayResult(complete=True, reasons=(), lines=4, malformed=0, stopped=False)
    _, sink = await play({A: [a]}, until_ns=500)
    assert sink.clock.now_ns() == 500


@pytest.mark.parametrize("speed", ["1x", "10x"])
async def test_every_speed_gives_the_same_calls(tmp_path: Path, speed: Speed) -> None:
    a = write(tmp_path / "a.raw", *(f"{n * MS} a{n}" for n in range(0, 60, 3)), "bad")
    b = write(tmp_path / "b.raw", *(f"{n * MS} b{n}" for n in range(0, 60, 2)))
    _, fast = await play({A: [a], B: [b]})
    _, paced = await play({A: [a], B: [b]}, speed)
    assert paced.calls == fast.calls


@pytest.mark.parametrize(("speed", "least_s"), [("1x", 0.3), ("10x", 0.03)])
async def test_a_paced_run_takes_as_long_as_the_market_did(tmp_path: Path, speed: Speed, least_s: float) -> None:
    start = 1_723_161_254_000_000_000
    a = write(tmp_path / "a.raw", f"{start} a", f"{start + 100 * MS} b", f"{start + 300 * MS} c")
    began = time.monotonic()
    await play({A: [a]}, speed)
    assert least_s <= time.monotonic() - began


async def test_a_stop_ends_a_waiting_run_at_once(tmp_path: Path) -> None:
    a = write(tmp_path / "a.raw", "10 a", f"{3_600_000 * MS} b")
    player, sink = market({A: [a]}, "1x")
    stop = asyncio.Event()
    running = asyncio.create_task(player.run(stop))
    while not sink.calls:
        await asyncio.sleep(0)
    stop.set()
    result = await asyncio.wait_for(running, 60)
    assert result == PlayResult(complete=False, reasons=(STOPPED,), lines=1, malformed=0, stopped=True)


async def test_the_loop_gets_its_turns_at_full_speed(tmp_path: Path) -> None:
    """A slow sink of 1 ms a line and a stop from another task: the run ends long before its end."""
    a = write(tmp_path / "a.raw", *(f"{n} a" for n in range(20_000)))
    player, sink = market({A: [a]})
    sink.on_batch_end = lambda ts_recv_ns: time.sleep(0.001)  # type: ignore[method-assign]
    stop = asyncio.Event()
    running = asyncio.create_task(player.run(stop))
    await asyncio.sleep(0)
    stop.set()
    result = await running
    assert result.stopped
    assert result.lines < 2_000


async def test_an_error_of_the_sink_comes_through(tmp_path: Path) -> None:
    player, sink = market({A: [write(tmp_path / "a.raw", "10 a", "20 b")]})

    def fail(ts_recv_ns: int) -> None:
        raise InvariantError("no")

    sink.on_batch_end = fail  # type: ignore[method-assign]
    with pytest.raises(InvariantError):
        await player.run(asyncio.Event())


def test_a_missing_file_is_known_before_the_start(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="does not exist"):
        market({A: [tmp_path / "absent.gz"]})
