"""Networks that nobody has told, for a person before the first decision: why routes with a transfer are refused."""

from collections.abc import Iterable

from bot.domain.legs import TransferLeg
from bot.domain.route import Route
from bot.ports import RouteTerms

_WHY = {"recorded": "a recording holds none"}
_ACCOUNTS = "venues tell them to accounts alone; with keys and --shadow they are known (docs/actions.md)"


def networks_untold(routes: Iterable[Route], terms: RouteTerms, market: str) -> list[str]:
    """One line where some route of a run needs a network that nothing is known of; none where all are known.

    A network that is closed is known: its route says so itself.
    """
    sending, returning, ends = 0, 0, set[str]()
    for route in routes:
        legs = [leg for leg in route.legs if isinstance(leg, TransferLeg) and _is_untold(leg, terms)]
        ends |= {venue for leg in legs for venue in (leg.from_venue, leg.to_venue)}
        sending += any(not leg.deferred for leg in legs)
        returning += bool(legs) and all(leg.deferred for leg in legs)
    if not ends:
        return []
    words = [f"{sending} routes that send an amount are refused"] if sending else []
    if returning:
        words.append(f"{returning} that bring stocks back are refused, unless arbitrage.assumed_rebalancing_bps is set")
    why = _WHY.get(market, _ACCOUNTS)
    return [f"networks between {', '.join(sorted(ends))} are not known: {'; '.join(words)}. Why: {why}"]


def _is_untold(leg: TransferLeg, terms: RouteTerms) -> bool:
    return terms.transfer(leg) is None and terms.closed(leg) is None
