"""What other markets say about an asset and about the currencies that it is paid in."""

from collections.abc import Sequence

from bot.domain.instrument import Instrument, Segment
from bot.engine.slot import InstrumentSlot


class Prices:
    """Reads the newest quotes of a run's instruments; who is compared with whom is found out once."""

    def __init__(self, slots: Sequence[InstrumentSlot]) -> None:
        self._others = {
            slot.instrument.id: tuple(other for other in slots if _is_comparable(slot, other)) for slot in slots
        }
        self._others_by_identity = {id(slot.instrument): self._others[slot.instrument.id] for slot in slots}
        self._rates = {
            (slot.instrument.base, slot.instrument.quote): slot
            for slot in reversed(slots)
            if slot.instrument.segment is Segment.SPOT
        }
        self._assets = {asset for pair in self._rates for asset in pair}
        self._between: dict[tuple[str, str], tuple[str, ...]] = {}

    def other_mids(self, instrument: Instrument) -> Sequence[float]:
        """Mids now of all other instruments with its base and quote currency; those without a quote are left out."""
        others = self._others_by_identity.get(id(instrument))
        if others is None:
            others = self._others.get(instrument.id, ())
        return [slot.quote.mid for slot in others if slot.quote is not None]

    def currency_rate(self, currency: str, other: str) -> float | None:
        """Price of one unit of `currency` in `other`, directly or by one currency between; None where none is quoted.

        A market that was quoted and is not now counts with its rolling mean: a refused quote hides no depeg.
        """
        if currency == other:
            return 1.0
        if currency not in self._assets or other not in self._assets:
            return None
        direct = self._direct(currency, other)
        if direct is not None:
            return direct
        for between in self._ways(currency, other):
            first, second = self._direct(currency, between), self._direct(between, other)
            if first is not None and second is not None:
                return first * second
        return None

    def _ways(self, currency: str, other: str) -> tuple[str, ...]:
        key = (currency, other)
        if key not in self._between:
            near, far = self._partners(currency), self._partners(other)
            self._between[key] = tuple(asset for asset in near if asset in far)
        return self._between[key]

    def _partners(self, currency: str) -> list[str]:
        return [quote if base == currency else base for base, quote in self._rates if currency in (base, quote)]

    def _direct(self, currency: str, other: str) -> float | None:
        price = _price(self._rates.get((currency, other)))
        if price is not None:
            return price
        inverse = _price(self._rates.get((other, currency)))
        return None if inverse is None else 1.0 / inverse


def _price(slot: InstrumentSlot | None) -> float | None:
    if slot is None:
        return None
    return slot.statistics.mean_mid if slot.quote is None else slot.quote.mid


def _is_comparable(slot: InstrumentSlot, other: InstrumentSlot) -> bool:
    one, two = slot.instrument, other.instrument
    return one.id != two.id and (one.base, one.quote) == (two.base, two.quote)
