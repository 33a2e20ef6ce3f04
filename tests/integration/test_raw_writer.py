"""Real files, real threads, a killed process and a disk that is full."""

import gzip
import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from bot.domain.instrument import Feed, Instrument, Segment
from bot.errors import StorageError
from exchanges.common.market.raw_file import compress
from exchanges.common.market.raw_writer import RawWriter
from exchanges.recorded.files import RecordedFile
from exchanges.recorded.instruments import read_metadata

SPOT, LINEAR = Feed.parse("binance.spot"), Feed.parse("binance.linear")
START_NS = 1_767_571_200_000_000_000
MINUTE_NS = 60_000_000_000
ROOT = Path(__file__).resolve().parents[2]


def btc(feed: Feed) -> Instrument:
    return Instrument(
        venue="binance",
        symbol="BTC/USDT",
        segment=feed.segment,
        base="BTC",
        quote="USDT",
        tick_size=Decimal("0.10"),
        lot_size=Decimal("0.001"),
    )


INSTRUMENTS = {SPOT: {"BTCUSDT": btc(SPOT)}}


@pytest.fixture
def messages() -> list[str]:
    return []


@pytest.fixture
def writer(tmp_path: Path, messages: list[str]) -> Iterator[RawWriter]:
    made = RawWriter(tmp_path / "raw", INSTRUMENTS, messages.append, rotate_minutes=10)
    yield made
    made.close()


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.005)


def lines(path: Path) -> list[tuple[int, bytes]]:
    file = RecordedFile(path)
    rows = [row for batch in file.batches() for row in zip(batch.stamps, batch.payloads, strict=True)]
    assert file.complete, file.reason
    return rows


def test_what_is_recorded_reads_back(tmp_path: Path, writer: RawWriter, messages: list[str]) -> None:
    for number in range(1_000):
        writer.on_raw(SPOT, b'{"spot":%d}' % number, START_NS + number)
        writer.on_raw(LINEAR, b'{"linear":\n%d}' % number, START_NS + number)
    writer.close()
    spot = tmp_path / "raw" / "binance.spot-20260105T000000.raw"
    linear = tmp_path / "raw" / "binance.linear-20260105T000000.raw"
    assert lines(spot) == [(START_NS + n, b'{"spot":%d}' % n) for n in range(1_000)]
    assert lines(linear) == [(START_NS + n, b'{"linear": %d}' % n) for n in range(1_000)]
    assert messages == []


def test_lines_reach_the_disk_without_being_asked(tmp_path: Path, writer: RawWriter) -> None:
    writer.on_raw(SPOT, b"{}", START_NS)
    path = tmp_path / "raw" / "binance.spot-20260105T000000.raw"
    until(lambda: path.exists() and path.stat().st_size > 0)
    assert lines(path) == [(START_NS, b"{}")]


def test_finished_files_are_compressed_and_nothing_is_lost(tmp_path: Path, writer: RawWriter) -> None:
    stamps = [START_NS + minute * MINUTE_NS for minute in range(25)]
    for ns in stamps:
        writer.on_raw(SPOT, b'{"at":%d}' % ns, ns)
    raw = tmp_path / "raw"
    packed = [raw / "binance.spot-20260105T000000.raw.gz", raw / "binance.spot-20260105T001000.raw.gz"]
    until(lambda: all(path.exists() and not path.with_suffix("").exists() for path in packed))
    writer.close()
    last = raw / "binance.spot-20260105T002000.raw"
    assert all(path.read_bytes().startswith(b"\x1f\x8b") for path in packed)
    assert [ns for path in [*packed, last] for ns, _ in lines(path)] == stamps
    assert {path.name for path in raw.iterdir()} == {
        *(path.name for path in packed),
        last.name,
        "instruments.json",
        "recording.lock",
    }


def test_a_second_run_in_the_same_second_takes_another_name(tmp_path: Path) -> None:
    for text in (b"1", b"2"):
        writer = RawWriter(tmp_path, {}, print)
        writer.on_raw(SPOT, text, START_NS)
        writer.close()
    (tmp_path / "binance.spot-20260105T000000.raw").rename(tmp_path / "binance.spot-20260105T000000.raw.gz")
    writer = RawWriter(tmp_path, {}, print)
    writer.on_raw(SPOT, b"3", START_NS)
    writer.close()
    names = ["binance.spot-20260105T000000.raw.gz", "binance.spot-20260105T000000-2.raw"]
    assert [lines(tmp_path / name)[0][1] for name in names] == [b"1", b"2"]
    assert lines(tmp_path / "binance.spot-20260105T000000-3.raw")[0][1] == b"3"


def test_metadata_of_earlier_runs_stays(tmp_path: Path) -> None:
    RawWriter(tmp_path, INSTRUMENTS, print).close()
    RawWriter(tmp_path, {LINEAR: {"BTCUSDT": btc(LINEAR)}}, print).close()
    assert read_metadata(tmp_path / "instruments.json", SPOT) == {"BTCUSDT": btc(SPOT)}
    assert read_metadata(tmp_path / "instruments.json", LINEAR) == {"BTCUSDT": btc(LINEAR)}


@pytest.mark.parametrize("text", ["{", "[]"])
def test_a_foreign_metadata_file_is_left_alone(tmp_path: Path, text: str) -> None:
    (tmp_path / "instruments.json").write_text(text)
    with pytest.raises(StorageError, match="record elsewhere"):
        RawWriter(tmp_path, INSTRUMENTS, print)
    assert (tmp_path / "instruments.json").read_text() == text


def test_a_place_that_cannot_be_written_is_known_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot record to"):
        RawWriter(tmp_path / "file", INSTRUMENTS, print)


def test_closing_twice_and_recording_after_are_harmless(tmp_path: Path, writer: RawWriter) -> None:
    writer.on_raw(SPOT, b"1", START_NS)
    writer.close()
    writer.on_raw(SPOT, b"2", START_NS + 1)
    writer.close()
    assert [raw for _, raw in lines(tmp_path / "raw" / "binance.spot-20260105T000000.raw")] == [b"1"]


def test_a_queue_that_grows_too_long_stops_the_recording(tmp_path: Path, messages: list[str]) -> None:
    writer = RawWriter(tmp_path, {}, messages.append, max_queued_bytes=10_000)
    for number in range(1_000):
        writer.on_raw(SPOT, b"%d" % number, START_NS + number)
    until(lambda: bool(messages))
    writer.close()
    assert messages == [f"raw recording stopped: the disk of {tmp_path} is too slow"]
    kept = [int(raw) for _, raw in lines(tmp_path / "binance.spot-20260105T000000.raw")]
    assert kept == list(range(len(kept)))
    assert 10 < len(kept) < 100


CHILD = textwrap.dedent(
    """
    import sys, time
    from pathlib import Path
    from bot.clock import SystemClock
    from bot.domain.instrument import Feed
    from exchanges.common.market.raw_writer import RawWriter

    feed, clock = Feed.parse("binance.spot"), SystemClock()
    writer = RawWriter(Path(sys.argv[1]), {}, lambda text: print(text, flush=True), rotate_minutes=float(sys.argv[2]))
    number = 0
    while True:
        ns = clock.now_ns()
        writer.on_raw(feed, b'{"n":%d}' % number, ns)
        print(number, ns, flush=True)
        number += 1
        time.sleep(0.001)
    """
)


def started(program: str, *arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", program, *map(str, arguments)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_kill_loses_at_most_the_last_second(tmp_path: Path) -> None:
    child = started(CHILD, tmp_path, 0.5 / 60)
    assert child.stdout is not None
    told: list[tuple[int, int]] = []
    last_ns = ran_ns = 0
    while len(told) < 400 or ran_ns - told[200][1] < 2_000_000_000:
        number, ns = map(int, child.stdout.readline().split())
        # Counted is the time that it ran: nobody writes while the whole machine stands still.
        ran_ns += min(ns - last_ns, 50_000_000)
        last_ns = ns
        told.append((number, ran_ns))
    child.send_signal(signal.SIGKILL)
    child.communicate()
    assert child.returncode == -signal.SIGKILL
    numbers = [json.loads(raw)["n"] for ns, raw in replayed(tmp_path)]
    assert numbers == list(range(len(numbers)))
    due = [number for number, ns in told if ns < told[-1][1] - 1_000_000_000]
    assert len(due) > 100
    assert due[-1] <= numbers[-1]


def replayed(directory: Path) -> list[tuple[int, bytes]]:
    """Everything in a folder whose writer was killed: a file that was being compressed still is there."""
    names = sorted({path.name.removesuffix(".gz") for path in directory.glob("*.raw*") if path.suffix != ".tmp"})
    names.sort(key=lambda name: lines_start(directory, name))
    return [row for name in names for row in lines(existing(directory, name))]


def existing(directory: Path, name: str) -> Path:
    return directory / name if (directory / name).exists() else directory / f"{name}.gz"


def lines_start(directory: Path, name: str) -> int:
    return lines(existing(directory, name))[0][0]


FULL = textwrap.dedent(
    """
    import resource, sys, time
    from pathlib import Path
    from bot.domain.instrument import Feed
    from exchanges.common.market.raw_writer import RawWriter

    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
    told = []
    writer = RawWriter(Path(sys.argv[1]), {}, told.append)
    for number in range(1_000):
        writer.on_raw(Feed.parse("binance.spot"), b'{"n":%d}' % number, 1_767_571_200_000_000_000 + number)
    while not told:
        time.sleep(0.005)
    for number in range(1_000):
        writer.on_raw(Feed.parse("binance.spot"), b'{"late":%d}' % number, 1_767_571_200_000_002_000 + number)
    writer.close()
    print(*told, sep="\\n")
    """
)


def test_a_full_disk_stops_the_recording_and_leaves_whole_lines(tmp_path: Path) -> None:
    """A limit on the file's size stands for the full disk: the kernel takes a part of a write and refuses the next."""
    child = started(FULL, tmp_path)
    out, _ = child.communicate(timeout=60)
    assert child.returncode == 0
    assert out == f"raw recording stopped: File too large in {tmp_path}; free space and restart\n"
    path = tmp_path / "binance.spot-20260105T000000.raw"
    numbers = [json.loads(raw)["n"] for _, raw in lines(path)]
    assert numbers == list(range(len(numbers)))
    assert 10_000 - 40 < path.stat().st_size <= 10_000
    assert path.read_bytes().endswith(b"\n")


UNPACKED = textwrap.dedent(
    """
    import os, resource, sys, threading
    from pathlib import Path
    from exchanges.common.market.raw_file import compress

    path = Path(sys.argv[1])
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
    try:
        compress(path, threading.Event())
    except OSError as error:
        print(error.strerror)
    """
)


def test_a_disk_that_fills_while_packing_keeps_the_recording(tmp_path: Path) -> None:
    path = tmp_path / "a.raw"
    path.write_bytes(b"".join(b"%d %s\n" % (n, os.urandom(200).hex().encode()) for n in range(1_000)))
    before = path.read_bytes()
    out, _ = started(UNPACKED, path).communicate(timeout=60)
    assert out == "File too large\n"
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.raw"]


def test_packing_is_abandoned_when_told(tmp_path: Path) -> None:
    path = tmp_path / "a.raw"
    path.write_bytes(b"1 {}\n")
    abandon = threading.Event()
    abandon.set()
    compress(path, abandon)
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.raw"]
    abandon.clear()
    compress(path, abandon)
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.raw.gz"]
    assert gzip.decompress((tmp_path / "a.raw.gz").read_bytes()) == b"1 {}\n"


KILLED = textwrap.dedent(
    """
    import os, signal, sys, threading
    from pathlib import Path
    from exchanges.common.market.raw_file import compress

    name, step = sys.argv[2:]
    setattr(Path, step, lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL))
    compress(Path(sys.argv[1]) / name, threading.Event())
    """
)


@pytest.mark.parametrize("step", ["replace", "unlink"])
def test_the_next_start_tidies_what_a_kill_while_packing_left(tmp_path: Path, messages: list[str], step: str) -> None:
    writer = RawWriter(tmp_path, INSTRUMENTS, messages.append)
    for number in range(3):
        writer.on_raw(SPOT, b"%d" % number, START_NS + number)
    writer.close()
    name = "binance.spot-20260105T000000.raw"
    child = started(KILLED, tmp_path, name, step)
    child.communicate(timeout=60)
    assert child.returncode == -signal.SIGKILL
    twin, (packed,) = tmp_path / name, tmp_path.glob("*.raw.gz*")
    assert packed.name == f"{name}.gz{'' if step == 'unlink' else '.tmp'}"
    writer = RawWriter(tmp_path, INSTRUMENTS, messages.append)
    until(lambda: not (twin.exists() and packed.exists()))
    writer.close()
    (left,) = tmp_path.glob("*.raw*")
    assert [raw for _, raw in lines(left)] == [b"0", b"1", b"2"]
    assert messages == []


def test_the_next_start_takes_away_a_file_that_a_kill_left_without_a_line(tmp_path: Path) -> None:
    empty, begun = tmp_path / "binance.spot-20260105T000000.raw", tmp_path / "binance.spot-20260105T010000.raw"
    empty.touch()
    begun.write_bytes(b"1 {}\n")
    RawWriter(tmp_path, {}, pytest.fail).close()
    assert [path.name for path in tmp_path.glob("*.raw*")] == [begun.name]


@pytest.mark.parametrize("cut", [b"1 {", b""])
def test_a_segment_whose_packed_file_is_not_the_same_is_left_to_a_person(
    tmp_path: Path, messages: list[str], cut: bytes
) -> None:
    plain, packed = tmp_path / "binance.spot-20260105T000000.raw", tmp_path / "binance.spot-20260105T000000.raw.gz"
    plain.write_bytes(b"1 {}\n")
    whole = gzip.compress(b"1 {}\n")
    packed.write_bytes(gzip.compress(cut) if cut else whole[:-9])
    before = packed.read_bytes()
    writer = RawWriter(tmp_path, {}, messages.append)
    until(lambda: bool(messages))
    writer.close()
    assert messages == [
        f"raw recording: {plain.name} and {packed.name} are not the same; remove the one that is not whole"
    ]
    assert (plain.read_bytes(), packed.read_bytes()) == (b"1 {}\n", before)


SECOND = textwrap.dedent(
    """
    import sys
    from pathlib import Path
    from exchanges.common.market.raw_writer import RawWriter

    RawWriter(Path(sys.argv[1]), {}, print).close()
    print("recorded", file=sys.stderr)
    """
)


def test_a_directory_takes_one_recording_at_a_time(tmp_path: Path, writer: RawWriter) -> None:
    directory = tmp_path / "raw"
    _, stderr = started(SECOND, directory).communicate(timeout=60)
    assert stderr.splitlines()[-1].endswith(
        f"AlreadyRunning: process {os.getpid()} records to {directory}: stop it, or record elsewhere"
    )
    writer.on_raw(SPOT, b"{}", START_NS)
    writer.close()
    RawWriter(directory, INSTRUMENTS, print).close()


def test_a_recording_that_could_not_begin_holds_no_directory(tmp_path: Path) -> None:
    (tmp_path / "instruments.json").write_text("{")
    with pytest.raises(StorageError, match="is not JSON"):
        RawWriter(tmp_path, INSTRUMENTS, print)
    (tmp_path / "instruments.json").unlink()
    RawWriter(tmp_path, INSTRUMENTS, print).close()


def test_segments_of_a_venue_do_not_mix(tmp_path: Path, writer: RawWriter) -> None:
    writer.on_raw(Feed(venue="binance", segment=Segment.INVERSE), b"{}", START_NS)
    writer.on_raw(SPOT, b"{}", START_NS)
    writer.close()
    assert sorted(path.name for path in (tmp_path / "raw").glob("*.raw")) == [
        "binance.inverse-20260105T000000.raw",
        "binance.spot-20260105T000000.raw",
    ]
