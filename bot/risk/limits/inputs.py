"""What the limits look at, as Protocols: the engine answers them, and a test answers what it likes.

None means that the figure is not known, and a limit that needs it refuses.
"""

from collections.abc import Sequence
from typing import Protocol

from bot.domain.instrument import Feed, Instrument
from bot.domain.legs import TransferLeg
from bot.domain.market import TopOfBook
from bot.domain.order import Side
from bot.domain.route import Route, TradeLeg
from bot.ports import FeedState
from bot.risk.margin import MarginAfter
from bot.risk.proposed import Proposal


class MarketStatistics(Protocol):
    """Rolling statistics of one instrument."""

    @property
    def mean_mid(self) -> float | None:
        """Quote units; None while no time is covered."""

    @property
    def volatility_bps_per_sqrt_s(self) -> float | None:
        """Of the mid; None before the first return."""


class MarketState(Protocol):
    """One instrument's market now."""

    @property
    def quote(self) -> TopOfBook | None:
        """The newest quote; None while the quote gate has refused it, or there is none."""

    @property
    def recv_ns(self) -> int:
        """When it was received."""

    @property
    def statistics(self) -> MarketStatistics:
        """The last minutes."""

    def known_age_ns(self) -> int | None:
        """How old the quote was on arrival; None where nothing tells."""


class FeedCondition(Protocol):
    """How a feed has been lately."""

    @property
    def state(self) -> FeedState:
        """Of its connection."""

    @property
    def recent_reconnects(self) -> int:
        """In the last minute."""

    @property
    def recent_malformed(self) -> int:
        """Frames of the last minute that did not decode."""


class Portfolio(Protocol):
    """What is held, what is known and how things go, for the limits; notionals in quote units."""

    # Pairs

    def open_pairs(self) -> int:
        """Pairs that are not flat."""

    def busy(self, route: Route) -> bool:
        """Whether a pair on the route's two instruments, in either direction, is not flat."""

    def in_flight(self, instrument: Instrument) -> int:
        """Pairs that are being opened or closed on it: what they will take of its quote is not known yet."""

    # Holdings

    def position_notional(self, instrument: Instrument) -> float | None:
        """Of what open pairs hold of it, absolute."""

    def venue_notional(self, venue: str) -> float | None:
        """Of every leg that open pairs hold at a venue, absolute."""

    def asset_notional(self, base: str) -> float | None:
        """Of every leg that open pairs hold in an asset, both sides, absolute."""

    def net_exposure_notional(self, base: str) -> float | None:
        """The most of one asset that may stand unhedged, absolute: what is uneven, and what orders on their way
        may yet make so."""

    def affordable_notional(self, instrument: Instrument, side: Side, price: float) -> float | None:
        """What the wallet still covers on this side, less what pairs have reserved."""

    def is_one_purse(self, one: TradeLeg, other: TradeLeg) -> bool:
        """Whether both legs are paid from one asset in one wallet: what one takes the other has not."""

    def margin_after(self, proposal: Proposal) -> Sequence[MarginAfter] | None:
        """Every margin wallet that the proposal touches, once it is filled; none where it trades spot alone."""

    def top_up_s(self, venue: str) -> float | None:
        """How long a transfer takes (p95) that brings margin there; infinite where none can come, None where
        nothing tells."""

    # Chains

    def in_flight_notional(self) -> float | None:
        """Of every chain that is not home, by what left for it."""

    def transfers_under_way(self, venue: str, other: str) -> int | None:
        """Transfers of chains between two venues, either way, that nobody knows the end of."""

    def transfer_refused(self, leg: TransferLeg, amount: float) -> str | None:
        """Why this run would not send it, in words; None: it would."""

    # Results

    def realised_today(self, now_ns: int) -> float | None:
        """Profit since midnight UTC, in quote units; negative is a loss."""

    def realised_total(self) -> float | None:
        """Profit of the run."""

    def drift(self) -> tuple[float, int]:
        """How much less the newest pairs earned than expected, mean in bps, and how many pairs that rests on."""

    # Orders

    def orders_last_minute(self, now_ns: int) -> int | None:
        """Orders sent in the last 60 s."""

    def orders_last_second(self, now_ns: int) -> int | None:
        """Orders sent in the last second."""

    def rejects_last_minute(self, venue: str) -> int | None:
        """Orders that a venue rejected in the last 60 s."""

    def unresolved_orders(self, venue: str) -> int | None:
        """Orders at a venue whose outcome nobody knows."""

    # Market

    def market(self, instrument: Instrument) -> MarketState | None:
        """The instrument's market."""

    def other_mids(self, instrument: Instrument) -> Sequence[float]:
        """Mids now of all other instruments with its base and quote currency."""

    def edge_stood_s(self, route: Route, gross_bps: float) -> float | None:
        """How long the route's edge has been suspiciously large without a break; 0 when it is not."""

    def currency_rate(self, currency: str, other: str) -> float | None:
        """Price of one unit of `currency` in `other`, from spot markets that are watched."""

    def blocked(self, venue: str) -> str | None:
        """Why nothing new may be risked at a venue now, in words; None: it may."""

    def quarantined(self, instrument: Instrument) -> str | None:
        """What is there that is not ours, in words; None: nothing that is known of."""

    def listing(self, instrument: Instrument) -> Instrument:
        """The instrument as its venue lists it now: status and delivery date."""

    # Venues

    def feed(self, feed: Feed) -> FeedCondition | None:
        """How it has been lately."""

    def clock_uncertainty_ms(self, venue: str) -> float | None:
        """By how much the venue's clock may be off what is assumed; None where it was never measured."""
