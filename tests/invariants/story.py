"""What happens to a bot, step by step: a market with dislocations, and accidents. Every step checks the invariants."""

import random
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

from bot.domain.order import Order
from bot.ports import FeedState
from bot.risk.gate import Cause, TradingState
from tests.invariants.checks import (
    JournalFile,
    Watch,
    i1_intent_is_durable,
    i2_one_order_a_leg,
    i3_positions_are_fills,
    i5_cash_is_conserved,
    i6_halted_only_reduces,
    i7_on_the_grid,
    i8_ledger_is_the_journal,
    orders_live_one_life,
)
from tests.invariants.process import VENUES, House, Killed, Process
from tests.invariants.wire import PLACING
from tests.invariants.world import INSTRUMENTS, LINEAR, START_NS

D = Decimal
CALM_MS = 1_200


class Story:
    """A house, and the steps that a test may take in it."""

    def __init__(self, data_dir: Path, seed: int) -> None:
        self.house = House(data_dir, seed)
        self.file = JournalFile(data_dir)
        self.watch = Watch(self.house)
        self.house.checks.append(self._on_sending)
        self.told: list[str] = [f"seed {seed}"]
        """What was done, for whoever reads a failure."""
        self.even_market(CALM_MS)

    def _on_sending(self, process: Process, order: Order) -> None:
        i1_intent_is_durable(self.file, order)
        i2_one_order_a_leg(self.house, process, order)
        i6_halted_only_reduces(process, order)
        i7_on_the_grid(order)

    def close(self) -> None:
        """Let go of files and threads."""
        self.house.close()
        self.file.close()

    # The market

    def even_market(self, ms: int, mid: float = 1_000.0) -> None:
        """Every book at the same price, deep, for a while."""
        for at in range(0, ms, 100):
            self.house.play(min(100, ms - at))
            for slot in range(len(INSTRUMENTS)):
                shift = 0.01 * (self.house.sequence % 5)
                self.house.quote(slot, round(mid - 0.01 - shift, 2), round(mid + 0.01 - shift, 2), 50.0, 50.0)
            self.house.end_batch()
        self.check()

    def books(self, mids: tuple[float, ...], size: float) -> None:
        """All books move at once."""
        self.told.append(f"books {mids} x {size}")
        for slot, mid in enumerate(mids):
            self.house.quote(slot, round(mid - 0.05, 2), round(mid + 0.05, 2), size, size)
        self.house.end_batch()
        self.check()

    def wait(self, ms: int) -> None:
        """Nothing moves for a while."""
        self.told.append(f"wait {ms}")
        for at in range(0, ms, 500):
            self.house.play(min(500, ms - at))
            self.check()

    def funding(self, rate: int) -> None:
        """The venue of the perpetual settles."""
        self.told.append(f"funding {rate}")
        self.house.play(1)  # a venue settles once at a moment
        self.house.world.settle_funding(LINEAR, D(rate).scaleb(-5), D(1000))

    def silence(self, slot: int) -> None:
        """A feed falls silent."""
        self.told.append(f"silence {slot}")
        self.house.process.engine.on_feed_state(INSTRUMENTS[slot].feed, FeedState.SILENT, "")
        self.house.end_batch()
        self.check()

    # The wire

    def placing(self, venue: str, fate: str | None) -> None:
        """From now on this becomes of every order there."""
        self.told.append(f"placing {venue} {fate}")
        self.house.moods[venue].placing = fate

    def stream(self, venue: str, drops: float, repeats: float, delay_ms: int) -> None:
        """How the private stream is from now on."""
        self.told.append(f"stream {venue} drops {drops} repeats {repeats} delay {delay_ms}")
        mood = self.house.moods[venue]
        mood.drops_news, mood.repeats_news, mood.news_delay_ms = drops, repeats, delay_ms

    def answers(self, venue: str, *, deaf: bool, blind_ms: int) -> None:
        """Whether questions are answered, and how long an order stays unseen."""
        self.told.append(f"answers {venue} deaf {deaf} blind {blind_ms}")
        self.house.moods[venue].is_deaf, self.house.moods[venue].blind_ms = deaf, blind_ms

    def pause(self) -> None:
        """A person pauses."""
        self.told.append("pause")
        self.house.process.desk.gate.reduce(Cause.PERSON, "asked")

    def resume(self) -> None:
        """A person resumes."""
        self.told.append("resume")
        self.house.process.desk.gate.resume(Cause.PERSON, "asked")

    def kill(self, keep: int = 0) -> None:
        """kill -9, and a new start."""
        self.told.append(f"kill, {keep} records by chance")
        self._restart(keep)

    def kill_at_step(self, steps: int) -> None:
        """The process will die when it has taken so many more steps of its journal."""
        self.told.append(f"will die in {steps} steps")
        journal = self.house.process.journal
        journal.dies_at = journal.steps + steps

    def _restart(self, keep: int) -> None:
        self.house.restart(keep)
        self.watch.restarted()
        self.check()

    def surviving(self, step: Callable[[], None]) -> None:
        """Take a step; where the process dies in it, start another."""
        try:
            step()
        except Killed:
            self.told.append("died")
            self._restart(self.house.rng.randint(0, 3))

    # What must hold

    def check(self) -> None:
        """What must hold at any moment; more once everything has been told."""
        self.watch.i4_net_exposure()
        if self._all_told():
            self.house.process.journal.flush()
            i3_positions_are_fills(self.house, self.file)
            i8_ledger_is_the_journal(self.house, self.file)

    def _all_told(self) -> bool:
        return self.house.world.is_quiet and self.house.process.venue.in_flight == 0

    def make_peace(self) -> None:
        """No lies any more."""
        for venue in VENUES:
            self.placing(venue, None)
            self.stream(venue, 0.0, 0.0, 5)
            self.answers(venue, deaf=False, blind_ms=0)
            self.house.moods[venue].trouble = 0.0

    def end(self) -> None:
        """After every story: in a calm market, with honest venues, all ends flat, and the sums are right."""
        self.make_peace()
        self.house.process.journal.dies_at = None
        self.pause()
        self.even_market(20_000)
        process = self.house.process
        assert not process.desk.executor.pairs, f"left open: {process.desk.executor.pairs}"
        assert not self.house.world.core.positions(), "flat in the books, and not at the exchanges"
        assert self._all_told()
        process.journal.flush()
        i3_positions_are_fills(self.house, self.file)
        i5_cash_is_conserved(self.house, self.file)
        i8_ledger_is_the_journal(self.house, self.file)
        orders_live_one_life(self.file)


def random_step(story: Story, rng: random.Random) -> None:
    """One of the things that happen, by a seed: mostly the market, sometimes an accident; a halt ends by a restart."""
    if story.house.process.desk.gate.state is TradingState.HALTED and rng.random() < 0.1:
        story.surviving(story.kill)
    story.surviving(lambda: _random_step(story, rng))


def _random_step(story: Story, rng: random.Random) -> None:
    kind = rng.random()
    if kind < 0.55:
        mid = 1_000 + rng.gauss(0, 2)
        far = rng.choice((0.0, 0.0, 0.5, 2.0, 5.0, 15.0))
        mids = [mid, mid, mid]
        mids[rng.randrange(3)] += far * rng.choice((-1, 1))
        story.books(tuple(round(one, 2) for one in mids), rng.choice((0.02, 0.0213, 0.3, 5.0)))
    elif kind < 0.85:
        story.wait(rng.choice((0, 5, 10, 25, 200, 1_000, 3_000)))
    else:
        _accident(story, rng)


def _accident(story: Story, rng: random.Random) -> None:
    venue = rng.choice(VENUES)
    happens: tuple[Callable[[], None], ...] = (
        lambda: story.placing(venue, rng.choice((None, None, None, *PLACING))),
        lambda: story.stream(
            venue, rng.choice((0.0, 0.0, 0.3, 1.0)), rng.choice((0.0, 0.5)), rng.choice((5, 50, 2_000))
        ),
        lambda: story.answers(venue, deaf=rng.random() < 0.3, blind_ms=rng.choice((0, 0, 500, 5_000))),
        lambda: story.funding(rng.randint(-100, 100)),
        lambda: story.silence(rng.randrange(len(INSTRUMENTS))),
        story.pause if rng.random() < 0.3 else story.resume,
        lambda: story.kill(rng.randint(0, 3)),
        lambda: story.kill_at_step(rng.randint(1, 30)),
    )
    rng.choice(happens)()


def _stream(story: Story, venue: str, rng: random.Random) -> None:
    drops, repeats = rng.choice((0.0, 0.0, 0.3, 1.0)), rng.choice((0.0, 0.5))
    story.stream(venue, drops, repeats, rng.choice((5, 50, 2_000)))


def virtual_s(story: Story) -> float:
    """How long the story has gone on, seconds of its own time."""
    return (story.house.clock.now_ns() - START_NS) / 1e9


def told(story: Story, error: AssertionError) -> str:
    """What a failure has to say: what broke, what was done before, what was done to orders, and what the bot said."""
    lies = [lie for wire in story.house.process.wires.values() for lie in wire.lies]
    return "\n".join((str(error), *story.told[:1], *story.told[-40:], *lies[-20:], *story.house.process.log[-30:]))
