"""Settings of `--shadow`."""

from decimal import Decimal

from pydantic import Field

from bot.settings.section import FiniteDecimal, Section


class ShadowSettings(Section):
    """`--shadow`: real orders of minimum size beside paper ones (docs/shadow.md)."""

    max_order_notional: FiniteDecimal = Field(
        default=Decimal("250"),
        gt=0,
        description="Quote units: a pair whose venues take nothing smaller is not shadowed, and no order is larger.",
    )
