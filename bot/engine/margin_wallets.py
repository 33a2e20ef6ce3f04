"""A margin wallet as its venue tells it: cash, positions, and what the venue says of them."""

from collections.abc import Mapping, Sequence
from math import inf
from typing import NamedTuple

from bot.domain.account import Position
from bot.domain.instrument import Instrument, Segment
from bot.domain.margin import WalletMargin
from bot.risk.margin import MarginPosition

_NAN = float("nan")


class HeldPosition(NamedTuple):
    """A position in floats; quantity signed, in contracts times multiplier."""

    instrument: Instrument
    quantity: float
    average_price: float
    maintenance: float | None
    """The venue's figure; None where it told none."""
    mark_price: float
    liquidation_price: float | None

    def told(self) -> MarginPosition:
        """As the venue counted it."""
        return valued(self, self.mark_price)

    def distance_bps(self, price: float) -> float:
        """From `price` to the venue's liquidation price; 0 beyond it, infinite where there is none."""
        if self.liquidation_price is None:
            return inf
        away = self.liquidation_price / price - 1.0
        return max(0.0, away if self.quantity < 0 else -away) * 1e4


class MarginWallet(NamedTuple):
    """One settle asset of one wallet, and what it carries."""

    name: str
    venue: str
    cash: float
    """With which equity at prices now is cash + Σ unrealised."""
    beside: float
    """Maintenance margin of what is not in `held`."""
    held: tuple[HeldPosition, ...]
    is_broken: bool
    """A figure that the venue told is none: nothing is known of the wallet."""


def as_told(cash: float, held: Sequence[HeldPosition], told: WalletMargin | None) -> tuple[float, float]:
    """Cash, and maintenance of what is not in `held`, with which the sums at the venue's marks are the venue's."""
    if told is None or any(one.maintenance is None for one in held):
        return cash, 0.0
    unrealised = sum(one.told().unrealised for one in held)
    known = sum(one.maintenance for one in held if one.maintenance is not None)
    return float(told.equity) - unrealised, max(0.0, float(told.maintenance) - known)


def wallet_name(instrument: Instrument, known: Mapping[str, object]) -> str | None:
    """A feed's own wallet, or the venue's only one that is not a feed's; None where that is not clear."""
    feed = str(instrument.feed)
    if feed in known:
        return feed
    segments = {f"{instrument.venue}.{segment}" for segment in Segment}
    shared = [name for name in known if name.partition(".")[0] == instrument.venue and name not in segments]
    return shared[0] if len(shared) == 1 else None


def held_position(position: Position) -> HeldPosition:
    """A position with the venue's figures, where all of them are usable."""
    quantity = float(position.quantity * position.instrument.contract_multiplier)
    told = position.margin
    if told is None or not told.is_usable:
        return HeldPosition(position.instrument, quantity, float(position.average_price), None, _NAN, None)
    liquidation = told.liquidation_price
    return HeldPosition(
        position.instrument,
        quantity,
        float(position.average_price),
        float(told.maintenance),
        float(told.mark_price),
        None if liquidation is None else float(liquidation),
    )


def valued(held: HeldPosition, price: float) -> MarginPosition:
    """In the settle asset: quote units for a linear contract, base units for an inverse one."""
    instrument = held.instrument
    if instrument.segment is Segment.INVERSE:
        value = held.quantity / price
        profit = (held.quantity / held.average_price - value) if held.average_price else 0.0
        return MarginPosition(instrument.id, instrument.base, value, profit, is_inverse=True)
    profit = held.quantity * (price - held.average_price)
    return MarginPosition(instrument.id, instrument.base, held.quantity * price, profit)
