"""What every part of the settings is made of."""

from decimal import Decimal
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from bot.domain.instrument import Segment

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
FiniteDecimal = Annotated[Decimal, Field(allow_inf_nan=False)]

# Names that a person chooses are checked by pattern, so that a misspelt one is an error and not a silent no-op.
VENUE_PATTERN = r"^[a-z][a-z0-9_]*$"
SEGMENT_PATTERN = f"^({'|'.join(Segment)})$"
WALLET_PATTERN = r"^[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*$"
ASSET_PATTERN = r"^[^a-z\s]+$"
VenueName = Annotated[str, Field(pattern=VENUE_PATTERN)]
SegmentName = Annotated[str, Field(pattern=SEGMENT_PATTERN)]
WalletName = Annotated[str, Field(pattern=WALLET_PATTERN)]
AssetName = Annotated[str, Field(pattern=ASSET_PATTERN)]


class Section(BaseModel):
    """A part of the settings."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)
