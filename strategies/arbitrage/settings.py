"""The arbitrage strategy's parameters; they stand under `arbitrage:` in the settings."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Finite = Annotated[float, Field(allow_inf_nan=False)]


class ArbitrageSettings(BaseModel):
    """When a route is taken and left."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    min_net_edge_bps: Finite = Field(default=1.0, description="Least expected profit after every cost.")
    exit_edge_bps: Finite = Field(
        default=0.0, description="Close when what is left of the difference, beyond the exit basis, is at most this."
    )
    exit_basis: Literal["rolling_mean", "converged"] = Field(
        default="rolling_mean",
        description="The two sides are expected to differ at the exit as lately on average, or not at all.",
    )
    warmup_s: NotNegative = Field(default=60.0, description="Statistics must cover this before a route has a price.")
    expected_holding_s: Positive = Field(default=600.0, description="Funding is priced over this time.")
    max_holding_s: Positive = Field(default=3600.0, description="Close a pair that is older.")
    loss_stop_bps: Positive = Field(default=80.0, description="Close a pair that has lost this much, all costs in.")
    cooldown_s: NotNegative = Field(default=1.0, description="Rest of a route after a pair ended.")
