"""A backtest that skips rows takes the same rings and transfers as the loop over every row."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from hypothesis import event, given, settings
from hypothesis import strategies as st

from bot.backtest.feeder import Feeder
from bot.backtest.market import TapeMarket
from bot.backtest.skim import Skimmer
from bot.backtest.tape import Piece, TapeWriter
from bot.domain.fees import FeeSchedule, FeeSource
from bot.domain.instrument import Feed, Instrument
from bot.domain.legs import TransferLeg
from bot.domain.market import TopOfBook
from bot.engine.engine import Engine, RunInfo
from bot.ports import FeedState, NoTerms, TransferEstimate
from bot.settings import PaperSettings, Settings
from bot.storage.journal import SqliteJournal
from bot.transfers.paper_carrier import PaperCarrier
from exchanges.paper.actions import PaperActions
from strategies.arbitrage.settings import ArbitrageSettings
from strategies.arbitrage.strategy import ArbitrageStrategy
from tests.property.test_skim_equals_full_loop import START_NS, state_of
from tests.unit.engine_chain_bench import BTC, CROSS, ETH, THERE

RING, ACROSS = (BTC, CROSS, ETH), (BTC, THERE)


class Ways(NoTerms):
    """Bitcoin goes within seconds, nearly for nothing."""

    def transfer(self, leg: TransferLeg) -> TransferEstimate | None:
        return TransferEstimate(3.0, 8.0, 0.00001 if leg.asset == "BTC" else 0.1)

    def closed(self, leg: TransferLeg) -> str | None:
        return None


def feeds(instruments: Sequence[Instrument]) -> list[Feed]:
    return list(dict.fromkeys(one.feed for one in instruments))


def tape(instruments: Sequence[Instrument], seed: int, rows: int, strays_bps: float) -> list[Piece]:
    """Prices that agree, but for one of them that leaves the others now and then."""
    rng = np.random.default_rng(seed)
    pieces: list[Piece] = []
    writer = TapeWriter(feeds(instruments), pieces.append, piece_rows=max(rows // 2, 50))
    for feed in feeds(instruments):
        writer.on_feed_state(feed, FeedState.LIVE, "")
    level = {BTC.id: 60_000.0, THERE.id: 60_000.0, ETH.id: 3_000.0, CROSS.id: 0.05}
    away, now_ns = 0.0, START_NS
    for number in range(rows):
        now_ns += int(rng.exponential(30e6))
        slot = int(rng.integers(len(instruments)))
        of = instruments[slot]
        if rng.random() < 0.01:
            away = float(rng.choice((0.0, 0.0, 1.0, -1.0))) * strays_bps
        if rng.random() < 0.1:
            level = {id_: price * (1 + float(rng.normal()) * 1e-5) for id_, price in level.items()}
        strays = away / 1e4 if of is instruments[-1] else 0.0
        mid, tick = level[of.id] * (1 + strays), float(of.tick_size)
        bid = round(mid / tick) * tick
        size = float(rng.integers(1, 900)) / 1000
        quote = TopOfBook(
            bid_price=bid, bid_qty=size, ask_price=bid + tick, ask_qty=size, sequence=10 + number, ts_event_ns=now_ns
        )
        writer.on_quote(slot, quote, now_ns, b"")
        writer.on_batch_end(now_ns)
    writer.finish()
    return pieces


@contextmanager
def played(
    instruments: Sequence[Instrument], pieces: list[Piece], kind: str, *, skims: bool
) -> Iterator[tuple[Engine, PaperActions]]:
    """The engine after the whole tape."""
    span = (int(pieces[0].rows.ts_recv_ns[0]), int(pieces[-1].rows.ts_recv_ns[-1]))
    names = {feed: {} for feed in feeds(instruments)}
    market = TapeMarket("backtest", list(instruments), names, lambda: iter(pieces), span, {})
    fees = {
        feed: FeeSchedule(feed=feed, maker_bps=Decimal(0), taker_bps=Decimal(1), source=FeeSource.SETTING)
        for feed in names
    }
    balances = {wallet: {"USDT": 100_000} for wallet in ("binance.spot", "bybit.unified")}
    config = Settings(paper=PaperSettings.model_validate({"balances": balances}))
    own = ArbitrageSettings.model_validate(
        {"kinds": [kind], "warmup_s": 2.0, "networks": {"BTC": ["bitcoin"]}, "assumed_rebalancing_bps": 0.5}
    )
    with TemporaryDirectory() as directory:
        journal = SqliteJournal(Path(directory), "test", group_commit_ms=0, deliver=None)
        venue = PaperActions(list(instruments), fees, config.paper, market.clock)
        engine = Engine(
            run=RunInfo("test", "arbitrage", "backtest", False, "", "0"),
            instruments=instruments,
            strategy=ArbitrageStrategy(own),
            venue=venue,
            journal=journal,
            clock=market.clock,
            settings=config,
            fees=fees,
            assumed_funding_bps_per_8h={},
            log=lambda level, text: None,
            terms=Ways(),
            carrier=PaperCarrier(venue, Ways(), journal, market.clock, look_again_s=5.0),
        )

        def skimmer(feeder: Feeder) -> Skimmer:
            return Skimmer(engine, feeder, config.quote_gate, venue.needs_every_quote)

        if skims:
            market.skimmer = skimmer
        engine.start()
        asyncio.run(market.run(engine, asyncio.Event()))
        try:
            yield engine, venue
        finally:
            journal.close()


@settings(max_examples=10, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    strays_bps=st.sampled_from([0.0, 12.0, 40.0]),
    case=st.sampled_from([(RING, "triangular"), (ACROSS, "transfer")]),
)
def test_the_same_chains_are_taken_whether_rows_are_skipped_or_not(
    seed: int, strays_bps: float, case: tuple[Sequence[Instrument], str]
) -> None:
    instruments, kind = case
    pieces = tape(instruments, seed, 1_200, strays_bps)
    with played(instruments, pieces, kind, skims=False) as (engine, venue):
        full, taken = state_of(engine, venue), engine.decisions.taken
    with played(instruments, pieces, kind, skims=True) as (engine, venue):
        assert state_of(engine, venue) == full
        assert engine.decisions.taken == taken
    event(f"{kind}: {'some' if taken else 'none'} taken, strays of {strays_bps:g} bps")
