"""The invariants over the real engine, gate, executor, ledger, journal and order carriers, in stories that Hypothesis
looks for. A failure prints the steps, and a blob that repeats it. `CRYPTO_PIPE_EXAMPLES` sets how many are tried.
"""

import os
import shutil
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from tests.invariants.process import VENUES
from tests.invariants.story import Story
from tests.invariants.wire import PLACING
from tests.invariants.world import INSTRUMENTS

mids = st.integers(9_950, 10_050).map(lambda tenths: tenths / 10)
sizes = st.sampled_from([0.02, 0.0213, 0.3, 5.0])
venues = st.sampled_from(VENUES)
fates = st.sampled_from([None, *PLACING])
parts = st.sampled_from([0.0, 0.3, 1.0])


class Accidents(RuleBasedStateMachine):
    """Markets and accidents in any order."""

    @initialize(seed=st.integers(0, 2**32 - 1))
    def start(self, seed: int) -> None:
        self.data_dir = Path(tempfile.mkdtemp(prefix="invariants-"))
        self.story = Story(self.data_dir, seed)

    @rule(moved=st.tuples(mids, mids, mids), size=sizes)
    def books(self, moved: tuple[float, float, float], size: float) -> None:
        self.story.surviving(lambda: self.story.books(moved, size))

    @rule(mid=mids, far=st.sampled_from([2.0, 5.0, 15.0]), slot=st.integers(0, len(INSTRUMENTS) - 1), size=sizes)
    def dislocation(self, mid: float, far: float, slot: int, size: float) -> None:
        moved = [mid + far if at == slot else mid for at in range(len(INSTRUMENTS))]
        mids_ = tuple(round(one, 2) for one in moved)
        self.story.surviving(lambda: self.story.books(mids_, size))

    @rule(ms=st.sampled_from([0, 5, 10, 25, 200, 1_000, 3_000, 11_000]))
    def wait(self, ms: int) -> None:
        self.story.surviving(lambda: self.story.wait(ms))

    @rule(venue=venues, fate=fates)
    def placing(self, venue: str, fate: str | None) -> None:
        self.story.placing(venue, fate)

    @rule(venue=venues, drops=parts, repeats=parts, delay_ms=st.sampled_from([5, 50, 2_000]))
    def stream(self, venue: str, drops: float, repeats: float, delay_ms: int) -> None:
        self.story.stream(venue, drops, repeats, delay_ms)

    @rule(venue=venues, deaf=st.booleans(), blind_ms=st.sampled_from([0, 500, 5_000]))
    def answers(self, venue: str, deaf: bool, blind_ms: int) -> None:
        self.story.answers(venue, deaf=deaf, blind_ms=blind_ms)

    @rule(rate=st.integers(-100, 100))
    def funding(self, rate: int) -> None:
        self.story.surviving(lambda: self.story.funding(rate))

    @rule(slot=st.integers(0, len(INSTRUMENTS) - 1))
    def silence(self, slot: int) -> None:
        self.story.surviving(lambda: self.story.silence(slot))

    @rule(keep=st.integers(0, 3))
    def kill(self, keep: int) -> None:
        self.story.surviving(lambda: self.story.kill(keep))

    @rule(steps=st.integers(1, 40))
    def kill_at_step(self, steps: int) -> None:
        self.story.kill_at_step(steps)

    @rule()
    def pause(self) -> None:
        self.story.surviving(self.story.pause)

    @rule()
    def resume(self) -> None:
        self.story.surviving(self.story.resume)

    @rule()
    def peace(self) -> None:
        self.story.make_peace()
        self.story.surviving(lambda: self.story.even_market(2_000))

    def teardown(self) -> None:
        if not hasattr(self, "story"):
            return
        try:
            self.story.end()
        finally:
            self.story.close()
            shutil.rmtree(self.data_dir)


TestInvariants = Accidents.TestCase
TestInvariants.settings = settings(
    max_examples=int(os.environ.get("CRYPTO_PIPE_EXAMPLES", "60")), stateful_step_count=60
)
