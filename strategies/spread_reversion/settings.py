"""Parameters of the spread-reversion strategy: the section `spread_reversion` of settings.yaml."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Finite = Annotated[float, Field(allow_inf_nan=False)]


class SpreadReversionSettings(BaseModel):
    """When an order is placed inside the spread, and when what it brought is let go."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    instruments: list[str] = Field(
        default=["ALL"], description="Ids such as binance:BTC/USDT that are quoted; ALL: every one that is watched."
    )
    order_notional: Positive = Field(default=500.0, description="Of one entry, quote units; all of it is unhedged.")
    span_s: Annotated[float, Field(ge=1, le=3600, allow_inf_nan=False)] = Field(
        default=15.0, description="The mean of the spread is taken over this time."
    )
    entry_ratio: Annotated[float, Field(gt=1, allow_inf_nan=False)] = Field(
        default=1.5, description="An order is placed while the spread is at least this many times its mean."
    )
    min_net_edge_bps: NotNegative = Field(
        default=0.5, description="Least expected profit of a round trip after maker fees and funding."
    )
    max_holding_s: Positive = Field(default=60.0, description="What was bought or sold is let go after this time.")
    loss_stop_bps: Positive = Field(default=20.0, description="Let go when this much is lost at the mid, fees in.")
    requote_s: Positive = Field(default=5.0, description="An entry that nobody met is priced anew after this time.")
    cooldown_s: NotNegative = Field(default=1.0, description="Rest of an instrument's side after a round trip.")
