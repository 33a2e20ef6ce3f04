"""An entry that rests in a book is taken back where nothing new may be opened by then."""

import pytest

from bot.clock import VirtualClock
from bot.domain.market import TopOfBook
from bot.engine.engine import Engine
from bot.execution.pair import Pair, PairState
from bot.ports import FeedState
from tests.property.test_round_trip_conservation import MS, PERP, START_NS, Paper, _engine
from tests.unit.executor_bench import MemoryJournal


class Scene:
    """A round trip whose entry waits within a wide spread."""

    def __init__(self) -> None:
        self.clock = VirtualClock(START_NS)
        self.engine: Engine = _engine(PERP, Paper(PERP, self.clock), MemoryJournal(), self.clock)
        self.engine.on_feed_state(PERP.feed, FeedState.LIVE, "")
        self.engine.start()
        self.show(1.0, 80)
        self.show(6.0, 5)
        self.pair: Pair
        (self.pair,) = self.engine.desk.executor.pairs.values()

    def show(self, half: float, times: int) -> None:
        for _ in range(times):
            now_ns = self.clock.now_ns() + 100 * MS
            self.clock.advance_to(now_ns)
            quote = TopOfBook(
                bid_price=2000 - half, bid_qty=0.8, ask_price=2000 + half, ask_qty=0.8,
                sequence=now_ns // MS, ts_event_ns=now_ns,
            )  # fmt: skip
            self.engine.on_quote(0, quote, now_ns, b"")
            self.engine.on_batch_end(now_ns)


@pytest.mark.parametrize("danger", ["", "quarantine", "liquidation"])
def test_an_entry_is_taken_back_in_quarantine_and_near_a_liquidation(
    danger: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = Scene()
    desk = here.engine.desk
    assert (here.pair.state, desk.executor.resting) == (PairState.OPENING, 1)
    if danger == "quarantine":
        desk.portfolio.quarantine[PERP.id] = "an order of somebody else"
    elif danger:
        monkeypatch.setattr(desk._margin_guard, "endangered", lambda: frozenset({PERP.id}))
    here.show(6.0, 12)
    assert here.pair.state is (PairState.MISSED if danger else PairState.OPENING)
    if danger == "quarantine":
        assert not desk.executor.pairs, "nor is another one placed"
