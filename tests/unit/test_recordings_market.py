import asyncio
import gzip
from pathlib import Path

import pytest

from bot.domain.instrument import Feed
from bot.domain.market import TopOfBook
from bot.ports import FeedState
from exchanges.recorded.market import Recordings
from exchanges.registry import all_venues

FEED = Feed.parse("binance.spot")
START_NS = 1_723_161_600_000_000_000
SECOND_NS = 1_000_000_000


class Sink:
    """Notes the progress at every quote, and how feeds end; `stop_after` quotes it stops the run."""

    def __init__(self, stop_after: int | None = None) -> None:
        self.market: Recordings
        self.stop = asyncio.Event()
        self.stop_after = stop_after
        self.progress: list[float | None] = []
        self.ends: list[str] = []

    def __getattr__(self, name: str) -> object:
        return lambda *_: None

    def on_quote(self, slot: int, quote: TopOfBook, ts_recv_ns: int, raw: bytes) -> None:
        self.progress.append(self.market.progress())
        if len(self.progress) == self.stop_after:
            self.stop.set()

    def on_feed_state(self, feed: Feed, state: FeedState, detail: str) -> None:
        if state is FeedState.CLOSED:
            self.ends.append(detail)


def recording(path: Path, seconds: int) -> Path:
    data = '"s":"ETHUSDT","b":"2500.00","B":"1.0","a":"2500.01","A":"1.0"'
    lines = [
        f'{START_NS + n * SECOND_NS} {{"stream":"ethusdt@bookTicker","data":{{"u":{n + 1},{data}}}}}\n'
        for n in range(seconds + 1)
    ]
    path.write_text("".join(lines))
    return path


async def play(path: Path, sink: Sink, speed: str = "max", play_s: float | None = None) -> None:
    sink.market = Recordings({FEED: [path]}, all_venues(), speed=speed, play_s=play_s)  # type: ignore[arg-type]
    await sink.market.run(sink, sink.stop)  # type: ignore[arg-type]


async def test_progress_is_the_part_of_the_recorded_time_that_was_played(tmp_path: Path) -> None:
    sink = Sink()
    await play(recording(tmp_path / "a.raw", 4), sink)
    assert sink.progress == [0.0, 0.25, 0.5, 0.75, 1.0]
    assert sink.ends == ["end of the recording"]


@pytest.mark.parametrize(("play_s", "end"), [(2.0, "played as long as was asked"), (100.0, "end of the recording")])
async def test_a_limited_run_is_done_at_its_limit(tmp_path: Path, play_s: float, end: str) -> None:
    sink = Sink()
    await play(recording(tmp_path / "a.raw", 4), sink, play_s=play_s)
    assert sink.progress[-1] == 1.0
    assert sink.market.progress() == 1.0
    assert sink.ends == [end]


async def test_a_stopped_run_does_not_claim_the_end(tmp_path: Path) -> None:
    sink = Sink(stop_after=1)
    await play(recording(tmp_path / "a.raw", 3600), sink, speed="1x")
    assert sink.ends == ["stopped before the end of the recording"]


async def test_a_segment_that_lies_there_plain_and_packed_is_played_once(tmp_path: Path) -> None:
    plain = recording(tmp_path / "a.raw", 4)
    packed = tmp_path / "a.raw.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    later = recording(tmp_path / "b.raw", 4)
    for files in (
        [plain, packed, later],
        [packed, plain, later],
        [tmp_path / ".." / tmp_path.name / "a.raw", packed, later],
    ):
        sink = Sink()
        sink.market = Recordings({FEED: files}, all_venues(), speed="max", play_s=None)
        assert sink.market._scan.lines == 10
        await sink.market.run(sink, sink.stop)  # type: ignore[arg-type]
        assert len(sink.progress) <= 10
