"""Whether this run would send an amount now: a carrier that takes it, and a network that is open at both ends."""

from bot.domain.legs import TransferLeg
from bot.ports import RouteTerms
from bot.ports.transfers import Carrier, RefusesTransfers


class TransferWay:
    """What the gate asks about a chain's transfers."""

    def __init__(self, carrier: Carrier | None, terms: RouteTerms) -> None:
        """Without a carrier nothing is sent."""
        self._carrier = carrier
        self._terms = terms

    def __call__(self, leg: TransferLeg, amount: float) -> str | None:
        """Why `amount` (units of the asset) would not be sent, in words; None: it would."""
        if self._carrier is None:
            return "this run has no carrier for transfers"
        closed = self._terms.closed(leg)
        if closed is not None:
            return closed
        estimate = self._terms.transfer(leg)
        if estimate is None:
            return "its fee and time are not known"
        if not estimate.takes(amount):
            most = "" if estimate.most is None else f" and at most {estimate.most:g}"
            return f"at least {estimate.least:g}{most} {leg.asset} go at once, and not {amount:g}"
        return self._carrier.refuses(leg, amount) if isinstance(self._carrier, RefusesTransfers) else None
