"""A segment store in memory, for tests of what writes to one and reads from one."""

import threading
from collections.abc import Mapping, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from bot.domain.instrument import Instrument
from bot.errors import StorageError
from bot.storage.archive.channels import SCHEMAS, Channel
from bot.storage.archive.ports import SegmentInfo, Span


class MemoryStore:
    """Implements `SegmentStore`; refuses rows that its schema would not take, and on demand everything."""

    def __init__(self) -> None:
        self.tables: list[tuple[SegmentInfo, pa.Table]] = []
        self.known: dict[str, Instrument] = {}
        self.full: str | None = None
        """The words with which it refuses everything; None: it does not."""
        self.refused = threading.Event()
        self.threads: set[int] = set()
        self.told_unwritten: list[Span] = []

    def write(
        self,
        channel: Channel,
        scope: str,
        table: pa.Table,
        instruments: Mapping[str, Instrument],
        unwritten: Span | None = None,
    ) -> SegmentInfo | None:
        self.threads.add(threading.get_ident())
        if self.full is not None:
            self.refused.set()
            raise StorageError(self.full)
        assert table.schema.equals(SCHEMAS[channel]), table.schema
        table.validate(full=True)
        for field in table.schema:
            assert field.nullable or not table.column(field.name).null_count, field
        if not table.num_rows:
            return None
        self.known |= instruments
        times = pc.min_max(table.column("ts_recv_ns")).as_py()
        number = len(self.tables) + 1
        info = SegmentInfo(
            number, channel, scope, times["min"], times["max"] + 1, table.num_rows, table.nbytes, "", f"{number}"
        )
        self.tables.append((info, table))
        if unwritten is not None:
            self.told_unwritten.append(unwritten)
        return info

    def unwritten(self) -> Span | None:
        return self.told_unwritten[-1] if self.told_unwritten else None

    def segments(
        self,
        channel: Channel | None = None,
        *,
        after: int = 0,
        start_ns: int | None = None,
        stop_ns: int | None = None,
        written: bool = False,
    ) -> Sequence[SegmentInfo]:
        return [
            info
            for info, _ in self.tables
            if info.number > after
            and (channel is None or info.channel is channel)
            and (start_ns is None or info.stop_ns > start_ns)
            and (stop_ns is None or info.start_ns < stop_ns)
        ]

    def read(self, segment: SegmentInfo, columns: Sequence[str] | None = None) -> pa.Table:
        table = self.tables[segment.number - 1][1]
        return table if columns is None else table.select(list(columns))

    def table(self, channel: Channel) -> pa.Table:
        found = [table for info, table in self.tables if info.channel is channel]
        return pa.concat_tables(found) if found else SCHEMAS[channel].empty_table()

    def rows(
        self,
        channel: Channel,
        instrument: str,
        start_ns: int,
        stop_ns: int,
        columns: Sequence[str] | None = None,
    ) -> pa.Table:
        table = self._written(channel, instrument, start_ns, stop_ns)
        table = table.take(pa.array(table.column("ts_recv_ns").to_numpy().argsort(kind="stable")))
        return table if columns is None else table.select(list(columns))

    def _written(self, channel: Channel, instrument: str, start_ns: int, stop_ns: int) -> pa.Table:
        table = self.table(channel)
        times = table.column("ts_recv_ns")
        wanted = pc.and_(pc.greater_equal(times, start_ns), pc.less(times, stop_ns))
        return table.filter(pc.and_(wanted, pc.equal(table.column("instrument"), instrument)))

    def instrument(self, instrument_id: str) -> Instrument | None:
        return self.known.get(instrument_id)

    def instruments(self, channel: Channel) -> Sequence[str]:
        names: list[str] = self.table(channel).column("instrument").unique().to_pylist()
        return sorted(names)

    def newest(self, channel: Channel) -> dict[str, int]:
        rows = self.table(channel).sort_by("ts_recv_ns").select(["instrument", "ts_recv_ns"]).to_pylist()
        return {row["instrument"]: row["ts_recv_ns"] for row in rows}

    def of(self, channel: Channel, instrument: str) -> list[dict[str, object]]:
        """All rows of one instrument, in the order in which they were written."""
        rows: list[dict[str, object]] = self._written(channel, instrument, 0, 2**63 - 1).to_pylist()
        return rows
