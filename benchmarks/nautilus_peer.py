"""nautilus_trader's BacktestEngine over the same quotes, with a strategy that does the same arithmetic."""

import gc
from collections.abc import Iterable, Iterator, Sequence
from time import perf_counter_ns
from typing import Any

from benchmarks.frames import Market
from benchmarks.measure import Round, progress
from benchmarks.peers import load
from bot.domain.instrument import Instrument, Segment
from exchanges.registry import all_venues

NEEDED_BPS = 31.0
"""What both directions need: here it is given; ours sums it anew each second from fees, funding and statistics."""


Tick = tuple[int, int, float, float, float, float]
"""Time, place of the instrument, bid, ask and their quantities."""


def replay(market: Market) -> Round | None:
    """A round of its backtest over recorded frames, in quotes a second; None without nautilus_trader."""
    return replay_ticks([quotes.instrument for quotes in market.feeds], printed_ticks(market))


def replay_ticks(ours: Sequence[Instrument], quotes: Iterable[Tick]) -> Round | None:
    """A round of its backtest over these quotes, in quotes a second; None without nautilus_trader."""
    if load("nautilus-trader", "nautilus_trader.backtest.engine") is None:
        return None
    progress("building nautilus' quote ticks (not counted)")
    instruments = [_instrument(one) for one in ours]
    ticks = _ticks(quotes, instruments)

    def run() -> float:
        engine = _engine(instruments)
        engine.add_data(ticks)
        strategy = _strategy([instrument.id for instrument in instruments])
        engine.add_strategy(strategy)
        gc.collect()
        begun_ns = perf_counter_ns()
        engine.run()
        took_ns = perf_counter_ns() - begun_ns
        engine.dispose()
        if strategy.ticks != len(ticks):
            raise RuntimeError(f"nautilus saw {strategy.ticks} of {len(ticks)} quotes: the figure would mean nothing")
        return len(ticks) / took_ns * 1e9

    return run


def _engine(instruments: list[Any]) -> Any:
    from nautilus_trader.backtest.config import BacktestEngineConfig
    from nautilus_trader.backtest.engine import BacktestEngine
    from nautilus_trader.config import LoggingConfig
    from nautilus_trader.model.currencies import USDT
    from nautilus_trader.model.enums import AccountType, OmsType
    from nautilus_trader.model.objects import Money

    quiet = LoggingConfig(bypass_logging=True)
    engine = BacktestEngine(BacktestEngineConfig(logging=quiet, run_analysis=False))
    for venue in dict.fromkeys(instrument.id.venue for instrument in instruments):
        engine.add_venue(
            venue, oms_type=OmsType.NETTING, account_type=AccountType.MARGIN, starting_balances=[Money(200_000, USDT)]
        )
    for instrument in instruments:
        engine.add_instrument(instrument)
    return engine


def _strategy(ids: list[Any]) -> Any:
    from nautilus_trader.trading.strategy import Strategy

    class Edge(Strategy):  # type: ignore[misc]
        """The gross edge of both directions at every quote, against what they need."""

        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = ids
            self.tops = dict.fromkeys(ids)
            self.ticks = 0
            self.signals = 0
            self.best = float("-inf")

        def on_start(self) -> None:
            for instrument_id in ids:
                self.subscribe_quote_ticks(instrument_id)

        def on_quote_tick(self, tick: Any) -> None:
            self.ticks += 1
            self.tops[tick.instrument_id] = (float(tick.bid_price), float(tick.ask_price))
            first, second = self.tops[self.first], self.tops[self.second]
            if first is None or second is None:
                return
            there = (second[0] / first[1] - 1.0) * 1e4
            back = (first[0] / second[1] - 1.0) * 1e4
            self.best = max(self.best, there, back)
            if there >= NEEDED_BPS or back >= NEEDED_BPS:
                self.signals += 1

    return Edge()


def _instrument(ours: Instrument) -> Any:
    """nautilus' instrument on the same grid."""
    from nautilus_trader.model.identifiers import InstrumentId, Symbol, Venue
    from nautilus_trader.model.instruments import CryptoPerpetual, CurrencyPair
    from nautilus_trader.model.objects import Currency, Price, Quantity

    tick, lot = (format(step.normalize(), "f") for step in (ours.tick_size, ours.lot_size))
    symbol = ours.base + ours.quote + ("" if ours.segment is Segment.SPOT else "-PERP")
    base, quote = Currency.from_str(ours.base), Currency.from_str(ours.quote)
    grid: dict[str, Any] = {
        "instrument_id": InstrumentId(Symbol(symbol), Venue(ours.venue.upper())),
        "raw_symbol": Symbol(ours.base + ours.quote),
        "price_precision": max(0, -int(ours.tick_size.normalize().as_tuple().exponent)),
        "size_precision": max(0, -int(ours.lot_size.normalize().as_tuple().exponent)),
        "price_increment": Price.from_str(tick),
        "size_increment": Quantity.from_str(lot),
        "ts_event": 0,
        "ts_init": 0,
    }
    if ours.segment is Segment.SPOT:
        return CurrencyPair(base_currency=base, quote_currency=quote, **grid)
    return CryptoPerpetual(
        base_currency=base, quote_currency=quote, settlement_currency=quote, is_inverse=False, **grid
    )


def printed_ticks(market: Market) -> Iterator[Tick]:
    """The quotes of recorded frames."""
    venues = all_venues()
    for ts_ns, at, raw in market.in_order():
        quote = market.feeds[at].instrument
        top = venues[quote.venue].printed(quote.feed, raw)
        numbers = (top.top_bid, top.top_ask, top.top_bid_quantity, top.top_ask_quantity)
        bid, ask, bid_quantity, ask_quantity = map(float, numbers)
        yield ts_ns, at, bid, ask, bid_quantity, ask_quantity


def _ticks(quotes: Iterable[Tick], instruments: list[Any]) -> list[Any]:
    from nautilus_trader.model.data import QuoteTick

    return [
        QuoteTick(
            instruments[at].id,
            instruments[at].make_price(bid),
            instruments[at].make_price(ask),
            instruments[at].make_qty(bid_quantity),
            instruments[at].make_qty(ask_quantity),
            ts_ns,
            ts_ns,
        )
        for ts_ns, at, bid, ask, bid_quantity, ask_quantity in quotes
    ]
