"""What a route is made of: trades, transfers, and time that passes while something is held."""

from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from bot.domain.instrument import Instrument
from bot.domain.order import Side


class Liquidity(StrEnum):
    """How an order meets the book."""

    TAKER = "taker"
    """At once, at the other side's price."""
    MAKER = "maker"
    """Post-only at its own side's price; somebody has to come."""


class TradeLeg(BaseModel):
    """Buy or sell one instrument."""

    model_config = ConfigDict(frozen=True)

    type: Literal["trade"] = "trade"
    instrument: Instrument
    side: Side
    liquidity: Liquidity = Liquidity.TAKER

    @property
    def is_maker(self) -> bool:
        """Whether it waits for somebody to come."""
        return self.liquidity is Liquidity.MAKER

    @property
    def spends(self) -> str:
        """The asset that a spot trade gives away."""
        return self.instrument.quote if self.side is Side.BUY else self.instrument.base

    @property
    def brings(self) -> str:
        """The asset that a spot trade gets."""
        return self.instrument.base if self.side is Side.BUY else self.instrument.quote


class HoldLeg(BaseModel):
    """Keep what the legs before it opened; funding is paid or earned meanwhile."""

    model_config = ConfigDict(frozen=True)

    type: Literal["hold"] = "hold"
    expected_s: float = Field(gt=0, allow_inf_nan=False)
    """The mean of a time that is not known beforehand."""


class TransferLeg(BaseModel):
    """Move an asset from one venue to another."""

    model_config = ConfigDict(frozen=True)

    type: Literal["transfer"] = "transfer"
    asset: str
    from_venue: str
    to_venue: str
    network: str | None = None
    """Canonical id of the network; None: the cheapest that is open when the time comes."""
    deferred: bool = False
    """Made later, for many trades at once: it carries back what they left at the wrong venue."""


Leg = TradeLeg | HoldLeg | TransferLeg
