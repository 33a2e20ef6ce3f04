"""A day of rows in the windows, as they stand after 24 h of such a market."""

from array import array
from random import Random
from types import SimpleNamespace
from typing import cast

from benchmarks.measure import perf_counter_ns, progress
from bot.domain.market import TopOfBook
from bot.market.window import Window

DAY_NS = 24 * 3_600_000_000_000
ROWS_A_SECOND = 190
"""BTC's perpetual on Binance, recorded in 2024; ETH's has 157, spot has 70 to 148."""
_CHANGE_PART = 0.05
"""Part of the rows that move a price: 3 % recorded on the perpetual, 9 % on spot."""
_PATH = 4_096
_BUDGET_S = 60.0


def fill(window: Window, end_ns: int, price: float, seed: int = 1) -> int:
    """Append a day up to `end_ns`, at most a minute's work of it; the rows held afterwards.

    The values change as recorded ones do, so that the window packs and indexes what it would. Only the models are
    left out: the window reads a quote's fields and keeps none of it but the last.
    """
    random = Random(seed)
    moves = [random.choice((-1, 1)) if random.random() < _CHANGE_PART else 0 for _ in range(_PATH)]
    sizes = [random.randrange(1, 100_000) / 1_000 for _ in range(_PATH)]
    delays = array("q", (random.randrange(2_000_000, 6_000_000) for _ in range(_PATH)))
    step_ns = 1_000_000_000 // ROWS_A_SECOND
    ticks = round(price * 100)
    quote = SimpleNamespace(bid_price=price, bid_qty=1.0, ask_price=price + 0.01, ask_qty=1.0, sequence=1)
    fields = quote.__dict__
    append, model = window.append, cast(TopOfBook, quote)
    begun_ns = perf_counter_ns()
    ts_ns = end_ns - DAY_NS
    while ts_ns < end_ns:
        if perf_counter_ns() - begun_ns > _BUDGET_S * 1e9:
            progress("this machine fills the window slowly: it holds less than a day")
            break
        for move, delay_ns, size in zip(moves, delays, sizes, strict=True):
            ts_ns += step_ns
            fields["ts_event_ns"] = ts_ns - delay_ns
            fields["sequence"] += 400
            if move:
                ticks += move
                fields["bid_price"] = ticks / 100
                fields["ask_price"] = (ticks + 1) / 100
            fields["bid_qty"] = size
            append(ts_ns, model)
    return len(window)
