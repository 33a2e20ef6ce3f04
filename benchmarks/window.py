"""The 24 h window: what a row takes, and what looking into a full day takes."""

import gc
import os
from functools import partial
from pathlib import Path
from random import Random

from benchmarks import day
from benchmarks.measure import interleaved, per_item_us, progress
from benchmarks.rows import Row, Target, figure
from bot.market.window import Window

_BYTES = Target("value", at_most=True, limit=56, unit="B/row")
_VIEW = Target("value", at_most=True, limit=10, unit="us")
_AS_OF = Target("value", at_most=True, limit=5, unit="us")
_SIX_MINUTES_NS = 360_000_000_000
_END_NS = 1_767_571_200_000_000_000
_LOOKS = 2_000
_STATM = Path("/proc/self/statm")


def rows(rounds: int) -> list[Row]:
    """Bytes a row, six-minute views and as-of looks at any time of the day."""
    window = Window()
    before = _resident_bytes()
    progress(f"window: filling it with 24 h at {day.ROWS_A_SECOND} rows/s")
    held = day.fill(window, _END_NS, 2_680.0)
    gc.collect()
    after = _resident_bytes()
    random = Random(1)
    moments = [window.last_recv_ns - random.randrange(day.DAY_NS) for _ in range(_LOOKS)]
    views = partial(per_item_us, partial(_views, window), _LOOKS)
    looks = partial(per_item_us, partial(_as_of, window, moments), _LOOKS)
    view_us, as_of_us = interleaved(rounds, views, looks)
    told = f"{held / 1e6:.1f} M rows held"
    sizes = [figure(f"window, bytes a row as counted ({told})", "B/row", [window.nbytes / held], _BYTES, "nbytes")]
    if before is not None and after is not None:
        resident = (after - before) / held
        sizes.append(figure(f"window, bytes a row of resident memory ({told})", "B/row", [resident], _BYTES, "RSS"))
    return [
        *sizes,
        figure(f"window, view of the last 6 minutes ({told})", "us", view_us, _VIEW, "seven columns, nothing copied"),
        figure(f"window, as-of at any time of the day ({told})", "us", as_of_us, _AS_OF, "including the model"),
    ]


def _views(window: Window) -> None:
    end_ns = window.last_recv_ns + 1
    for _ in range(_LOOKS):
        window.between(end_ns - _SIX_MINUTES_NS, end_ns)


def _as_of(window: Window, moments: list[int]) -> None:
    for moment in moments:
        window.as_of(moment)


def _resident_bytes() -> int | None:
    """Of this process; None where the system does not tell it this way."""
    if not _STATM.is_file():
        return None
    return int(_STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
