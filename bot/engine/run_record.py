"""What the journal says of a run itself: when it began and with what, and what it came to."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from bot.clock import SystemClock
from bot.domain.fees import FeeSchedule
from bot.domain.instrument import Feed, Instrument
from bot.engine.engine import RunInfo
from bot.engine.slot import InstrumentSlot


def beginning(
    info: RunInfo,
    accounts: Mapping[str, str] | None,
    instruments: Sequence[Instrument],
    fees: Mapping[Feed, FeeSchedule],
    funding: Mapping[Feed, float],
) -> dict[str, Any]:
    """The body of a run's first record.

    Args:
        info: Names it.
        accounts: Venue -> whose money is traded with; None: what is held ends with the run.
        instruments: Traded in it.
        fees: Of each feed.
        funding: Assumed where nothing tells a rate, bps per 8 h.
    """
    return {
        "run_id": info.run_id,
        "strategy": info.strategy,
        "market": info.market,
        "real_money": info.real_money,
        "settings_digest": info.settings_digest,
        "version": info.version,
        "accounts": None if accounts is None else dict(accounts),
        "started_ns": SystemClock().now_ns(),
        "instruments": [instrument.model_dump(mode="json") for instrument in instruments],
        "fees": {str(feed): schedule.model_dump(mode="json") for feed, schedule in fees.items()},
        "funding_assumed": {str(feed): bps for feed, bps in funding.items()},
    }


def end(summary: Mapping[str, Any], slots: Iterable[InstrumentSlot], now_ns: int, *, complete: bool) -> dict[str, Any]:
    """The body of a run's last record: `marks` are the mids by instrument id, where there is a quote (UTC `now_ns`)."""
    marks = {slot.instrument.id: last.mid for slot in slots if (last := slot.newest(now_ns)) is not None}
    return {"finished_ns": SystemClock().now_ns(), "complete": complete, "summary": summary, "marks": marks}
