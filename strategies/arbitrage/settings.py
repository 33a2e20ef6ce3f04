"""The arbitrage strategy's parameters; they stand under `arbitrage:` in the settings."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Probability = Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)]
AssetName = Annotated[str, Field(pattern=r"^[^a-z\s]+$")]
Kind = Literal["convergence", "cash_and_carry", "inventory", "transfer", "triangular"]


class ArbitrageSettings(BaseModel):
    """When a route is taken and left."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    kinds: list[Kind] = Field(
        default=["convergence", "cash_and_carry", "inventory", "transfer", "triangular"],
        description="Which kinds of routes are watched, where the instruments (and networks) for them are.",
    )
    currencies: list[AssetName] = Field(
        default=["USDT", "USDC", "USD"],
        description="Quote currencies that are turned into one another, each at its price; and where a ring begins.",
    )
    no_rings_at: list[str] = Field(
        default=["kraken"],
        description="Venues without triangular routes: a buyer pays the fee beside the amount that a ring passes on.",
    )
    networks: dict[AssetName, list[str]] = Field(
        default_factory=dict,
        description="Asset -> networks that transfer routes may use (bitcoin, tron, ...); unset: no such routes.",
    )
    min_net_edge_bps: Finite = Field(default=1.0, description="Least expected profit after every cost.")
    exit_edge_bps: Finite = Field(
        default=0.0, description="Close when what is left of the difference, beyond the exit basis, is at most this."
    )
    exit_basis: Literal["rolling_mean", "converged"] = Field(
        default="rolling_mean",
        description="The two sides are expected to differ at the exit as lately on average, or not at all.",
    )
    warmup_s: NotNegative = Field(default=60.0, description="Statistics must cover this before a route has a price.")
    expected_holding_s: Positive = Field(
        default=600.0, description="Funding is priced over this time: the mean; up to twice as long is as likely."
    )
    max_holding_s: Positive = Field(default=3600.0, description="Close a pair that is older.")
    loss_stop_bps: Positive = Field(default=80.0, description="Close a pair that has lost this much, all costs in.")
    cooldown_s: NotNegative = Field(default=1.0, description="Rest of a route after a pair ended.")
    adverse_moves: bool = Field(
        default=True, description="Charge what the price moves against an order on its way, on average."
    )
    transfer_risk_sd: NotNegative = Field(
        default=1.0, description="Standard deviations of the price over its time that an unhedged transfer is charged."
    )
    rebalance_notional: Positive = Field(
        default=5000.0, description="What one rebalancing transfer moves, quote units: many trades share its fee."
    )
    assumed_rebalancing_bps: NotNegative | None = Field(
        default=None,
        description="Where no venue tells a transfer's fee; shown as ASSUMED. Unset: inventory routes are refused.",
    )
    reference_notional: Positive = Field(
        default=1000.0, description="Size that a withdrawal fee is spread over before the size is known, quote units."
    )
    maker_variants: bool = Field(default=False, description="Watch each pair with post-only legs as well.")
    maker_fill_probability: Probability = Field(
        default=0.5, description="That a post-only order at the touch is filled; shown as ASSUMED."
    )
    maker_waiting_bps: NotNegative = Field(default=0.1, description="What a post-only attempt costs that nobody fills.")
