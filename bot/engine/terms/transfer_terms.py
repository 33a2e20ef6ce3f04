"""How money moves between venues: which networks lead from one to the other, how long they take and what they cost.

Implements `bot.ports.RouteTerms`. Answers are kept until the venues are asked again: a time's quantiles cost
milliseconds, and routes ask every second.
"""

from decimal import Decimal
from math import inf

from bot.domain.legs import TransferLeg
from bot.domain.network import NetworkMatch, NetworkRefusal, ways
from bot.engine.terms.known import Terms
from bot.ports import TransferEstimate
from bot.pricing.transfers import TransferTime, sendable, transfer_time
from bot.settings.terms import TermsSettings
from bot.text import clip, inert

_LONGEST = 300
"""Characters of a reason: a venue may have a dozen networks for an asset."""


class TransferTerms:
    """Ways for assets between venues."""

    def __init__(self, terms: Terms, settings: TermsSettings) -> None:
        """Rest on what `terms` knows; times beside the chains are those of `settings`."""
        self._terms = terms
        self._settings = settings
        self._times: dict[tuple[str, str, str, int], TransferTime] = {}
        self._of_ns: int | None = None

    def transfer(self, leg: TransferLeg) -> TransferEstimate | None:
        """Of this transfer, by the network that the leg names or the cheapest; None: not known, or closed at an end."""
        found, _ = self.ways(leg.asset, leg.from_venue, leg.to_venue)
        for way in found:
            if leg.network in (None, way.chain.id):
                time = self.time(way)
                least, most = sendable(way.source, way.target)
                return TransferEstimate(
                    mean_s=time.mean_s,
                    p95_s=time.p95_s,
                    fee=float(way.source.fee(Decimal(0))),
                    fee_ratio=float(way.source.withdraw_fee_ratio),
                    network=way.chain.id,
                    least=float(least),
                    most=None if most is None else float(most),
                    step=0.0 if way.source.step is None else float(way.source.step),
                )
        return None

    def closed(self, leg: TransferLeg) -> str | None:
        """Which networks are closed, at which end and why; None where one is open, or an end has not told its own."""
        told = [self._terms.networks(venue, leg.asset) for venue in (leg.from_venue, leg.to_venue)]
        found, refused = ways(leg.asset, *told)
        if not all(told) or any(leg.network in (None, way.chain.id) for way in found):
            return None
        reasons = [f"{one.network}: {one.reason}" for one in refused if leg.network in (None, one.network)]
        if not reasons:
            reasons = [f"{leg.network or 'any network'}: {leg.from_venue} does not offer it"]
        return clip(inert("; ".join(dict.fromkeys(reasons))), _LONGEST)

    def ways(self, asset: str, source: str, target: str) -> tuple[tuple[NetworkMatch, ...], tuple[NetworkRefusal, ...]]:
        """Every way for an asset from one venue to another now, cheapest first, and why others are none."""
        return ways(asset, self._terms.networks(source, asset), self._terms.networks(target, asset))

    def time(self, way: NetworkMatch) -> TransferTime:
        """How long it takes, by the model and by what this account has seen."""
        if self._of_ns != self._terms.asked_ns:
            self._times.clear()
            self._of_ns = self._terms.asked_ns
        confirmations = way.target.confirmations
        assert confirmations is not None, "a network that takes deposits says after how many blocks"
        key = (way.chain.id, way.source.venue, way.target.venue, confirmations)
        if key not in self._times:
            self._times[key] = transfer_time(
                way.chain,
                confirmations,
                self._settings.transfer_processing_s,
                self._terms.past.seconds(*key[:3]),
                self._settings.transfer_model_weight,
            )
        return self._times[key]

    def top_up_s(self, venue: str, asset: str, others: frozenset[str]) -> float | None:
        """Seconds in which an asset from one of `others` is at `venue`, in 19 of 20 cases.

        Infinite where it cannot come: every network is closed. None where a venue has not told its networks.
        """
        sources = others - {venue}
        times = [self.time(way).p95_s for other in sources for way in self.ways(asset, other, venue)[0]]
        if times:
            return min(times)
        is_told = bool(sources) and all(self._terms.networks(one, asset) for one in (venue, *sources))
        return inf if is_told else None
