"""Routes that offer nothing change nothing: one pair is decided alike beside none, one, and eight venues' worth."""

from hashlib import sha256
from random import Random

import pytest

from benchmarks.rig import temporary_journal
from bot.domain.market import TopOfBook
from tests.unit.test_route_index import Bench, RandomMarket

ACTIVE = 2
EVENTS = 3_000


class BesideIdle(RandomMarket):
    """The market of the active pair, event for event, and quotes of others in the same batches."""

    def __init__(self, seed, bench, idle):
        super().__init__(seed, bench, ACTIVE)
        self.others = range(ACTIVE, ACTIVE + idle)
        self.dice = Random(seed)
        self.numbers = 10**9

    def play(self, events=EVENTS):
        """Each event of the pair is a batch, whatever the others add to it."""
        for _ in range(events):
            self.now_ns += self.random.randrange(1_000_000, 60_000_000)
            self.bench.clock.advance_to(self.now_ns)
            self.event(self.random.random(), self.random.randrange(self.venues))
            self.engine.on_batch_end(self.now_ns)

    def event(self, dice, slot):
        before = self.dice.random() < 0.5
        if before:
            self.idle()
        super().event(dice, slot)
        if not before:
            self.idle()

    def idle(self):
        """Some of the others move, around the same price: nobody can buy there cheaper than anywhere else."""
        for slot in self.others:
            if self.dice.random() < 0.5:
                self.numbers += 1
                mid, away = 60_000.0 + self.dice.randrange(-40, 41), 240.0 + self.dice.randrange(100)
                quote = TopOfBook(
                    bid_price=mid - away, bid_qty=1.0, ask_price=mid + away, ask_qty=1.0,
                    sequence=self.numbers, ts_event_ns=self.now_ns - 3_000_000,
                )  # fmt: skip
                self.engine.on_quote(slot, quote, self.now_ns, b"")


def decided(seed, idle):
    """Digest of what was decided about the active pair, its pairs, and how many routes there were."""
    with temporary_journal() as journal:
        bench = Bench(ACTIVE + idle, journal)
        found = []
        bench.engine.decisions._show = found.append
        BesideIdle(seed, bench, idle).play(EVENTS)
        routes = {state.route.id for state in bench.engine.routes if max(state.buy.index, state.sell.index) < ACTIVE}
        assert len(routes) == 2
        lines = [decision.digest_line() for decision in found if decision.route in routes]
        taken = [decision.route for decision in found if decision.outcome == "taken"]
        assert set(taken) <= routes
        realised = dict(bench.engine.desk.ledger.realised())
        return sha256("\n".join(lines).encode()).hexdigest(), len(taken), realised, len(bench.engine.routes)


@pytest.mark.parametrize("seed", [1, 2])
def test_an_active_pair_is_decided_alike_beside_idle_routes_of_one_and_of_eight_venues(seed):
    alone, beside_one, beside_eight = (decided(seed, idle) for idle in (0, 1, 8))
    assert (alone[3], beside_one[3], beside_eight[3]) == (2, 6, 90)
    assert alone[1] > 3
    assert alone[:3] == beside_one[:3] == beside_eight[:3]
