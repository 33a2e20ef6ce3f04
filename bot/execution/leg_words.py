"""A leg of a route as short as the journal tells it."""

from bot.domain.legs import HoldLeg, Leg, TradeLeg


def words(leg: Leg) -> list[str | float | bool | None]:
    """Its kind, then what it is made of; instruments by their ids, which other records spell out."""
    if isinstance(leg, TradeLeg):
        return ["trade", leg.instrument.id, leg.side.value, leg.liquidity.value]
    if isinstance(leg, HoldLeg):
        return ["hold", leg.expected_s]
    return ["transfer", leg.asset, leg.from_venue, leg.to_venue, leg.network, leg.deferred]
