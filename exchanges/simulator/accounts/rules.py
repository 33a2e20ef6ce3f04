"""What a simulated venue decides for all of its customers: wallets, fees, limits, margin, networks."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from functools import partial

from bot.domain.fees import FeeSchedule
from bot.domain.instrument import Feed, Segment
from bot.errors import SettingsError
from exchanges.binance.shipped import FEES as BINANCE_FEES
from exchanges.bybit.shipped import FEES as BYBIT_FEES
from exchanges.kraken.shipped import FEES as KRAKEN_FEES
from exchanges.simulator.accounts.networks import default_networks
from exchanges.simulator.core.values import Network

_CASH = {"USDT": Decimal(100_000)}
_FUNDED = {**_CASH, "BTC": Decimal(2), "ETH": Decimal(30)}
_BNB_TO_START = {"BNB": Decimal(10)}
LOWEST_TIER = "regular"
FEE_TIERS = (LOWEST_TIER, "vip1", "vip2", "vip3", "vip4", "vip5", "vip6", "supreme")
"""From the lowest; no venue has them all."""


@dataclass(frozen=True, slots=True)
class FeeToken:
    """The venue's own coin: fees are taken from it, cheaper, while there is enough of it."""

    asset: str
    prices: Mapping[str, Decimal]
    """By quote currency, of a coin. Fixed: the token itself is not traded in the simulation. What is paid in another
    currency pays no fee in the token."""
    discounts: Mapping[Segment, Decimal]
    """Share of the fee that is saved."""


BNB = FeeToken(
    "BNB",
    {"USDT": Decimal(600), "BTC": Decimal("0.0097")},
    {Segment.SPOT: Decimal("0.25"), Segment.LINEAR: Decimal("0.1")},
)
"""25 % off on spot, 10 % on USDⓈ-M (Binance's fee pages)."""


@dataclass(frozen=True, slots=True)
class PriceBand:
    """How far from the mark an order may buy and sell, as multiples of it; market orders stop there."""

    highest_buy: Decimal
    lowest_sell: Decimal
    lowest_buy: Decimal = Decimal(0)
    """Where a venue keeps out offers that are too good as well."""
    highest_sell: Decimal = Decimal("Infinity")


@dataclass(frozen=True, slots=True)
class VenueRules:
    """One venue's rules. Replace single fields with `dataclasses.replace`."""

    wallets: Mapping[Segment, str]
    """Which wallet trades what."""
    balances: Mapping[str, Mapping[str, Decimal]]
    """What a new account starts with: wallet -> asset -> amount. Every wallet of the venue is named."""
    funding_wallet: str
    """Where deposits arrive and withdrawals leave from."""
    fees: Mapping[Segment, FeeSchedule]
    bands: Mapping[Segment, PriceBand]
    max_open_orders: int
    """A listing."""
    default_leverage: int
    max_leverage: int
    maintenance_ratio: Decimal
    """Of the position's value at the mark."""
    records_post_only: frozenset[Segment]
    """Where a post-only order that would take is recorded and expires; elsewhere it is refused."""
    records_fill_or_kill: frozenset[Segment]
    """The same for a fill-or-kill order that the book does not hold."""
    client_ids_return: bool
    """Whether a client id may be used again when its order is final."""
    open_orders_reduce_first: bool = False
    """Whether what rests on the same side leaves a reduce-only limit order so much less to reduce; elsewhere it is cut
    to the position alone."""
    fee_token: FeeToken | None = None
    """None: the venue has none."""
    pays_in_token: bool = False
    """Whether a new customer pays fees in it, until he says otherwise."""
    fee_tier: str = "regular"
    """What `fees` are; one of `FEE_TIERS`."""
    fee_step: Decimal | None = None
    """What fees are rounded up to; None books them to the last digit."""
    fees_in_quote: bool = False
    """Whether a buyer pays in the quote as well; elsewhere he pays out of what he gets."""
    networks: Sequence[Network] = field(default_factory=default_networks)
    processing_s: float = 120.0
    """Mean time that the venue works on a withdrawal before it is on the chain; exponential."""

    @property
    def wallet_names(self) -> Sequence[str]:
        """All of them."""
        return tuple(self.balances)


def _least_after_fee() -> Sequence[Network]:
    # Binance's `withdrawMin` counts the fee, which is taken out of the amount; an account counts what arrives.
    return [replace(one, min_withdraw=one.min_withdraw - one.withdraw_fee) for one in default_networks()]


def _fees(venue: str, tier: str) -> Mapping[Segment, FeeSchedule]:
    published = BINANCE_FEES if venue == "binance" else BYBIT_FEES
    fees = {feed.segment: schedule for feed, schedule in published.items()}
    reached = tier_at(venue, tier)
    return fees if reached == LOWEST_TIER else fees | {Segment.LINEAR: linear_tier(venue, reached)}


def binance_rules(tier: str = "regular", *, fees_in_bnb: bool = False) -> VenueRules:
    """Binance: spot and USDⓈ-M wallets apart; with `fees_in_bnb` both start with some, and fees are paid in it.

    Raises:
        SettingsError: If there is no such tier.
    """
    bnb = _BNB_TO_START if fees_in_bnb else {}
    # PERCENT_PRICE of BTCUSDT: 5 % on USDⓈ-M; PERCENT_PRICE_BY_SIDE of spot lets 5 times and a fifth pass, both ways.
    return VenueRules(
        wallets={Segment.SPOT: "spot", Segment.LINEAR: "linear"},
        balances={"spot": {**_FUNDED, **bnb}, "linear": {**_CASH, **bnb}},
        funding_wallet="spot",
        fees=_fees("binance", tier),
        bands={
            Segment.SPOT: PriceBand(Decimal(5), Decimal("0.2"), Decimal("0.2"), Decimal(5)),
            Segment.LINEAR: PriceBand(Decimal("1.05"), Decimal("0.95")),
        },
        max_open_orders=200,
        default_leverage=20,
        max_leverage=125,
        maintenance_ratio=Decimal("0.004"),
        records_post_only=frozenset(),
        records_fill_or_kill=frozenset({Segment.SPOT}),
        client_ids_return=True,
        open_orders_reduce_first=True,
        fee_token=BNB,
        pays_in_token=fees_in_bnb,
        fee_tier=tier_at("binance", tier),
        fee_step=Decimal("1e-8"),
        networks=_least_after_fee(),
    )


def bybit_rules(tier: str = "regular") -> VenueRules:
    """Bybit: one unified trading wallet and a funding wallet that starts empty.

    Raises:
        SettingsError: If there is no such tier.
    """
    both = frozenset({Segment.SPOT, Segment.LINEAR})
    return VenueRules(
        wallets={Segment.SPOT: "unified", Segment.LINEAR: "unified"},
        balances={"unified": _FUNDED, "fund": {}},
        funding_wallet="fund",
        fees=_fees("bybit", tier),
        bands={
            Segment.SPOT: PriceBand(Decimal("1.05"), Decimal("0.95")),
            Segment.LINEAR: PriceBand(Decimal("1.02"), Decimal("0.98")),
        },
        max_open_orders=500,
        default_leverage=10,
        max_leverage=100,
        maintenance_ratio=Decimal("0.005"),
        records_post_only=both,
        records_fill_or_kill=both,
        client_ids_return=False,
        fee_tier=tier_at("bybit", tier),
    )


def kraken_rules(tier: str = "regular") -> VenueRules:
    """Kraken: one wallet, spot alone, fees in the quote as the bot's orders ask for (`fciq`).

    Raises:
        SettingsError: If there is no such tier.
    """
    return VenueRules(
        wallets={Segment.SPOT: "spot"},
        balances={"spot": _FUNDED},
        funding_wallet="spot",
        fees={Segment.SPOT: KRAKEN_FEES},
        bands={Segment.SPOT: PriceBand(Decimal("1.1"), Decimal("0.9"))},
        max_open_orders=60,
        default_leverage=1,
        max_leverage=1,
        maintenance_ratio=Decimal("0.01"),
        records_post_only=frozenset({Segment.SPOT}),
        records_fill_or_kill=frozenset({Segment.SPOT}),
        client_ids_return=True,
        fee_tier=tier_at("kraken", tier),
        fees_in_quote=True,
    )


def rules_of(venue: str, tier: str = "regular", *, fees_in_bnb: bool = False) -> VenueRules:
    """The shipped rules of `binance`, `bybit` or `kraken`; `KeyError` for another venue.

    Raises:
        SettingsError: If there is no such tier.
    """
    rules: Mapping[str, Callable[[str], VenueRules]] = {
        "binance": partial(binance_rules, fees_in_bnb=fees_in_bnb),
        "bybit": bybit_rules,
        "kraken": kraken_rules,
    }
    return rules[venue](tier)


# Maker and taker of linear perpetuals in bps. Binance: notice of 2026-03-18; VIP4 and up from a secondary list.
# Bybit: help centre, trading fee structure, 2026.
_LINEAR_TIERS: Mapping[str, Mapping[str, tuple[str, str]]] = {
    "binance": {"vip1": ("1.8", "5"), "vip2": ("1.6", "4"), "vip3": ("1.2", "3.2"), "vip4": ("1", "3"),
                "vip5": ("0.8", "2.7"), "vip6": ("0.6", "2.5")},
    "bybit": {"vip1": ("1.8", "4"), "vip2": ("1.6", "3.75"), "vip3": ("1.4", "3.5"), "vip4": ("1.2", "3.2"),
              "vip5": ("1", "3.2"), "supreme": ("0", "3")},
    "kraken": {},
}  # fmt: skip


def tier_at(venue: str, tier: str) -> str:
    """The tier that a venue has for it: itself, or the highest one below.

    Raises:
        SettingsError: If there is no such tier anywhere.
    """
    if tier not in FEE_TIERS:
        raise SettingsError(f"simulator.fee_tier: no tier {tier[:40]!r}; there are {', '.join(FEE_TIERS)}")
    below = FEE_TIERS[: FEE_TIERS.index(tier) + 1]
    return next((one for one in reversed(below) if one in _LINEAR_TIERS[venue]), LOWEST_TIER)


def linear_tier(venue: str, tier: str) -> FeeSchedule:
    """What `tier` (`vip1`, ...) pays for linear perpetuals; `KeyError` where it is not known."""
    maker, taker = _LINEAR_TIERS[venue][tier]
    feed = Feed(venue=venue, segment=Segment.LINEAR)
    return FeeSchedule(feed=feed, maker_bps=Decimal(maker), taker_bps=Decimal(taker), source=f"published {tier}")
