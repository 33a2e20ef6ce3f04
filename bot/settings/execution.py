"""How pairs are executed. Why each default is what it is stands in `docs/execution.md`."""

from typing import Literal, Self

from pydantic import Field, model_validator

from bot.settings.maintenance import Window
from bot.settings.section import NotNegative, Positive, Section, VenueName


class ExecutionSettings(Section):
    """How pairs are executed."""

    price_cap_bps: NotNegative = Field(
        default=5.0, le=1000, description="Limit prices may be this much worse than decided."
    )
    complete_tries: int = Field(
        default=2, ge=0, description="Tries to complete a missing leg, while that costs less than to unwind the other."
    )
    retry_wait_ms: NotNegative = Field(default=200.0, le=60_000, description="Between two tries to hedge or to close.")
    order_timeout_ms: Positive = Field(
        default=3000.0, le=60_000, description="No final state for this long: outcome unknown."
    )
    # The greatest of them are there for whoever takes one unit for another: ten seconds are no 10000 s.
    unhedged_alarm_s: Positive = Field(default=2.0, le=300, description="A pair that is uneven for longer is an alarm.")
    unhedged_act_s: Positive = Field(
        default=3.0,
        le=300,
        description="Uneven for longer: answers are not waited for, and it is evened at the market.",
    )
    unhedged_halt_s: Positive = Field(
        default=10.0, le=300, description="Uneven, or not known to be even, for longer: HALTED; it goes on trying."
    )

    order_entry: Literal["socket", "rest"] = Field(
        default="socket", description="How orders reach the venues; while a socket is down they go by REST."
    )
    dead_man_s: NotNegative = Field(
        default=30.0, le=300, description="A venue that hears nothing for so long cancels what rests there; 0: never."
    )
    maintenance: dict[VenueName, list[Window]] = Field(
        default_factory=dict,
        description="Announced: 2026-12-01T06:00Z/2026-12-01T08:00Z. Nothing new there from maintenance_lead_s before.",
    )
    maintenance_lead_s: NotNegative = Field(
        default=300.0, description="So long before it the dead-man switch is put away, and nothing new is opened."
    )
    maker_routes: bool = Field(default=True, description="Trade routes with post-only legs; off: they are watched.")
    maker_rest_s: Positive = Field(default=20.0, description="A post-only leg that nobody came for is taken back.")

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if not self.unhedged_alarm_s <= self.unhedged_act_s <= self.unhedged_halt_s:
            raise ValueError("unhedged_alarm_s, unhedged_act_s and unhedged_halt_s have to come in this order")
        return self

    reconcile_every_s: Positive = Field(
        default=5.0,
        le=600,
        description="Between two comparisons of the accounts with the journal, orders over the wire.",
    )
