"""What may move money between wallets and venues. What each setting guards against stands in `docs/actions.md`."""

from decimal import Decimal
from pathlib import Path
from typing import Annotated

from pydantic import Field

from bot.settings.section import AssetName, NotNegative, Positive, Section

_Amount = Annotated[Decimal, Field(gt=0, allow_inf_nan=False)]


class TransferSettings(Section):
    """What may move money between wallets and venues."""

    enabled: bool = Field(default=False, description="Off: nothing is withdrawn, and nothing moved between wallets.")
    allow_list: Path | None = Field(
        default=None, description="YAML file of the addresses that may be withdrawn to; unset: none may."
    )
    delay_h: NotNegative = Field(
        default=24.0, description="Nothing is withdrawn for so long after the allow-list was changed, or seen first."
    )
    daily_cap: dict[AssetName, _Amount] = Field(
        default_factory=lambda: {"USDT": Decimal(1000)},
        description="Most of an asset that is withdrawn in any 24 h; an asset not named: none.",
    )
    max_per_transfer: dict[AssetName, _Amount] = Field(
        default_factory=lambda: {"USDT": Decimal(500)},
        description="Most of an asset that is withdrawn at once; an asset not named: none.",
    )
    deadline_s: Positive = Field(
        default=7200.0, description="A withdrawal that has not ended by then is an alarm; it is followed all the same."
    )
    poll_s: Positive = Field(default=5.0, description="Between two questions what became of a transfer.")
