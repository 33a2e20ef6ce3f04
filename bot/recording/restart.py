"""What the archive knows of the time before this run: until when each instrument was recorded, and its day again."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import pyarrow as pa

from bot.market.columns import Columns
from bot.market.funding_history import FundingColumns
from bot.market.gap_marks import GapMarks, KnownGap
from bot.market.gate_again import GateAgain, Standing
from bot.market.trade_window import TradeColumns
from bot.recording.archived import Wanted, newest_first
from bot.recording.directory import Directory
from bot.recording.gaps import Gap, GapLog
from bot.recording.kept_rows import chosen, quotes_of, rates_of, trades_of, usable_quotes
from bot.storage.archive.channels import Channel
from bot.storage.archive.ports import SegmentInfo, SegmentStore

DAY_NS = 86_400_000_000_000
AWAY = "the program did not run"
_MINUTE_NS = 60_000_000_000
_OLDER_LOOKED_AT = 64
"""Segments from before the last day that are read to find out when the recording of an instrument ended."""
_Rows = TypeVar("_Rows", Columns, TradeColumns, FundingColumns)
_Taken = TypeVar("_Taken", contravariant=True)


class Loadable(Protocol[_Taken]):
    """What is asked of a history that is to be filled."""

    @property
    def gap_marks(self) -> GapMarks:
        """Where its gaps are marked."""

    def load(self, columns: _Taken, /) -> None:
        """Take rows from before every row that it holds."""

    def begin_gap(self, start_ns: int, reason: str) -> None:
        """From then to its next row some may be missing."""


@dataclass(frozen=True, slots=True)
class Filled:
    """What came back into one history."""

    rows: int
    gaps: Sequence[KnownGap]
    """By start; the last one is the time between the archive's end and now. All are marked in the history."""


def recorded_until(store: SegmentStore, channel: Channel, directory: Directory, now_ns: int) -> dict[int, int]:
    """By slot: when the recording of its channel ended; an instrument that was never recorded has no entry.

    It ended with the minute of the instrument's newest row, or with the file where that ends sooner. An instrument that
    stands in none of the newest files counts as recorded until the oldest of those that were looked at.

    Raises:
        StorageError: If the archive cannot be read.
    """
    known = set(store.instruments(channel))
    sought = {one.id: slot for slot, one in enumerate(directory.instruments) if one.id in known}
    found: dict[int, int] = {}
    older = _OLDER_LOOKED_AT
    looked_ns = now_ns
    for segment in _newest_first(store.segments(channel, stop_ns=now_ns)):
        if segment.scope not in {str(directory.instruments[slot].feed) for slot in sought.values()}:
            continue
        older -= segment.stop_ns <= now_ns - DAY_NS
        if older < 0:
            break
        for name, newest_ns in _newest_in(store.read(segment, ["instrument", "ts_recv_ns"])):
            if name in sought:
                ended_ns = (newest_ns // _MINUTE_NS + 1) * _MINUTE_NS
                found[sought.pop(name)] = min(ended_ns, segment.stop_ns, now_ns)
        looked_ns = min(looked_ns, segment.start_ns)
    return found | dict.fromkeys(sought.values(), looked_ns)


def ended_books(store: SegmentStore, kept: Collection[str], now_ns: int, reason: str) -> GapLog:
    """Gaps to `now_ns` in every book that an earlier run kept, but those in `kept`: a killed run says it nowhere.

    Whether this run watches their instruments or not: without a gap its rows make them look followed.

    Raises:
        StorageError: If the archive cannot be read.
    """
    newest = store.newest(Channel.DEPTH)
    known = [found for one in sorted(newest.keys() - kept) if (found := store.instrument(one)) is not None]
    gaps = GapLog(Directory(known))
    for slot, one in enumerate(known):
        last_ns = newest[one.id]
        written = store.segments(Channel.DEPTH, start_ns=last_ns, stop_ns=last_ns + 1)
        stops = [segment.stop_ns for segment in written if segment.scope == str(one.feed)]
        ended_ns = min([(last_ns // _MINUTE_NS + 1) * _MINUTE_NS, *stops])
        gaps.add(Gap(slot, Channel.DEPTH, ended_ns, now_ns, reason))
    return gaps


def _newest_first(segments: Sequence[SegmentInfo]) -> list[SegmentInfo]:
    return sorted(segments, key=lambda one: one.stop_ns, reverse=True)


def _newest_in(rows: pa.Table) -> list[tuple[str, int]]:
    """By instrument: its newest receive time."""
    found = rows.group_by("instrument").aggregate([("ts_recv_ns", "max")])
    return list(zip(*(found.column(name).to_pylist() for name in ("instrument", "ts_recv_ns_max")), strict=True))


def fill_windows(
    store: SegmentStore,
    windows: Mapping[str, Loadable[Columns]],
    now_ns: int,
    hold_ns: int = DAY_NS,
    *,
    gate: GateAgain | None = None,
) -> dict[str, Filled]:
    """Load the quotes of the last `hold_ns` into the windows, before the first quote of this run.

    Quotes that no gate lets pass whatever came before them (no number, nothing offered, crossed, older than their
    predecessor) are left out, as they were left out when they came; so are those that `gate` refuses as stale or as a
    jump, asked again (`bot.market.gate_again`).

    Args:
        store: The archive.
        windows: By instrument id.
        now_ns: UTC; rows from then on are not loaded.
        hold_ns: How far back.
        gate: Of the run; None leaves out only what no gate lets pass.

    Returns:
        By instrument id, for every window.

    Raises:
        StorageError: If the archive cannot be read.
    """
    wanted = Wanted(Channel.QUOTES, Columns._fields, now_ns - hold_ns, now_ns)
    usable = ((name, usable_quotes(quotes_of(table))) for name, table in newest_first(store, wanted, set(windows)))
    return _fill(store, windows, wanted, usable if gate is None else _gated(usable, gate))


def fill_trades(
    store: SegmentStore, windows: Mapping[str, Loadable[TradeColumns]], now_ns: int, hold_ns: int = DAY_NS
) -> dict[str, Filled]:
    """Load the public trades of the last `hold_ns`, as often as they were delivered; otherwise like `fill_windows`."""
    wanted = Wanted(Channel.TRADES, TradeColumns._fields, now_ns - hold_ns, now_ns)
    found = ((name, trades_of(table)) for name, table in newest_first(store, wanted, set(windows)))
    return _fill(store, windows, wanted, found)


def fill_funding(
    store: SegmentStore, histories: Mapping[str, Loadable[FundingColumns]], now_ns: int, hold_ns: int = DAY_NS
) -> dict[str, Filled]:
    """Load the funding rates of the last `hold_ns`; otherwise like `fill_windows`.

    They tell the past alone: what holds now the venue says again within seconds.
    """
    wanted = Wanted(Channel.FUNDING, FundingColumns._fields, now_ns - hold_ns, now_ns)
    found = ((name, rates_of(table)) for name, table in newest_first(store, wanted, set(histories)))
    return _fill(store, histories, wanted, found)


def _fill(
    store: SegmentStore,
    histories: Mapping[str, Loadable[_Rows]],
    wanted: Wanted,
    parts: Iterator[tuple[str, _Rows]],
) -> dict[str, Filled]:
    rows = dict.fromkeys(histories, 0)
    newest_ns = dict.fromkeys(histories, wanted.start_ns - 1)
    for name, part in parts:
        if part.rows:
            histories[name].load(part)
            rows[name] += part.rows
            newest_ns[name] = max(newest_ns[name], int(part.ts_recv_ns[-1]))
    filled = {}
    for name, history in histories.items():
        told: list[KnownGap] = _gaps(store, wanted, name)
        # From the newest row on, and not from the end of a gap behind it: none of the rows in it came back.
        away = KnownGap(newest_ns[name] + 1, wanted.stop_ns, AWAY)
        for gap in told:
            history.gap_marks.add(gap)
        history.begin_gap(away.start_ns, away.reason)
        filled[name] = Filled(rows[name], [*told, away])
    return filled


def _gated(parts: Iterator[tuple[str, Columns]], gate: GateAgain) -> Iterator[tuple[str, Columns]]:
    """The rows that the gate lets pass; what stood before a part is told by the one that comes after it."""
    waiting: dict[str, Columns] = {}
    for name, part in parts:
        if not part.rows:
            continue
        if name in waiting:
            yield name, _passed(waiting[name], gate, Standing(float(part.bid_price[-1]), float(part.ask_price[-1])))
        waiting[name] = part
    for name, part in waiting.items():
        yield name, _passed(part, gate, None)


def _passed(columns: Columns, gate: GateAgain, before: Standing | None) -> Columns:
    return chosen(columns, gate(columns, before))


def _gaps(store: SegmentStore, wanted: Wanted, name: str) -> list[KnownGap]:
    """What was missed in the span, by start, and ended in it."""
    rows = store.rows(Channel.GAPS, name, wanted.start_ns, wanted.stop_ns + 1).to_pylist()
    told = (
        KnownGap(row["start_ns"], row["stop_ns"], row["reason"]) for row in rows if row["channel"] == wanted.channel
    )
    return sorted(told)
