"""What a trade costs now: the one place that every part of a desk asks, while a run goes on."""

from collections.abc import Mapping

from bot.domain.fees import FeeSchedule, is_own_asset
from bot.domain.instrument import Feed, Instrument
from bot.domain.order import Fill
from bot.engine.slot import InstrumentSlot


class PresentFees:
    """Fees of one engine's instruments, read where they stand at every call. Implements `bot.domain.fees.FeesOf`.

    A tier that changes during a run is seen by whoever asks next; nothing is copied, and a quote asks nothing.
    """

    def __init__(self, slots: Mapping[str, InstrumentSlot], told: Mapping[Feed, FeeSchedule]) -> None:
        """Read `slots` (by instrument id), which routes are priced with, and `told` where a slot has none.

        Args:
            slots: Without fees while what was told is too old, or makes no sense: nothing new is opened then.
            told: The last that was told of each feed, however old: what is open is valued and evened all the same.
        """
        self._slots = slots
        self._told = told

    def __call__(self, instrument: Instrument) -> FeeSchedule | None:
        """What a trade on it costs; None where nobody ever told."""
        slot = self._slots.get(instrument.id)
        return self._told.get(instrument.feed) if slot is None or slot.fees is None else slot.fees

    def charged(self, fill: Fill) -> Fill:
        """A fill as it was told; with what its fee is worth by the fees of now where that is in a venue's token.

        A token's fee is counted for what the venue charged for the trade, and the tier may be another one tomorrow.
        """
        if not fill.fee or is_own_asset(fill.instrument, fill.fee_asset):
            return fill
        schedule = self(fill.instrument)
        if schedule is None:
            return fill
        return fill.model_copy(update={"charged_bps": schedule.charged_bps(is_maker=fill.is_maker)})

    def taker_bps(self, instrument: Instrument) -> float:
        """What taking costs on it, bps of notional, discounts taken off; 0 where nobody ever told."""
        schedule = self(instrument)
        return 0.0 if schedule is None else float(schedule.charged_bps(is_maker=False))
