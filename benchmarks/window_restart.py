"""From the archive back into the windows: what a run waits for before its first quote."""

import tempfile
from pathlib import Path

import pyarrow as pa

from benchmarks import window_day
from benchmarks.frames import ROOT
from benchmarks.measure import perf_counter_ns, progress
from benchmarks.rows import Row, Target, figure
from bot.domain.instrument import Feed, Instrument
from bot.market.columns import Columns
from bot.market.gate_again import gate_again
from bot.market.window import Window
from bot.recording.restart import fill_windows
from bot.settings import QuoteGateSettings
from bot.storage.archive.channels import SCHEMAS, Channel
from bot.storage.archive.store import ArchiveStore
from exchanges.registry import all_venues

_RATE = Target("value", at_most=False, limit=5, unit="M rows/s")
_HOURS = 6
_HOUR_NS = 3_600_000_000_000
_END_NS = 1_767_571_200 * 1_000_000_000
_FEEDS = ("binance.linear", "bybit.linear")


def rows(rounds: int) -> list[Row]:
    """How fast whole windows are filled, in a folder of its own."""
    instruments = [_instrument(feed) for feed in _FEEDS]
    with tempfile.TemporaryDirectory(dir=ROOT) as folder, ArchiveStore.open(Path(folder)) as store:
        progress(f"window: writing {_HOURS} h of two venues into an archive")
        for seed, instrument in enumerate(instruments):
            _write(store, instrument, seed)
        progress("window: filling from the archive")
        rates = [_filled(store, instruments) for _ in range(rounds)]
    note = (
        f"{_HOURS} h of two venues at {window_day.ROWS_A_SECOND} rows/s each, a file an hour; checksums, gate, indexes"
    )
    return [figure("window, a restart from the archive", "M rows/s", rates, _RATE, note)]


def _filled(store: ArchiveStore, instruments: list[Instrument]) -> float:
    windows = {one.id: Window(grid=window_day.GRID) for one in instruments}
    begun_ns = perf_counter_ns()
    filled = fill_windows(store, windows, _END_NS, gate=gate_again(QuoteGateSettings()))
    taken_ns = perf_counter_ns() - begun_ns
    return sum(one.rows for one in filled.values()) * 1e3 / taken_ns


def _write(store: ArchiveStore, instrument: Instrument, seed: int) -> None:
    for hour in range(_HOURS):
        columns = window_day.made(_END_NS - hour * _HOUR_NS, 1.0, seed)
        # Ids that go on from hour to hour: a lower one would be a late copy.
        columns = columns._replace(sequence=columns.sequence - hour * 10**9)
        store.write(Channel.QUOTES, str(instrument.feed), _table(instrument, columns), {instrument.id: instrument})


def _table(instrument: Instrument, columns: Columns) -> pa.Table:
    names = pa.DictionaryArray.from_arrays(pa.array([0] * columns.rows, pa.int32()), [instrument.id]).cast(pa.string())
    return pa.table([names, *(pa.array(column) for column in columns)], schema=SCHEMAS[Channel.QUOTES])


def _instrument(feed: str) -> Instrument:
    parsed = Feed.parse(feed)
    return all_venues()[parsed.venue].shipped_instruments(parsed)["BTCUSDT"]
