"""The process that runs hftbacktest: ticks of a file in, quotes a second out, a line for each line that comes.

It imports nothing of this project: its environment has hftbacktest alone.
"""

import sys
from time import perf_counter_ns

import numpy as np
from hftbacktest import (
    BUY_EVENT,
    DEPTH_EVENT,
    EXCH_EVENT,
    LOCAL_EVENT,
    SELL_EVENT,
    BacktestAsset,
    ROIVectorMarketDepthBacktest,
    event_dtype,
)
from numba import njit

NEEDED_BPS = 31.0


def events(ticks, at):
    """Removed and set levels of one instrument."""
    mine = ticks[ticks[:, 1] == at]
    found = []
    bid = ask = 0.0
    for ts, _, new_bid, new_ask, bid_qty, ask_qty in mine:
        for side, old, new, qty in ((BUY_EVENT, bid, new_bid, bid_qty), (SELL_EVENT, ask, new_ask, ask_qty)):
            flags = DEPTH_EVENT | EXCH_EVENT | LOCAL_EVENT | side
            if old and old != new:
                found.append((flags, int(ts), int(ts), old, 0.0, 0, 0, 0.0))
            found.append((flags, int(ts), int(ts), new, qty, 0, 0, 0.0))
        bid, ask = new_bid, new_ask
    return np.array(found, event_dtype)


def asset(data, prices):
    """One instrument with fees and an order latency."""
    low, high = float(prices.min()), float(prices.max())
    return (
        BacktestAsset()
        .data([data])
        .linear_asset(1.0)
        .constant_order_latency(10_000_000, 10_000_000)
        .risk_adverse_queue_model()
        .no_partial_fill_exchange()
        .trading_value_fee_model(0.0002, 0.0005)
        .tick_size(0.01)
        .lot_size(0.001)
        .roi_lb(low * 0.99)
        .roi_ub(high * 1.01)
    )


@njit
def edges(hbt, needed):
    """The edge of both directions whenever a feed event comes."""
    best = -1e9
    looks = 0
    while hbt.wait_next_feed(False, 10_000_000_000) == 2:
        first, second = hbt.depth(0), hbt.depth(1)
        there = (second.best_bid / first.best_ask - 1.0) * 1e4
        back = (first.best_bid / second.best_ask - 1.0) * 1e4
        edge = max(there, back)
        if edge > best:
            best = edge
        if edge >= needed:
            looks += 1
        hbt.clear_last_trades(0)
    return best, looks


def run(sides, prices):
    """Nanoseconds that one backtest takes."""
    hbt = ROIVectorMarketDepthBacktest([asset(data, prices) for data in sides])
    begun_ns = perf_counter_ns()
    edges(hbt, NEEDED_BPS)
    took_ns = perf_counter_ns() - begun_ns
    hbt.close()
    return took_ns


def main():
    """Run once for each line of stdin."""
    ticks = np.load(sys.argv[1])
    sides = [events(ticks, at) for at in (0, 1)]
    run([side[:1000] for side in sides], ticks[:, 2:4])  # compiles
    print("ready", flush=True)
    for _ in sys.stdin:
        print(len(ticks) / run(sides, ticks[:, 2:4]) * 1e9, flush=True)


main()
