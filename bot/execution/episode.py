"""One time of a pair's being uneven: how long, how much, and what getting even cost."""

from dataclasses import dataclass, field
from decimal import Decimal
from enum import IntEnum
from typing import Any

from bot.clock import Timer

_NOTHING = Decimal(0)


class Stage(IntEnum):
    """How far the budget of an episode is used up."""

    CALM = 0
    ALARMED = 1
    ACTING = 2
    """Nothing is waited for any more."""
    HALTED = 3


@dataclass(slots=True)
class Episode:
    """From the first moment of being uneven, or of not being known to be even, to the last."""

    since_ns: int
    """Monotonic."""
    ts_ns: int
    """The same moment, UTC ns."""
    stage: Stage = Stage.CALM
    quantity: Decimal = _NOTHING
    """The most that was, or may have been, unhedged; absolute base units."""
    notional: Decimal = _NOTHING
    """The same in quote units, at the opening price of the leg ahead."""
    loss: Decimal = _NOTHING
    """What the trades that evened it cost beyond what had been planned, quote units; below zero is a gain. A fee in the
    venue's token is worth what the schedule charges for its trade."""
    apart: dict[str, Decimal] = field(default_factory=dict)
    """Fees of those trades in assets that nothing told the worth of, by asset: in no figure here."""
    traded: Decimal = _NOTHING
    """Quote units that those trades came to."""
    until_ns: int | None = None
    """Monotonic; None while it lasts."""
    timer: Timer | None = None
    """Of its next deadline."""

    def seconds(self, now_ns: int) -> float:
        """How long it lasts, or lasted."""
        return ((now_ns if self.until_ns is None else self.until_ns) - self.since_ns) / 1e9

    def keep_apart(self, asset: str, fee: Decimal) -> None:
        """A fee that cannot be counted in quote units."""
        self.apart[asset] = self.apart.get(asset, _NOTHING) + fee

    @property
    def loss_bps(self) -> float | None:
        """The loss in bps of what was traded; None where nothing was."""
        return float(self.loss / self.traded) * 1e4 if self.traded else None

    def record(self) -> dict[str, Any]:
        """It as the journal keeps it; `seconds` is None while it lasts."""
        return {
            "ts_ns": self.ts_ns,
            "seconds": None if self.until_ns is None else self.seconds(self.until_ns),
            "quantity": str(self.quantity),
            "notional": str(self.notional),
            "loss": str(self.loss),
            "loss_bps": self.loss_bps,
            "fees_apart": {asset: str(fee) for asset, fee in self.apart.items()},
            "stage": self.stage.name.lower(),
        }
