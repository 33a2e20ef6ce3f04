"""What a venue tells beside quotes and orders: fees, funding, networks, listings, and how long past transfers took."""

from collections.abc import Mapping
from typing import Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from bot.domain.instrument import ListingStatus

T = TypeVar("T")


class Told(BaseModel, Generic[T]):
    """One answer of a venue: what could be read of it, and what could not."""

    model_config = ConfigDict(frozen=True)

    values: Mapping[str, T]
    """By what was asked about: an instrument's id, or an asset."""
    wrong: Mapping[str, str] = {}
    """The same for what is missing or makes no sense, and why, in one line for a person."""
    ts_ns: int
    """When it was told, UTC ns."""


class Listing(BaseModel):
    """How a venue lists an instrument now."""

    model_config = ConfigDict(frozen=True)

    status: ListingStatus
    delivery_ns: int | None = None
    """When it is settled or taken off, UTC ns; None for what has no end in sight."""


class WalletMove(BaseModel):
    """A withdrawal, or a deposit, that has come to its end."""

    model_config = ConfigDict(frozen=True)

    venue: str
    asset: str
    chain: str | None
    """Our id of the chain; None for a name that no table knows."""
    tx_id: str
    """Of the chain's transaction."""
    is_deposit: bool
    begun_ns: int
    """When it was asked for, or first seen."""
    done_ns: int
    """When the venue called it complete."""


class PastTransfer(BaseModel):
    """One transfer of this account from the asking to the crediting."""

    model_config = ConfigDict(frozen=True)

    asset: str
    chain: str
    source: str
    """The venue that sent."""
    target: str
    """The venue that received."""
    tx_id: str
    begun_ns: int
    seconds: float = Field(gt=0, allow_inf_nan=False)
