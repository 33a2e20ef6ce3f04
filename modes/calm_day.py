"""What a day of the simulated exchanges earns: a process that a run starts beside itself, and that ends with it.

    python main.py calm-day SCENARIO SECONDS PARENT [the command line of the run]

A second of the day takes some 30 ms, an hour of it two minutes of a core, at the lowest priority (`main.py`): once for
each seed and settings, for the result is kept.

Prints one `bot.engine.comparison.OtherDay` a line, each a further piece of the day.
"""

import asyncio
import os
from collections.abc import Sequence
from contextlib import suppress
from decimal import Decimal

from bot.command_line import parse
from bot.engine.comparison import OtherDay, Point
from bot.engine.engine import Engine, RunInfo
from bot.engine.terms.rates import assumed_funding, fee_schedules
from bot.storage.no_journal import NoJournal
from bot.version import VERSION
from exchanges.live.market import configured_feeds
from exchanges.paper.actions import PaperActions
from exchanges.registry import all_venues
from exchanges.simulator.virtual_day import START_NS, VirtualDay
from modes.house import load
from strategies.registry import build_strategy

_LOOK_S = 1.0
_LOOKS_A_PIECE = 10


def compare(words: Sequence[str]) -> int:
    """Play the day and print it; 0, also when nobody reads it any more."""
    scenario, seconds, parent, *run = words
    with suppress(BrokenPipeError):
        asyncio.run(play(scenario, float(seconds), int(parent), run))
    return 0


async def play(scenario: str, seconds: float, parent: int, run: Sequence[str]) -> None:
    """Play it for as long as `parent` lives."""
    loaded = load(parse(run))
    settings, venues = loaded.settings, all_venues()
    seed = settings.simulator.seed
    feeds = configured_feeds(settings, venues)
    market = VirtualDay(feeds, venues, settings, scenario=scenario, seed=seed, play_s=seconds)
    fees = fee_schedules(tuple(feeds), market.published_fees, settings)
    engine = Engine(
        run=RunInfo("other-day", settings.strategy, market.name, False, loaded.digest, VERSION),
        instruments=market.instruments,
        strategy=build_strategy(settings.strategy, settings),
        venue=PaperActions(market.instruments, fees, settings.paper, market.clock),
        journal=NoJournal(),
        clock=market.clock,
        settings=settings,
        fees=fees,
        assumed_funding_bps_per_8h=assumed_funding(tuple(feeds), settings),
        log=lambda level, text: None,
        show_decision=None,
    )
    stop = asyncio.Event()
    teller = _Teller(engine, market, parent, stop)
    engine.start()
    teller.look()
    await market.run(engine, stop)
    teller.tell()


class _Teller:
    """Looks at the engine once a second of its day, and prints what has changed."""

    def __init__(self, engine: Engine, market: VirtualDay, parent: int, stop: asyncio.Event) -> None:
        self._engine = engine
        self._clock = market.clock
        self._parent = parent
        self._stop = stop
        self._looks = 0
        self._last: tuple[object, ...] = ()
        self._new: list[Point] = []

    def look(self) -> None:
        """Note how it stands, and look again in a second."""
        now = self._point()
        # What is needed moves a little all the time: only a whole bp of it is news.
        news = (now.taken, now.pnl, now.best_gross_bps, now.needed_bps is not None and round(now.needed_bps))
        if news != self._last:
            self._last = news
            self._new.append(now)
        self._looks += 1
        if self._looks % _LOOKS_A_PIECE == 0:
            self.tell()
        if os.getppid() != self._parent:
            self._stop.set()  # whoever wanted to know was killed
        self._clock.call_later(_LOOK_S, self.look)

    def tell(self) -> None:
        """Print what is new."""
        print(OtherDay(played_s=self._at_s(), points=self._new).model_dump_json(), flush=True)
        self._new = []

    def _at_s(self) -> float:
        return (self._clock.now_ns() - START_NS) / 1e9

    def _point(self) -> Point:
        engine = self._engine
        quotes = {state.route.buy.quote for state in engine.routes}
        watches = [state.watch for state in engine.routes]
        offered = [(bps, watch.needed_bps) for watch in watches if (bps := watch.best_gross_bps) is not None]
        best_bps, needed_bps = max(offered, key=lambda pair: pair[0], default=(None, None))
        return Point(
            at_s=self._at_s(),
            taken=engine.decisions.taken,
            pnl=dict.fromkeys(sorted(quotes), Decimal(0)) | engine.desk.ledger.realised(),
            best_gross_bps=best_bps,
            needed_bps=needed_bps,
        )
