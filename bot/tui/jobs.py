"""Panel 6: the jobs of the timetable, and the way to MongoDB."""

from bot.domain.snapshot import JobRow, ShipperRow, ShipperSourceRow, UpkeepStatus
from bot.tui.table import Cell, Column, LiveTable, Row
from bot.tui.words import MISSING, count, seconds, time_of_day

_STATES = {
    "ok": Cell("● ok", "good"),
    "running": Cell("◆ running", "accent"),
    "waiting": Cell("○ waiting", "dim"),
    "stopped": Cell("○ stopped", "dim"),
    "starting": Cell("○ starting", "accent"),
    "connected": Cell("● connected", "good"),
    "failed": Cell("■ failed", "bad"),
    "refused": Cell("■ refused", "bad"),
    "away": Cell("▲ away", "warn"),
}
_NOTHING = Cell(MISSING, "dim")


class Jobs(LiveTable):
    """When each job ran, how long it took, what it missed and when it is due; how far MongoDB is behind."""

    NAME = "6 Jobs"
    EMPTY = "no jobs on this market"
    COLUMNS = (
        Column("Job"),
        Column("State"),
        Column("Last, UTC", right=True),
        Column("Took", right=True, rank=1),
        Column("Failed", right=True, rank=3),
        Column("Missed", right=True),
        Column("Next, UTC", right=True, rank=2),
        Column("Did", stretch=8, rank=4),
    )

    def show_upkeep(self, upkeep: UpkeepStatus) -> None:
        """MongoDB first, where there is one: what waits there is lost with this machine's disk."""
        shipper = [] if upkeep.shipper is None else _shipper_rows(upkeep.shipper)
        self.show([*shipper, *(_row(job) for job in upkeep.jobs)])


def troubles(upkeep: UpkeepStatus) -> list[str]:
    """What a person should see whatever panel is shown, in a few words each."""
    shipper = upkeep.shipper
    told = [f"JOB {job.name.upper()} FAILED" for job in upkeep.jobs if job.state == "failed"]
    if shipper is not None and shipper.state in {"away", "refused", "failed"}:
        told.append(f"MONGODB {shipper.state.upper()}, {seconds(shipper.lag_s)} BEHIND")
    return told


def _row(job: JobRow) -> Row:
    return (
        Cell(job.name, "strong"),
        _STATES.get(job.state, Cell(job.state)),
        _NOTHING if job.last_ns is None else Cell(time_of_day(job.last_ns)),
        _NOTHING if job.took_s is None else Cell(seconds(job.took_s)),
        _trouble(job.failures),
        _trouble(job.missed),
        _NOTHING if job.next_ns is None else Cell(time_of_day(job.next_ns)),
        Cell(job.detail, "warn" if job.state == "failed" else ""),
    )


def _shipper_rows(shipper: ShipperRow) -> list[Row]:
    return [_source_row(shipper, source) for source in shipper.sources]


def _source_row(shipper: ShipperRow, source: ShipperSourceRow) -> Row:
    told = " · ".join(
        text for text in (f"{count(source.rows_waiting)} rows wait", source.message or shipper.message) if text
    )
    return (
        Cell(f"MongoDB {source.name}", "strong"),
        _STATES.get(shipper.state, Cell(shipper.state)),
        Cell(f"{seconds(source.lag_s)} behind", "" if shipper.state == "connected" else "warn"),
        _NOTHING,
        _trouble(source.aside),
        _trouble(source.rows_missing),
        _NOTHING,
        Cell(told),
    )


def _trouble(value: int) -> Cell:
    return Cell(count(value), "warn" if value else "dim")
