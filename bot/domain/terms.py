"""What a venue tells beside quotes and orders: fees, funding schedules, networks, and how long past transfers took."""

from collections.abc import Mapping, Sequence
from typing import Generic, Protocol, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from bot.domain.fees import FeeSchedule
from bot.domain.funding_terms import FundingTerms
from bot.domain.network import AssetNetwork

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


class TermsSource(Protocol):
    """One venue as the engine asks it for its terms. Every question may raise `VenueError`."""

    venue: str

    async def fees(self) -> Told[FeeSchedule] | None:
        """By instrument id, of this account; None where there is no key to ask with."""

    async def funding(self) -> Told[FundingTerms]:
        """By the id of every perpetual."""

    async def networks(self) -> Told[Sequence[AssetNetwork]] | None:
        """By asset; None where there is no key to ask with."""

    async def moves(self) -> Sequence[WalletMove]:
        """Withdrawals and deposits of the last weeks that have ended; none where there is no key to ask with."""
