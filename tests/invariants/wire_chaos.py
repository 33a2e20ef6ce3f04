"""The story of one bot over many lives: what it is asked, what it must have said, and how it ends."""

import asyncio
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path

import aiohttp
import pytest

from bot.clock import SystemClock
from tests.integration.fault_rig import PATIENCE_S, ROOT, Bot
from tests.integration.standing_exchanges import at, exchanges, lend
from tests.invariants.checks import JournalFile, orders_live_one_life
from tests.invariants.distribution import Tally
from tests.invariants.venue_truth import VenueTruth
from tests.invariants.wire_checks import (
    OVER,
    all_is_flat,
    cash_is_conserved,
    every_order_was_written_down,
    every_trade_is_counted_once,
    pair_states,
    profit_is_the_venues,
    why_halted,
)
from tests.invariants.wire_run import has_said, is_halted, live_on, living, until
from tests.invariants.wire_schedule import Life

STARTED = "routes over"


class Chaos:
    """The story of one data directory."""

    def __init__(self, data_dir: Path, address: str, truth: VenueTruth, title: str) -> None:
        self.data_dir, self.address, self.truth = data_dir, address, truth
        self._clock = SystemClock()
        self._begun_ns = self._clock.monotonic_ns()
        self.story: list[str] = []
        self.tell(title)
        self.tally = Tally()
        self.said: list[str] = []
        """By the bot that lived last."""

    def tell(self, text: str) -> None:
        """A line for whoever reads a failure."""
        self.story.append(f"{(self._clock.monotonic_ns() - self._begun_ns) / 1e9:7.1f} s  {text}")

    @asynccontextmanager
    async def bot(
        self, dies_at: str = "", waits_for: Path | None = None, more: Sequence[str] = ()
    ) -> AsyncIterator[Bot]:
        async with living(self.data_dir, self.address, dies_at, waits_for, more) as one:
            self.said = one.said
            yield one

    async def live(self, life: Life) -> None:
        """One life, from a start among accidents to a kill; and what was written until then."""
        self.tell(str(life))
        await self.truth.order_faults(life.before)
        armed = self.data_dir.with_name(f"armed-{life.number}")
        deadline_ns = self.deadline_ns()
        while True:
            async with self.bot(life.dies_at, armed) as one:
                if await until(one, lambda one=one: has_said(one, STARTED)):
                    self.tell("  started")
                    first, *_ = await self.truth.order_faults(life.later)
                    records = None if life.dies_at else life.records
                    await live_on(one, lambda first=first: self.truth.struck(first), records, armed)
            code = one.process.returncode
            self.tell(f"  ended with {code}; {', '.join(await self.truth.peace()) or 'nothing was ordered'}")
            if code == -signal.SIGKILL:
                break
            self.check_refused_start(one, deadline_ns)
        await self.check_what_arrived()
        if is_halted(one):
            await self.take_halt_away()
        self.tally.take(str(life.first["fault"]), self.data_dir)

    async def take_halt_away(self) -> None:
        """As a person does who has looked: the halt was said and why, and would hold after a restart."""
        file = JournalFile(self.data_dir)
        self.tell(f"  {why_halted(file)}")
        assert why_halted(file), "HALTED, and no event says why"
        file.close()
        code, words = await self.main("--mode", "resume", "--halt")
        assert code == 0, words

    def deadline_ns(self) -> int:
        """Until when a bot must have started."""
        return self._clock.monotonic_ns() + PATIENCE_S * 10**9

    def check_refused_start(self, one: Bot, deadline_ns: int) -> None:
        """A start fails where an exchange cannot be asked, or earlier starts have used up its minute of requests."""
        code = one.process.returncode
        assert not has_said(one, STARTED), f"it ended by itself with exit code {code}"
        assert code in (3, 5), f"a start that is refused says so, and not with exit code {code}"
        assert self._clock.monotonic_ns() < deadline_ns, "it does not start, though the exchanges are in peace"

    async def refuse_a_second(self, first: Bot) -> None:
        """Another process on the account, with a data directory of its own, exits 3 and says why."""
        deadline_ns = self.deadline_ns()
        while True:
            async with living(self.data_dir.with_name("second"), self.address) as second:
                await until(second, lambda: False)
            assert first.process.returncode is None, "the first one ended by itself"
            if has_said(second, "is traded on by another bot"):
                break
            self.tell(f"  a second process ended with {second.process.returncode}; {second.said[-1:]}")
            self.check_refused_start(second, deadline_ns)
        assert second.process.returncode == 3, second.said
        self.tell(f"  a second process was refused beside {first.process.pid}")

    async def check_what_arrived(self) -> None:
        await self.truth.look()
        with_file = JournalFile(self.data_dir)
        every_order_was_written_down(self.truth, with_file)
        orders_live_one_life(with_file)
        with_file.close()

    async def end(self) -> bool:
        """A last life, in peace: it trades, is asked to close all, and ends in order. Whether it is not HALTED."""
        self.tell("peace")
        deadline_ns = self.deadline_ns()
        while True:
            async with self.bot() as one:
                if await until(one, lambda one=one: has_said(one, STARTED)):
                    return await self.end_in_order(one)
            self.tell(f"  ended with {one.process.returncode}; {one.said[-1:]}")
            self.check_refused_start(one, deadline_ns)

    async def end_in_order(self, one: Bot) -> bool:
        """Whether it is flat, and not HALTED."""
        before = len(self.states())
        await self.refuse_a_second(one)
        await until(one, lambda: is_halted(one) or len(self.states()) > before)
        code, words = await self.flatten()
        self.tell(f"  flatten: {code}, {words!r}")
        await until(one, lambda: is_halted(one) or set(self.states().values()) <= OVER)
        assert one.process.returncode is None, "it ended by itself"
        halted = is_halted(one)
        assert not has_said(one, "cash: "), "in peace every change of a wallet is explained, also of pairs taken over"
        self.tell(f"  ended with {await one.end(signal.SIGINT)}")
        return not halted

    async def flatten(self) -> tuple[int, str]:
        return await self.main("--mode", "flatten")

    async def main(self, *words: str) -> tuple[int, str]:
        """Another command on the data directory: its exit code, and what it printed."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, str(ROOT / "main.py"), *words, "--data-dir", str(self.data_dir),
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        async with asyncio.timeout(120):
            out, _ = await process.communicate()
        return process.returncode or 0, out.decode().strip()

    def states(self) -> dict[str, str]:
        file = JournalFile(self.data_dir)
        try:
            return pair_states(file)
        finally:
            file.close()

    async def check_the_end(self, before: Mapping[tuple[str, str], Decimal], *, is_running: bool) -> None:
        """Flat, each trade counted once, and every account's cash and profit explained; or HALTED, and said why."""
        await self.check_what_arrived()
        file = JournalFile(self.data_dir)
        try:
            assert self.truth.trades, "pairs were opened"
            if is_running:
                every_trade_is_counted_once(self.truth, file)
                after = await self.truth.balances()
                coins = after["binance.spot", "BTC"] - before["binance.spot", "BTC"]
                all_is_flat(self.truth, await self.truth.positions(), coins, file)
                cash_is_conserved(before, after, await self.truth.funding(), file)
                self.tell(profit_is_the_venues(before, after, self.data_dir))
            else:
                assert why_halted(file), "HALTED, and no event says why"
            self.tell(
                f"{len(self.truth.trades)} trades, {len(self.truth.orders)} orders, "
                f"pairs {dict(Counter(self.states().values()))}"
            )
        finally:
            file.close()
        self.tally.take("in peace", self.data_dir)
        for line in self.tally.lines():
            self.tell(line)


@asynccontextmanager
async def chaos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, title: str) -> AsyncIterator[Chaos]:
    """On exchanges of their own; a failure tells the story, and so does `-s`."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    async with exchanges("--scenario", "lively", "--seed", "3") as told, aiohttp.ClientSession() as session:
        lend(monkeypatch, told)
        one = Chaos(tmp_path / "data", at(told), VenueTruth(told, session), title)
        try:
            yield one
        except (AssertionError, TimeoutError) as error:
            pytest.fail("\n".join((f"{error!r}", *one.story, "the last lines of the bot:", *one.said[-40:])))
        print("\n".join(one.story))
