"""The control server and real sockets."""

import asyncio
import contextlib
import json
import os
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path

import pytest
import uvloop

from bot.clock import Clock, SystemClock, VirtualClock
from bot.control import Attachment, Command, ControlServer, Finished, attach, locate, send
from bot.control.address import is_answered
from bot.domain.snapshot import Snapshot
from bot.errors import SettingsError

WAIT_S = 60


def snapshot(headline: str = "") -> Snapshot:
    return Snapshot(
        run_id="r1", strategy="arbitrage", market="recorded", real_money=False, state="ACTIVE", now_ns=2, started_ns=1,
        realised={"USDT": Decimal("1.50")}, unrealised={}, open_pairs=0, taken=0, refused={}, closed={},
        headline=headline, tops=(), routes=(), feeds=(), log=(),
    )  # fmt: skip


class Engine:
    """Counts what the server asks of it."""

    def __init__(self) -> None:
        self.builds = 0
        self.commands: list[str] = []
        self.padding = ""

    def snapshot(self) -> Snapshot:
        self.builds += 1
        return snapshot(f"build {self.builds} {self.padding}")

    def on_command(self, command: Command) -> None:
        self.commands.append(command.command)


@asynccontextmanager
async def running(path: Path, clock: Clock | None = None) -> AsyncIterator[tuple[Engine, ControlServer]]:
    engine = Engine()
    server = ControlServer(path, engine.snapshot, engine.on_command, clock or SystemClock())
    await server.start()
    try:
        yield engine, server
    finally:
        await server.stop()


@pytest.fixture
def path() -> AsyncIterator[Path]:
    # pytest's own temporary paths may be too long for a socket.
    with tempfile.TemporaryDirectory() as data_dir:
        yield Path(data_dir) / "run" / "engine.sock"


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(WAIT_S):
        while not condition():
            await asyncio.sleep(0.005)


def next_turn(clock: VirtualClock) -> None:
    """Let the server show a snapshot to who is there."""
    due_ns = clock.next_due_ns()
    assert due_ns is not None
    clock.advance_to(due_ns)


async def next_of(attachment: Attachment) -> Snapshot | Finished:
    async with asyncio.timeout(WAIT_S):
        return await anext(attachment)


async def snapshot_of(attachment: Attachment) -> Snapshot:
    message = await next_of(attachment)
    assert isinstance(message, Snapshot)
    return message


async def test_a_reader_gets_snapshots_and_the_engine_its_commands(path: Path) -> None:
    async with running(path) as (engine, server):
        server.log("info", "hello")
        reader = await attach(path)
        first = await snapshot_of(reader)
        assert first.realised == {"USDT": Decimal("1.50")}
        assert [line.text for line in first.log] == ["hello"]
        await reader.send(Command(command="pause"))
        await reader.send(Command(command="resume"))
        await until(lambda: engine.commands == ["pause", "resume"])
        await reader.close()


async def test_two_readers_share_one_build_and_each_gets_its_own_log(path: Path) -> None:
    clock = VirtualClock()
    async with running(path, clock) as (engine, server):
        server.log("info", "one")
        early = await attach(path)
        await until(lambda: len(server._readers) == 1)
        next_turn(clock)
        await snapshot_of(early)
        server.log("warning", "two")
        late = await attach(path)
        await until(lambda: len(server._readers) == 2)
        next_turn(clock)
        seen_early, seen_late = await snapshot_of(early), await snapshot_of(late)
        assert seen_early.headline == seen_late.headline
        assert [line.text for line in seen_early.log] == ["two"]
        assert [(line.number, line.text) for line in seen_late.log] == [(1, "one"), (2, "two")]
        assert engine.builds == 2
        await early.close()
        await late.close()


async def test_nothing_is_built_while_nobody_is_attached(path: Path) -> None:
    async with running(path) as (engine, server):
        reader = await attach(path)
        await snapshot_of(reader)
        await reader.close()
        await until(lambda: not server._readers)
        built = engine.builds
        await asyncio.sleep(0.6)  # what must not happen has no condition to wait for
        assert engine.builds == built


async def test_at_most_four_snapshots_a_second(path: Path) -> None:
    async with running(path):
        reader = await attach(path)
        loop = asyncio.get_running_loop()
        await snapshot_of(reader)
        start = loop.time()
        for _ in range(3):
            await snapshot_of(reader)
        assert loop.time() - start >= 0.70
        await reader.close()


async def test_coming_and_going_does_not_build_more_often(path: Path) -> None:
    async with running(path) as (engine, _):
        for _ in range(3):
            reader = await attach(path)
            await snapshot_of(reader)
            await reader.close()
        assert engine.builds == 3
        loop = asyncio.get_running_loop()
        start = loop.time()
        reader = await attach(path)
        await snapshot_of(reader)
        assert loop.time() - start > 0.1
        await reader.close()


async def test_a_slow_reader_misses_snapshots_and_no_log_and_costs_bounded_memory(path: Path) -> None:
    async with running(path) as (engine, server):
        engine.padding = "x" * 1_000_000
        slow_source, slow = await asyncio.open_unix_connection(path, limit=1_000)
        slow.transport.pause_reading()  # type: ignore[attr-defined]
        quick = await attach(path)
        for number in range(4):
            server.log("info", f"line {number}")
            await snapshot_of(quick)
        waiting = [reader.writer.transport.get_write_buffer_size() for reader in server._readers]
        assert max(waiting) < 1_100_000  # one snapshot, not five
        slow.transport.resume_reading()  # type: ignore[attr-defined]
        engine.padding = ""
        text = b""
        async with asyncio.timeout(WAIT_S):
            while b'"line 3"' not in text:
                text += await slow_source.read(65_536)
        numbers = [line["number"] for row in text.splitlines() for line in json.loads(row)["snapshot"]["log"]]
        assert numbers == sorted(set(numbers)), "every line once"
        assert numbers[-1] == 4
        slow.close()
        await quick.close()


@pytest.mark.parametrize(
    "garbage",
    [
        b"not json\n",
        b'{"command": "sell everything"}\n',
        b'{"command": "stop", "extra": 1}\n',
        b"\xff\xfe\n",
        b"[]\n",
        b"a" * 70_000 + b"\n",
        b"a" * 200_000,
    ],
    ids=lambda g: repr(g[:24]),
)
async def test_garbage_closes_that_reader_only(path: Path, garbage: bytes) -> None:
    async with running(path) as (engine, _):
        good = await attach(path)
        source, bad = await asyncio.open_unix_connection(path)
        bad.write(garbage)
        async with asyncio.timeout(WAIT_S):
            with contextlib.suppress(ConnectionResetError):  # closed with our garbage half read
                await source.read()
        assert engine.commands == []
        await snapshot_of(good)
        await snapshot_of(good)
        bad.close()
        await good.close()


async def test_a_command_cut_short_by_a_dying_reader_is_not_obeyed(path: Path) -> None:
    async with running(path) as (engine, _):
        source, writer = await asyncio.open_unix_connection(path)
        writer.write(b'{"command": "stop"}')
        writer.write_eof()
        async with asyncio.timeout(WAIT_S):
            await source.read()
        assert engine.commands == []
        writer.close()


async def test_a_reader_that_dies_changes_nothing(path: Path) -> None:
    script = (
        "import socket,sys,time\ns=socket.socket(socket.AF_UNIX)\ns.connect(sys.argv[1])\n"
        "s.recv(10)\nprint('in',flush=True)\ntime.sleep(60)"
    )
    async with running(path) as (_, server):
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-c", script, str(path), stdout=asyncio.subprocess.PIPE
        )
        assert child.stdout is not None
        await child.stdout.readline()
        child.send_signal(signal.SIGKILL)
        await child.wait()
        await until(lambda: not server._readers)
        reader = await attach(path)
        await snapshot_of(reader)
        await reader.close()


async def test_the_socket_is_for_its_owner_only(path: Path) -> None:
    async with running(path):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


async def test_the_socket_is_gone_after_stop(path: Path) -> None:
    async with running(path):
        assert path.exists()
    assert not path.exists()
    with pytest.raises(ConnectionError, match="no engine is running"):
        await attach(path)


async def test_a_second_engine_is_refused_and_the_first_goes_on(path: Path) -> None:
    async with running(path) as (engine, _):
        second = ControlServer(path, snapshot, engine.on_command, SystemClock())
        with pytest.raises(SettingsError, match="an engine is running"):
            await second.start()
        await second.stop()
        reader = await attach(path)
        await snapshot_of(reader)
        await reader.close()


async def test_a_dead_engines_socket_is_cleared_away(path: Path) -> None:
    path.parent.mkdir()
    script = (
        "import socket,sys,os\ns=socket.socket(socket.AF_UNIX)\ns.bind(sys.argv[1])\ns.listen()\nos.kill(os.getpid(),9)"
    )
    subprocess.run([sys.executable, "-c", script, str(path)], check=False)
    assert path.is_socket()
    async with running(path):
        reader = await attach(path)
        await snapshot_of(reader)
        await reader.close()


async def test_a_file_in_the_way_is_left_alone(path: Path) -> None:
    path.parent.mkdir()
    path.write_text("mine")
    with pytest.raises(SettingsError, match="in the way"):
        async with running(path):
            pass
    assert path.read_text() == "mine"


async def test_a_path_too_long_for_a_socket(tmp_path: Path) -> None:
    path = tmp_path / ("d" * 120) / "run" / "engine.sock"
    async with running(path):
        real = locate(path)
        assert len(os.fsencode(real)) < 104
        assert stat.S_IMODE(real.stat().st_mode) == 0o600
        assert stat.S_IMODE(real.parent.stat().st_mode) == 0o700
        with pytest.raises(SettingsError, match="an engine is running"):
            await ControlServer(path, snapshot, lambda _: None, SystemClock()).start()
        reader = await attach(path)
        await snapshot_of(reader)
        await reader.close()
    assert not real.parent.exists()
    assert list(path.parent.iterdir()) == []


async def test_a_too_long_path_after_a_crash(tmp_path: Path) -> None:
    path = tmp_path / ("d" * 120) / "run" / "engine.sock"
    path.parent.mkdir(parents=True)
    path.with_suffix(".path").write_text(str(Path(tempfile.gettempdir()) / "crypto-pipe-gone" / "engine.sock"))
    async with running(path):
        reader = await attach(path)
        await snapshot_of(reader)
        await reader.close()


async def test_the_end_of_a_run_reaches_every_reader_with_the_last_log_lines(path: Path) -> None:
    async with running(path) as (_, server):
        reader = await attach(path)
        await snapshot_of(reader)
        server.log("info", "last words")
        server.finished({"pnl": {"USDT": Decimal("0.10")}, "complete": True})
        late = await attach(path)
        await until(lambda: len(server._readers) == 2)
    texts: list[str] = []
    async for message in reader:
        if isinstance(message, Finished):
            assert message.summary == {"pnl": {"USDT": "0.10"}, "complete": True}
        else:
            texts += [line.text for line in message.log]
    assert texts == ["last words"]
    assert [type(message) async for message in late] == [Snapshot, Finished]
    await reader.close()
    await late.close()


async def test_a_stop_is_not_held_up_by_a_reader_that_does_not_read(path: Path) -> None:
    async with running(path) as (engine, server):
        engine.padding = "x" * 1_000_000
        _source, slow = await asyncio.open_unix_connection(path, limit=1_000)
        slow.transport.pause_reading()  # type: ignore[attr-defined]
        await until(lambda: any(r.writer.transport.get_write_buffer_size() for r in server._readers))
        server.finished({})
        async with asyncio.timeout(WAIT_S):
            await server.stop()
        slow.close()


async def test_an_engine_that_vanishes_is_an_error_for_the_reader(path: Path) -> None:
    async with running(path):
        reader = await attach(path)
        await snapshot_of(reader)
    with pytest.raises(ConnectionError, match="without finishing"):
        async for _ in reader:
            pass
    await reader.close()


async def test_something_else_on_the_socket_is_an_error_for_the_reader(path: Path) -> None:
    path.parent.mkdir()

    async def impostor(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 smtp ready\n")
        writer.close()

    async with await asyncio.start_unix_server(impostor, path):
        reader = await attach(path)
        with pytest.raises(ConnectionError, match="not an engine of ours"):
            await next_of(reader)
        await reader.close()


async def test_one_command_without_attaching(path: Path) -> None:
    async with running(path) as (engine, _):
        await send(path, Command(command="stop"))
        assert engine.commands == ["stop"]


async def test_log_lines_are_inert_bounded_and_numbered(path: Path) -> None:
    async with running(path) as (_, server):
        for number in range(1_200):
            server.log("info", f"\x1b[2J{number}", ts_ns=number)
        server.log("error", "y" * 10_000)
        reader = await attach(path)
        log = (await snapshot_of(reader)).log
        assert len(log) == 1_000
        assert [line.number for line in log] == list(range(202, 1_202))
        assert (log[0].text, log[0].ts_ns) == ("[2J201", 201)
        assert len(log[-1].text) == 2_000
        await reader.close()


async def test_a_reader_trusts_no_string_of_the_engine(path: Path) -> None:
    async with running(path) as (engine, server):
        engine.padding = "\x1b]52;c;eA==\x07\u202e[/]"
        reader = await attach(path)
        assert (await snapshot_of(reader)).headline == "build 1 ]52;c;eA==[/]"
        server.finished({"\x9bkey": ["\x1b[2J"]})
        messages = [message async for message in reader]
        assert isinstance(messages[-1], Finished)
        assert messages[-1].summary == {"key": ["[2J"]}
        await reader.close()


def test_it_works_on_uvloop(path: Path) -> None:
    async def scene() -> None:
        async with running(path) as (engine, server):
            engine.padding = "x" * 1_000_000
            reader = await attach(path)
            await snapshot_of(reader)
            await reader.send(Command(command="stop"))
            await until(lambda: engine.commands == ["stop"])
            server.finished({"ok": True})
            last = [message async for message in reader][-1]
            assert last == Finished(summary={"ok": True})
            await reader.close()
        assert not path.exists()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(scene())


async def test_who_only_looks_whether_an_engine_answers_is_no_reader(path: Path) -> None:
    assert not is_answered(path)
    async with running(path) as (engine, server):
        assert await asyncio.to_thread(is_answered, path)
        await until(lambda: server._timer is not None)
        await until(lambda: server._timer is None)
        assert engine.builds == 0
        server.finished({})
        assert await asyncio.to_thread(is_answered, path)
        waiting = asyncio.create_task(server.await_reader(WAIT_S))
        await asyncio.sleep(0.2)  # what must not happen has no condition to wait for
        assert not waiting.done()
        reader = await attach(path)
        assert [type(message) async for message in reader] == [Snapshot, Finished]
        await waiting
        await reader.close()


async def test_a_long_path_without_an_engine_is_not_answered(tmp_path: Path) -> None:
    assert not is_answered(tmp_path / ("d" * 120) / "run" / "engine.sock")


async def test_an_engine_whose_socket_was_replaced_leaves_the_new_one(path: Path) -> None:
    async with running(path) as (_, old):
        path.unlink()  # somebody cleared the data directory under a running engine
        async with running(path):
            await old.stop()
            reader = await attach(path)
            await snapshot_of(reader)
            await reader.close()
