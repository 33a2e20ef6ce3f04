"""One small class a limit. A limit answers with None, or with what it saw and what it allows."""

from bot.market.quote_ages import QuoteAges
from bot.risk.limits.base import KNOWN, Limit, Refused, at_least, at_most, unknown
from bot.risk.limits.chains import MaxInFlight, OneTransfer, TransferAllowed
from bot.risk.limits.funds import CoveredByBalance, LiquidationDistance, MaxMarginRatio, TimeToMarginCall
from bot.risk.limits.inputs import FeedCondition, MarketState, MarketStatistics, Portfolio
from bot.risk.limits.pairs import MaxOpenPairs, NothingInFlight, OnePairPerRoute
from bot.risk.limits.prices import CollarToMean, CollarToOthers, FreshQuotes, PersistentEdge, QuotePeg
from bot.risk.limits.proposal import ExecutableRoute, MaxPlausibleEdge, OppositeSides, UsableNumbers
from bot.risk.limits.rates import MaxOrdersPerMinute, MaxOrdersPerSecond
from bot.risk.limits.results import MaxCumulativeLoss, MaxDailyLoss, MaxDrift
from bot.risk.limits.sizes import (
    MaxAssetNotional,
    MaxNetExposure,
    MaxOrderNotional,
    MaxPositionNotional,
    MaxVenueNotional,
    NotionalUnit,
)
from bot.risk.limits.venues import (
    ClockUncertainty,
    HealthyFeeds,
    KnownOrders,
    MaxRejects,
    NotQuarantined,
    OpenVenues,
    StillListed,
)
from bot.risk.proposed import Proposal
from bot.settings import Settings

__all__ = [
    "KNOWN",
    "ClockUncertainty",
    "CollarToMean",
    "CollarToOthers",
    "CoveredByBalance",
    "ExecutableRoute",
    "FeedCondition",
    "FreshQuotes",
    "HealthyFeeds",
    "KnownOrders",
    "Limit",
    "LiquidationDistance",
    "MarketState",
    "MarketStatistics",
    "MaxAssetNotional",
    "MaxCumulativeLoss",
    "MaxDailyLoss",
    "MaxDrift",
    "MaxInFlight",
    "MaxMarginRatio",
    "MaxNetExposure",
    "MaxOpenPairs",
    "MaxOrderNotional",
    "MaxOrdersPerMinute",
    "MaxOrdersPerSecond",
    "MaxPlausibleEdge",
    "MaxPositionNotional",
    "MaxRejects",
    "MaxVenueNotional",
    "NotQuarantined",
    "NothingInFlight",
    "NotionalUnit",
    "OnePairPerRoute",
    "OneTransfer",
    "OpenVenues",
    "OppositeSides",
    "PersistentEdge",
    "Portfolio",
    "Proposal",
    "QuotePeg",
    "Refused",
    "StillListed",
    "TimeToMarginCall",
    "TransferAllowed",
    "UsableNumbers",
    "all_limits",
    "at_least",
    "at_most",
    "unknown",
]


def all_limits(settings: Settings) -> tuple[Limit, ...]:
    """Every limit: the proposal alone and its quotes first, then what is counted, the market, and sums over wallets."""
    risk, cap_bps = settings.risk, settings.execution.price_cap_bps
    return (
        ExecutableRoute(settings.execution.maker_routes),
        OppositeSides(),
        FreshQuotes(QuoteAges(settings.quote_gate)),
        UsableNumbers(),
        MaxPlausibleEdge(risk.max_plausible_edge_bps),
        OnePairPerRoute(),
        NothingInFlight(),
        MaxOpenPairs(risk.max_open_pairs),
        NotionalUnit(tuple(risk.pegged)),
        MaxOrderNotional(risk.max_order_notional),
        MaxPositionNotional(risk.max_position_notional),
        MaxNetExposure(risk.max_net_exposure_notional, cap_bps),
        MaxVenueNotional(risk.max_venue_notional),
        MaxAssetNotional(risk.max_asset_notional),
        MaxInFlight(risk.max_in_flight_notional),
        OneTransfer(),
        TransferAllowed(),
        MaxOrdersPerSecond(risk.max_orders_per_second),
        MaxOrdersPerMinute(risk.max_orders_per_minute),
        MaxDailyLoss(risk.max_daily_loss),
        MaxCumulativeLoss(risk.max_cumulative_loss),
        MaxDrift(risk.max_drift_bps, risk.drift_pairs),
        StillListed(risk.stop_before_delivery_h),
        HealthyFeeds(risk.max_reconnects_per_minute, risk.max_malformed_per_minute),
        OpenVenues(),
        NotQuarantined(),
        MaxRejects(risk.max_rejects_per_minute),
        KnownOrders(),
        ClockUncertainty(risk.max_clock_uncertainty_ms, must_be_measured=settings.market in ("live", "testnet")),
        PersistentEdge(risk.persistent_edge_s),
        QuotePeg(risk.max_depeg_bps, tuple(risk.pegged)),
        CollarToMean(risk.price_collar_bps),
        CollarToOthers(risk.price_collar_bps),
        CoveredByBalance(cap_bps),
        MaxMarginRatio(risk.max_margin_ratio),
        LiquidationDistance(risk.opening_distance_bps),
        TimeToMarginCall(risk.top_up_s),
    )
