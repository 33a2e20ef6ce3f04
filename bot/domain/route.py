"""A route is a list of legs: the one idea of the bot.

Each leg is a trade on one instrument or a holding period; pricing, risk, execution and post-mortem read the legs
and never ask which kind of arbitrage it is.
"""

from decimal import Decimal
from enum import StrEnum
from functools import cached_property
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from bot.domain.instrument import Instrument
from bot.domain.order import Side


class TradeLeg(BaseModel):
    """Buy or sell one instrument."""

    model_config = ConfigDict(frozen=True)

    type: Literal["trade"] = "trade"
    instrument: Instrument
    side: Side


class HoldLeg(BaseModel):
    """Keep what the legs before it opened; funding is paid or earned meanwhile."""

    model_config = ConfigDict(frozen=True)

    type: Literal["hold"] = "hold"
    expected_s: float = Field(gt=0, allow_inf_nan=False)


Leg = TradeLeg | HoldLeg


class Route(BaseModel):
    """Trades that open, a holding period, and the mirrored trades that close."""

    model_config = ConfigDict(frozen=True)

    kind: str
    """What a person calls it: `convergence`, `cash_and_carry`. For words on the screen only."""
    legs: tuple[Leg, ...]

    @cached_property
    def id(self) -> str:
        """`kind:buy>sell`, for example `convergence:binance:BTC/USDT:USDT>bybit:BTC/USDT:USDT`."""
        return f"{self.kind}:{self.buy.id}>{self.sell.id}"

    @cached_property
    def opening(self) -> tuple[TradeLeg, ...]:
        """The trades before the holding period."""
        trades: list[TradeLeg] = []
        for leg in self.legs:
            if isinstance(leg, HoldLeg):
                break
            trades.append(leg)
        return tuple(trades)

    @cached_property
    def closing(self) -> tuple[TradeLeg, ...]:
        """The trades after the holding period."""
        trades = [leg for leg in self.legs if isinstance(leg, TradeLeg)]
        return tuple(trades[len(self.opening) :])

    @cached_property
    def buy(self) -> Instrument:
        """What the opening buys."""
        return next(leg.instrument for leg in self.opening if leg.side is Side.BUY)

    @cached_property
    def sell(self) -> Instrument:
        """What the opening sells."""
        return next(leg.instrument for leg in self.opening if leg.side is Side.SELL)

    @cached_property
    def fee_legs(self) -> tuple[tuple[str, bool], ...]:
        """Each trade as the name of its fee (`fee open buy binance.spot`), and whether it is on the bought side."""
        stages = (("open", self.opening), ("close", self.closing))
        return tuple(
            (f"fee {stage} {leg.side} {leg.instrument.feed}", leg.instrument.id == self.buy.id)
            for stage, legs in stages
            for leg in legs
        )

    @cached_property
    def hold_s(self) -> float:
        """Expected holding time, seconds; 0 for a route that holds nothing."""
        return sum(leg.expected_s for leg in self.legs if isinstance(leg, HoldLeg))


class Cost(BaseModel):
    """One named cost of a route, in bps of the buy notional; positive is bad, everywhere."""

    model_config = ConfigDict(frozen=True)

    name: str
    bps: float
    assumed: bool = False
    """True where the figure is a setting and not what the venue said."""


class Opportunity(BaseModel):
    """One route priced at one moment for one size. `net_edge_bps = gross_edge_bps − Σ costs`."""

    model_config = ConfigDict(frozen=True)

    route: Route
    ts_ns: int
    quantity: Decimal
    """Base units, on the coarser lot grid of the two sides; 0 when one side cannot take any size."""
    buy_price: float
    sell_price: float
    gross_edge_bps: float
    """Sell price over buy price, for the quantity."""
    costs: tuple[Cost, ...]
    net_edge_bps: float

    @property
    def needed_bps(self) -> float:
        """The gross edge at which it breaks even."""
        return sum(cost.bps for cost in self.costs)


class Outcome(StrEnum):
    """What was decided about a route."""

    TAKEN = "taken"
    REFUSED = "refused"
    CLOSED = "closed"


class Decision(BaseModel):
    """A route's outcome or reason changed. Kept for ever: the post-mortem explains from it."""

    model_config = ConfigDict(frozen=True)

    ts_ns: int
    route: str
    outcome: Outcome
    reason: str
    """The limit that refused, or why it was taken or closed."""
    observed: float | None = None
    allowed: float | None = None
    unit: str = ""
    """Of `observed` and `allowed`."""
    quantity: Decimal = Decimal(0)
    gross_bps: float | None
    """None where a side has no quote."""
    needed_bps: float | None
    """None where a cost is unknown."""
    net_bps: float | None

    def digest_line(self) -> str:
        """`ts_ns|route|outcome|reason|quantity|net_bps`: what the decision digest is made over.

        `net_bps` has six decimals, and is empty where the route had no price.
        """
        net = "" if self.net_bps is None else f"{self.net_bps:.6f}"
        return f"{self.ts_ns}|{self.route}|{self.outcome}|{self.reason}|{self.quantity}|{net}"
