"""Limits of the risk gate. Why each default is what it is stands in `docs/risk.md`."""

from typing import Annotated

from pydantic import Field

from bot.settings.section import AssetName, NotNegative, Positive, Section

Ratio = Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)]


class RiskSettings(Section):
    """Limits of the risk gate, in quote units unless the key says otherwise."""

    max_order_notional: Positive = Field(default=1000.0, description="Of one leg.")
    max_position_notional: Positive = Field(default=5000.0, description="Of one instrument.")
    max_venue_notional: Positive = Field(default=10_000.0, description="Of all legs at one venue.")
    max_asset_notional: Positive = Field(default=20_000.0, description="Of all legs in one asset, both sides.")
    max_net_exposure_notional: Positive = Field(
        default=1500.0,
        description="Of one base asset, unhedged: uneven already, and one whole leg while the other is not filled.",
    )
    max_in_flight_notional: Positive = Field(
        default=1000.0, description="Of all chains (triangular, transfer) that are not home, unhedged on their way."
    )
    max_open_pairs: int = Field(default=3, gt=0, description="Open at once, over all routes.")
    max_daily_loss: Positive = Field(default=200.0, description="Realised since midnight UTC; reached: HALTED.")
    max_cumulative_loss: Positive = Field(default=500.0, description="Realised in the run; reached: HALTED.")
    max_drift_bps: Positive = Field(
        default=30.0, description="Mean of expected less realised net edge over the newest pairs."
    )
    drift_pairs: int = Field(default=20, gt=0, description="Pairs of the last hour that the drift is taken over.")
    max_plausible_edge_bps: Positive = Field(default=300.0, description="A larger edge is an error of the data.")
    persistent_edge_bps: Positive = Field(default=100.0, description="A larger edge is suspicious if it stays.")
    persistent_edge_s: Positive = Field(default=30.0, description="A suspicious edge that stood longer is none.")
    price_collar_bps: Positive = Field(
        default=300.0, description="A price against the rolling mean, and against other venues."
    )
    max_depeg_bps: Positive = Field(default=100.0, description="Between two of the pegged currencies.")
    pegged: list[AssetName] = Field(
        default=["USD", "USDC", "USDT"], description="Quote currencies that should be worth the same."
    )
    max_orders_per_second: int = Field(default=10, gt=0, description="Sent, over all venues.")
    max_orders_per_minute: int = Field(default=60, gt=0, description="Sent, over all venues.")
    max_throttled_per_second: int = Field(
        default=1000, gt=0, description="Pairs proposed beyond the order rate within a second; more: HALTED."
    )
    max_routes_per_second: int = Field(
        default=2000, gt=0, description="Different routes wanted within a second, and refused; more: HALTED."
    )
    max_rejects_per_minute: int = Field(default=10, gt=0, description="Orders that a venue rejected.")
    max_reconnects_per_minute: int = Field(default=5, gt=0, description="Of a feed's connections.")
    max_malformed_per_minute: int = Field(default=100, gt=0, description="Frames of a feed that did not decode.")
    max_clock_uncertainty_ms: Positive = Field(
        default=250.0, description="Half the round trip of the venue's last clock measurement; live: it must exist."
    )
    max_loop_lag_ms: Positive = Field(
        default=1000.0, description="Quotes, fills and timers waited that long: REDUCING until it is calm again."
    )
    loop_calm_s: Positive = Field(default=5.0, description="No such stall for this long is calm.")
    max_margin_ratio: Ratio = Field(
        default=0.5, description="Maintenance margin over equity, per wallet, once filled; the venue liquidates at 1."
    )
    close_distance_bps: NotNegative = Field(
        default=200.0,
        description="A wallet nearer to its liquidation than this: pairs with a position in it are closed.",
    )
    maintenance_margin_ratio: Ratio = Field(
        default=0.01, description="Part of a derivative's notional that a venue wants covered, ASSUMED until it tells."
    )
    top_up_max_notional: NotNegative = Field(
        default=0.0,
        description="Quote units that are moved into margin wallets from others of the account in 24 h; 0: none are.",
    )
    top_up_distance_bps: NotNegative = Field(
        default=500.0,
        description="A wallet that is nearer to its liquidation, or will be within half a minute, is topped up.",
    )
    min_liquidation_distance_bps: NotNegative = Field(
        default=1000.0, description="Adverse move of all prices that liquidates a wallet, once filled."
    )
    top_up_s: NotNegative = Field(
        default=3600.0, description="Margin must last longer than this where no transfer time is known."
    )
    stop_before_delivery_h: NotNegative = Field(
        default=24.0, description="Nothing new in an instrument that is settled or delisted sooner."
    )

    @property
    def opening_distance_bps(self) -> float:
        """Nothing is opened nearer to a liquidation than this, nor where it would be closed at once."""
        return max(self.min_liquidation_distance_bps, self.close_distance_bps)
