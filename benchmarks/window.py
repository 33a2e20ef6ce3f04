"""The 24 h window at full rate: what a row takes, what appending and loading take, and looks into a full day."""

import gc
import os
from array import array
from collections.abc import Callable
from functools import partial
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import cast

from benchmarks import window_day, window_restart
from benchmarks.measure import interleaved, per_item_us, perf_counter_ns, progress
from benchmarks.rows import Row, Target, figure
from bot.domain.market import TopOfBook
from bot.market.crossings import possible_crossings
from bot.market.window import Window

_ROW = Target("value", at_most=True, limit=28, unit="B/row")
_DAY = Target("value", at_most=True, limit=2.5, unit="GB")
_APPEND = Target("value", at_most=True, limit=450, unit="ns")
_LOAD = Target("value", at_most=False, limit=5, unit="M rows/s")
_VIEW = Target("value", at_most=True, limit=10, unit="us")
_NEAR = Target("value", at_most=True, limit=5, unit="us")
_FAR = Target("value", at_most=True, limit=50, unit="us")
_S = 1_000_000_000
_SIX_MINUTES_NS, _TEN_MINUTES_NS, _DAY_NS = 360 * _S, 600 * _S, 86_400 * _S
_END_NS = 1_767_571_200 * _S
_LIVE_MINUTES = 12
"""The newest rows are appended one by one, so that the windows stand as they do in a run."""
_LOOKS = 2_000
_APPENDS = 8_192
_NEEDED_BYTES = 4 << 30
_STATM = Path("/proc/self/statm")


def rows(rounds: int) -> list[Row]:
    """All rows of the window."""
    windows = [Window(grid=window_day.GRID) for _ in range(2)]
    before = _resident_bytes()
    hours = 24.0 if _free_bytes() >= _NEEDED_BYTES else 6.0
    progress(f"window: loading {hours:g} h of two venues at {window_day.ROWS_A_SECOND} rows/s each")
    live = _LIVE_MINUTES * 60 * window_day.ROWS_A_SECOND
    loaded_s = [
        window_day.load(window, _END_NS - _LIVE_MINUTES * 60 * _S, hours - _LIVE_MINUTES / 60, seed)
        for seed, window in enumerate(windows)
    ]
    rates = [(len(window) / 1e6) / taken_s for window, taken_s in zip(windows, loaded_s, strict=True)]
    progress(f"window: appending the last {_LIVE_MINUTES} minutes")
    for window in windows:
        _appended(window, live)
    gc.collect()
    held = sum(len(window) for window in windows)
    told = f"{held / 1e6:.1f} M rows held in two"
    return [
        figure("window, loading a day after a restart", "M rows/s", rates, _LOAD, "indexes and zone maps included"),
        *_sizes(windows, held, told, before, _resident_bytes()),
        *_looks(windows, rounds, told),
        figure(
            f"window, appending a row ({told})",
            "ns",
            [_append_ns(windows[0]) for _ in range(rounds)],
            _APPEND,
            "net of the loop; sealing, housekeeping and page faults included",
        ),
        *window_restart.rows(rounds),
    ]


def _sizes(windows: list[Window], held: int, told: str, before: int | None, after: int | None) -> list[Row]:
    counted = sum(window.nbytes for window in windows)
    sizes = [
        figure(f"window, bytes a row as counted ({told})", "B/row", [counted / held], _ROW, "nbytes, hot rows too")
    ]
    if before is not None and after is not None:
        resident = after - before
        sizes += [
            figure(f"window, bytes a row of resident memory ({told})", "B/row", [resident / held], _ROW, "RSS"),
            figure(f"window, resident memory ({told})", "GB", [resident / 1e9], _DAY, "RSS"),
        ]
    return sizes


def _looks(windows: list[Window], rounds: int, told: str) -> list[Row]:
    window, other = windows
    random = Random(1)
    end_ns = window.last_recv_ns + 1
    span_ns = end_ns - int(window.between(0, end_ns - _DAY_NS + 3_600 * _S).ts_recv_ns[:1].sum() or end_ns - _DAY_NS)
    near = [end_ns - random.randrange(1, _TEN_MINUTES_NS) for _ in range(_LOOKS)]
    far = [end_ns - random.randrange(1, span_ns) for _ in range(_LOOKS)]
    sides = (
        (partial(_views, window), _LOOKS),
        (partial(_as_of, window, near), _LOOKS),
        (partial(_as_of, window, far), _LOOKS),
        (partial(window.extremes, end_ns - span_ns, end_ns - 7), 1),
        (partial(possible_crossings, window, other, end_ns - span_ns, end_ns, excess=0.001), 1),
    )
    view, as_of_near, as_of_far, extremes, crossings = interleaved(
        rounds, *(partial(per_item_us, work, items) for work, items in sides)
    )
    return [
        figure(f"window, view of the last 6 minutes ({told})", "us", view, _VIEW, "seven columns, nothing copied"),
        figure(f"window, as-of in the last 10 minutes ({told})", "us", as_of_near, _NEAR, "including the model"),
        figure(f"window, as-of at any time of the day ({told})", "us", as_of_far, _FAR, "including the model"),
        figure(f"window, highest bid and lowest ask of the day ({told})", "us", extremes, None, "by the zone map"),
        figure(f"window, where two may have crossed in the day ({told})", "us", crossings, None, "by the zone maps"),
    ]


def _views(window: Window) -> None:
    end_ns = window.last_recv_ns + 1
    for _ in range(_LOOKS):
        window.between(end_ns - _SIX_MINUTES_NS, end_ns)


def _as_of(window: Window, moments: list[int]) -> None:
    for moment in moments:
        window.as_of(moment)


def _append_ns(window: Window) -> float:
    """Nanoseconds a row of a few minutes' worth, less what the same loop takes without a window."""
    rows = 24 * _APPENDS
    idle_ns = _filling(window, rows, lambda ts_ns, quote: None)
    return (_filling(window, rows, window.append) - idle_ns) / rows


def _appended(window: Window, rows: int) -> None:
    _filling(window, rows, window.append)


def _filling(window: Window, rows: int, append: Callable[[int, TopOfBook], object]) -> int:
    """Nanoseconds of a loop over rows whose values change as recorded ones do."""
    random = Random(1)
    moves = [random.choice((-1, 1)) if random.random() < 0.05 else 0 for _ in range(_APPENDS)]
    delays = array("q", (random.randrange(2_000_000, 6_000_000) for _ in range(_APPENDS)))
    sizes = [random.randrange(1, 100_000) / 1_000 for _ in range(_APPENDS)]
    last = window.last()
    ticks = 600_000 if last is None else round(last.bid_price * 10)
    quote = SimpleNamespace(bid_price=ticks / 10, bid_qty=1.0, ask_price=(ticks + 1) / 10, ask_qty=1.0, sequence=10**12)
    fields, model = quote.__dict__, cast(TopOfBook, quote)
    ts_ns, step_ns = window.last_recv_ns, _S // window_day.ROWS_A_SECOND
    begun_ns = perf_counter_ns()
    for _ in range(-(-rows // _APPENDS)):
        for move, delay_ns, size in zip(moves, delays, sizes, strict=True):
            ts_ns += step_ns
            fields["ts_event_ns"] = ts_ns - delay_ns
            fields["sequence"] += 40
            if move:
                ticks += move
                fields["bid_price"] = ticks / 10
                fields["ask_price"] = (ticks + 1) / 10
            fields["bid_qty"] = size
            append(ts_ns, model)
    return perf_counter_ns() - begun_ns


def _free_bytes() -> int:
    return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _resident_bytes() -> int | None:
    """Of this process; None where the system does not tell it this way."""
    if not _STATM.is_file():
        return None
    return int(_STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
