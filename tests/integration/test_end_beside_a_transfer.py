"""A run that ends while an amount is being handed to the carrier: it travels, or it goes home."""

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from bot.clock import Timer, VirtualClock
from bot.control.server import ControlServer
from bot.domain.fees import FeeSchedule, FeeSource
from bot.domain.instrument import Feed, Instrument
from bot.domain.market import PrintedQuote, TopOfBook
from bot.engine.engine import RunInfo
from bot.engine.run import SOCKET, EngineRun
from bot.errors import InvariantError, StorageError
from bot.execution.chain import Chain
from bot.execution.pair import PairState
from bot.ports import FrameTap, MarketEnd, MarketSink, QuoteDrivenVenue, RecordKind
from bot.ports.transfers import Carriage, CashListener
from bot.settings import Settings
from bot.storage.journal import SqliteJournal
from bot.storage.queries import JournalReader
from bot.transfers.paper_carrier import PaperCarrier
from exchanges.paper.actions import PaperActions
from strategies.arbitrage.settings import ArbitrageSettings
from strategies.arbitrage.strategy import ArbitrageStrategy
from tests.unit.engine_chain_bench import BALANCES, BTC, LEVEL, MS, START_NS, THERE, D, Ways


class Slow(PaperCarrier):
    """Thinks for a second before it sends or refuses, as one that has to ask both venues."""

    cash: CashListener | None = None
    refuses_all = False
    waiting: Timer | None = None

    def send(self, carriage: Carriage) -> None:
        def think() -> None:
            if self.refuses_all:
                self._refuse(carriage, "withdrawals are suspended")
            else:
                PaperCarrier.send(self, carriage)

        self.waiting = self._clock.call_later(1.0, think)

    def start(self) -> None:
        pass

    def stop(self) -> None:
        if self.waiting is not None:
            self.waiting.cancel()

    def moving(self, venue: str) -> frozenset[str]:
        return frozenset()

    async def foreign(self, venue: str, asset: str, amount: D, since_ns: int) -> str | None:
        return None


class Ending:
    """A market that ends as soon as the carrier has been asked."""

    name = "recorded"
    tap: FrameTap | None = None
    instruments: Sequence[Instrument] = (BTC, THERE)

    def __init__(self) -> None:
        self.clock = VirtualClock(START_NS)
        symbols = {one.feed: {one.symbol: one} for one in self.instruments}
        self.by_feed: Mapping[Feed, Mapping[str, Instrument]] = symbols
        fee = {"maker_bps": D(1), "taker_bps": D(1), "source": FeeSource.SETTING}
        self.published_fees = {feed: FeeSchedule(feed=feed, **fee) for feed in symbols}
        self.carrier: Slow | None = None
        self.chains: Mapping[str, Chain] = {}

    def printed(self, feed: Feed, raw: bytes) -> PrintedQuote:
        raise InvariantError("nothing was printed")

    def progress(self) -> float | None:
        return None

    async def run(self, sink: MarketSink, stop: asyncio.Event) -> MarketEnd:
        assert self.carrier is not None
        for step in range(100):
            prices = dict(LEVEL) if step < 25 else LEVEL | {THERE.id: (61_000.0, 61_002.0)}
            for slot, one in enumerate(self.instruments):
                self._quote(sink, slot, step, prices[one.id])
            self.clock.advance_to(self.clock.now_ns() + 100 * MS)
            if self.carrier.waiting is not None:
                return MarketEnd(True)
        raise AssertionError("no chain was sent")

    def _quote(self, sink: MarketSink, slot: int, step: int, prices: tuple[float, float]) -> None:
        at, (bid, ask) = self.clock.now_ns(), prices
        quote = TopOfBook(bid_price=bid, bid_qty=50, ask_price=ask, ask_qty=50, sequence=step + 1, ts_event_ns=at)
        sink.on_quote(slot, quote, at, b"")
        sink.on_batch_end(at)


@pytest.mark.parametrize(("refuses", "state"), [(True, PairState.FAILED), (False, PairState.IN_FLIGHT)])
def test_what_the_carrier_had_not_answered_goes_home_or_travels_before_the_end(
    tmp_path: Path, refuses: bool, state: PairState
) -> None:
    journal = SqliteJournal(tmp_path, "run", group_commit_ms=0.0)
    asyncio.run(ending(tmp_path, journal, refuses=refuses).run())
    with JournalReader.open(tmp_path) as reader:
        bodies = [one.body for one in reader.records("run", RecordKind.PAIR)]
    assert bodies[-1]["state"] == state
    (travel,) = bodies[-1]["travels"]
    assert travel["state"] == ("refused" if refuses else "in_transit")


class Full(SqliteJournal):
    """Its disk does not take the last records."""

    def close(self) -> None:
        super().close()
        raise StorageError("the disk is full")


def test_screens_hear_the_last_word_where_the_journal_cannot_be_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[Any] = []
    monkeypatch.setattr(ControlServer, "finished", lambda server, summary: told.append(summary))
    run = ending(tmp_path, Full(tmp_path, "run", group_commit_ms=0.0), refuses=True)
    with pytest.raises(StorageError, match="the disk is full"):
        asyncio.run(run.run())
    assert len(told) == 1
    assert not (tmp_path / SOCKET).exists(), "nobody is to knock where nobody is"


def ending(tmp_path: Path, journal: SqliteJournal, *, refuses: bool) -> EngineRun:
    """A run that ends as soon as its carrier has been asked."""
    market, info = Ending(), RunInfo("run", "arbitrage", "recorded", False, "digest", "0")
    chosen = Settings.model_validate({"paper": {"balances": BALANCES, "latency_ms": 10}, "data_dir": tmp_path})
    own = {"kinds": ["transfer"], "warmup_s": 0.5, "adverse_moves": False, "networks": {"BTC": ["bitcoin"]},
           "transfer_risk_sd": 0.0, "assumed_rebalancing_bps": 1.0}  # fmt: skip

    def carrier(venue: QuoteDrivenVenue) -> Slow:
        assert isinstance(venue, PaperActions)
        market.carrier = Slow(venue, Ways(), journal, market.clock, look_again_s=5.0)
        market.carrier.refuses_all = refuses
        return market.carrier

    def venue(fees: Any) -> QuoteDrivenVenue:
        return PaperActions(market.instruments, fees, chosen.paper, market.clock)

    return EngineRun(
        info=info, market=market, strategy=ArbitrageStrategy(ArbitrageSettings.model_validate(own)), venue=venue,
        settings=chosen, journal=journal, log=lambda level, text: None, show_decision=None, terms=Ways(),
        carrier=carrier,
    )  # fmt: skip
