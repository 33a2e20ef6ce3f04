"""Fees that are not what they were during a run: told and written down once, and what is held is measured by them.

A tier moves with the volume of thirty days, an account begins to pay in a venue's token, a promotion ends. What opens
or values anything asks for the fees of now (`PresentFees`); what was fixed when a pair was opened is set right here.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from bot.domain.fees import FeeSchedule
from bot.domain.instrument import Instrument
from bot.engine.route_state import RouteState
from bot.engine.slot import InstrumentSlot

Event = Callable[[str, str, Mapping[str, Any]], None]
_NAMED = 3


class FeeChanges:
    """Compares the fees of one engine's slots with what they were when it looked last."""

    def __init__(self, slots: Sequence[InstrumentSlot], event: Event) -> None:
        """Nothing is told before the first `look`.

        Args:
            slots: Of the engine; their fees are those of their feeds, as the run began, and the routes on them.
            event: Takes a level, a line, and what else is written down with it.
        """
        self._slots = slots
        self._event = event
        self._last = {slot.instrument.id: slot.fees for slot in slots if slot.fees is not None}
        self._has_looked = False

    def look(self) -> None:
        """Tell what has changed; the first time, which instruments are charged otherwise than the others of their feed.

        Fees that are not known for a while, and come back as they were, have not changed.
        """
        told: dict[tuple[str, str], list[Instrument]] = {}
        found: dict[str, FeeSchedule] = {}
        for slot in self._slots:
            instrument, now = slot.instrument, slot.fees
            before = self._last.get(instrument.id)
            if now is None or now is before:
                continue
            self._last[instrument.id] = now
            if before is not None and _charge(before) == _charge(now):
                continue
            found[instrument.id] = now
            if before is not None and self._has_looked:
                _measure_anew(slot.routes, instrument, before, now)
            were = f"; they were {_rates(before)}" if before is not None and self._has_looked else ""
            told.setdefault((str(instrument.feed), f"{_rates(now)} ({now.words}){were}"), []).append(instrument)
        for (feed, words), instruments in told.items():
            fees = {one.id: found[one.id].model_dump(mode="json") for one in instruments}
            self._event("info", f"{self._names(feed, instruments)}: fees are {words}", {"fees": fees})
        self._has_looked = True

    def _names(self, feed: str, instruments: Sequence[Instrument]) -> str:
        if len(instruments) == sum(str(slot.instrument.feed) == feed for slot in self._slots):
            return feed
        names = [one.id for one in instruments]
        more = len(names) - _NAMED
        return ", ".join(names[:_NAMED]) + (f" and {more} more of {feed}" if more > 0 else "")


def _charge(fees: FeeSchedule) -> tuple[object, ...]:
    """What of a schedule costs money: not who told it, nor when."""
    return fees.maker_bps, fees.taker_bps, fees.token, fees.token_discount


def _rates(fees: FeeSchedule) -> str:
    token = f" less {100 * float(fees.token_discount):g} % in {fees.token}" if fees.token else ""
    return f"taker {fees.taker_bps} bps, maker {fees.maker_bps} bps{token}"


def _measure_anew(routes: Iterable[RouteState], instrument: Instrument, before: FeeSchedule, now: FeeSchedule) -> None:
    """Closing a pair will cost other fees than was expected when it was opened: its loss is measured by those."""
    for state in routes:
        if state.holding is None:
            continue
        closing = [leg for leg in state.route.closing if leg.instrument.id == instrument.id]
        change = sum(
            now.charged_bps(is_maker=leg.is_maker) - before.charged_bps(is_maker=leg.is_maker) for leg in closing
        )
        state.holding = replace(state.holding, fees_bps=state.holding.fees_bps + float(change))
