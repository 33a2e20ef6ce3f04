"""Leaves pairs before a venue liquidates one of their legs."""

from collections.abc import Callable
from math import isnan

from bot.engine.margins import Margins


class MarginGuard:
    """Watches how far every wallet with positions is from its liquidation.

    Not its margin ratio: at half a percent of maintenance margin a ratio of 0.8 is 13 bps of price away from 1. A
    distance that cannot be told closes nothing: the limits refuse what is new, and closing at a price for a figure that
    is broken may cost more than the venue would.
    """

    def __init__(self, margins: Margins, close_bps: float, event: Callable[[str, str], None]) -> None:
        """Pairs of a wallet nearer than `close_bps` are closed; `event` takes a level and a line."""
        self._margins = margins
        self._close_bps = close_bps
        self._event = event
        self._told: dict[str, str] = {}

    def endangered(self) -> frozenset[str]:
        """Ids of instruments with a position in a wallet that is near its liquidation."""
        if self._margins.is_flat():
            self._told.clear()
            return frozenset()
        found: set[str] = set()
        for wallet in self._margins.now():
            held = self._margins.held_in(wallet.wallet)
            if held and wallet.distance_bps < self._close_bps:
                found |= held
                self._tell(wallet.wallet, f"{wallet.distance_bps:.0f} bps from its liquidation, its pairs are closed")
            elif held and isnan(wallet.distance_bps):
                self._tell(wallet.wallet, "how its margin stands cannot be told, nothing new is opened there")
            else:
                self._told.pop(wallet.wallet, None)
        return frozenset(found)

    def _tell(self, wallet: str, what: str) -> None:
        """Once, as long as it is the same trouble."""
        trouble = what.rpartition(" ")[2]
        if self._told.get(wallet) != trouble:
            self._event("error", f"{wallet}: {what}")
        self._told[wallet] = trouble
