"""What can be measured, by name, and a process of its own for each."""

import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from importlib import import_module

from benchmarks.measure import progress
from benchmarks.rows import Row

GROUPS = {
    "decode-binance": ("benchmarks.decode", "binance", "frames to quotes, against msgspec and cryptofeed"),
    "decode-bybit": ("benchmarks.decode", "bybit_rows", "frames to quotes, against cryptofeed"),
    "decision": ("benchmarks.decision", "rows", "bytes to decision with 24 h held: latency, rate, longest pause"),
    "routes": ("benchmarks.routes", "rows", "pricing a quote at 2, 4 and 8 venues, against all pairs"),
    "loopback": ("benchmarks.loopback", "rows", "over a socket to the decision, against websockets"),
    "simulated-frames": ("benchmarks.simulated_frames", "rows", "what one core of the simulated exchanges sends"),
    "simulated-orders": ("benchmarks.round_trip", "rows", "an order to the simulated exchanges and back"),
    "order-sends": ("benchmarks.order_sends", "rows", "decision to both orders of a pair written, against ccxt"),
    "kill": ("benchmarks.kill", "rows", "from exec to every cancel answered, by a process that loads no library"),
    "window": ("benchmarks.window", "rows", "bytes a row, views and as-of looks of a full day"),
    "archive": ("benchmarks.archive", "rows", "bytes a row, rows a second in and out, against SQLite and DuckDB"),
    "book-at": ("benchmarks.book_at", "rows", "the order book at any moment of what was recorded"),
    "mongo": ("benchmarks.mongo", "rows", "documents a second to a MongoDB, against a bare insert_many loop"),
    "backtest": ("benchmarks.backtest", "rows", "columns through everything, against nautilus_trader and hftbacktest"),
    "replay": ("benchmarks.replay", "rows", "a recording through everything, against nautilus_trader"),
}
"""By name: module, function and one line for `--list`."""


def measured(name: str, rounds: int) -> list[Row]:
    """The rows of one group, from a process of its own: what the group before left in memory slows nothing down."""
    progress(name)
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(max_workers=1, mp_context=context) as pool:
        return pool.submit(_measure, name, rounds).result()


def _measure(name: str, rounds: int) -> list[Row]:
    module, function, _ = GROUPS[name]
    measure: Callable[[int], list[Row]] = getattr(import_module(module), function)
    return measure(rounds)
