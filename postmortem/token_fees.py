"""What a fee in a venue's own token is worth: what the fee schedule of that moment charged for its trade.

The token's own price is not asked for: a venue converts by its own, and takes notional times rate, less the discount
that it gives for paying so. It is what limits and log count with as well (`bot/execution/in_quote.py`).
"""

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Any

from pydantic import ValidationError

from bot.domain.fees import FeeSchedule, is_own_asset
from postmortem.bodies import FillBody
from postmortem.exact import exact

TokenFee = Callable[[FillBody], Decimal | None]
"""Quote units of the fill's instrument; None where it was taken in base or quote, or nothing tells."""


def token_fees(recorded: Mapping[str, Any]) -> TokenFee:
    """How to value token fees: as their fills say; where one does not, by what its run recorded at its start, by feed.

    A fill that an earlier version wrote down does not say, nor one that was found after a restart.
    """
    schedules: dict[str, FeeSchedule | None] = {}

    def schedule_of(feed: str) -> FeeSchedule | None:
        if feed not in schedules:
            try:
                schedules[feed] = FeeSchedule.model_validate(recorded.get(feed))
            except ValidationError:  # a run that recorded none, or less than a schedule
                schedules[feed] = None
        return schedules[feed]

    def worth(fill: FillBody) -> Decimal | None:
        if not fill.fee or is_own_asset(fill.instrument, fill.fee_asset):
            return None
        charged_bps, schedule = fill.charged_bps, schedule_of(str(fill.instrument.feed))
        if charged_bps is None and schedule is not None:
            charged_bps = schedule.charged_bps(is_maker=fill.is_maker)
        if charged_bps is None:
            return None
        with exact():
            return (fill.notional * charged_bps).scaleb(-4)

    return worth


def without_fees(amounts: Mapping[str, Decimal], fills: Iterable[FillBody]) -> dict[str, Decimal]:
    """`amounts` by asset less what the fees of these fills did to them: what no figure in quote units holds."""
    left = dict(amounts)
    with exact():
        for fill in fills:
            if fill.fee_asset in left:
                left[fill.fee_asset] += fill.fee
    return {asset: amount for asset, amount in left.items() if amount}
