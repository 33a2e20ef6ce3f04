"""What a venue says of an account before anything is traded on it: what its key may do, and how it is set."""

from collections.abc import Mapping
from decimal import Decimal

from pydantic import BaseModel, ConfigDict

from bot.domain.instrument import Segment


class KeyRights(BaseModel):
    """What an API key may do."""

    model_config = ConfigDict(frozen=True)

    may_read: bool
    may_trade: frozenset[Segment]
    may_withdraw: bool
    """Out of the venue; not between wallets of the account."""
    is_ip_bound: bool
    """Whether it works from named addresses alone."""
    expires_ns: int | None = None
    """UTC ns; None: it does not, or the venue does not say."""


class AccountModes(BaseModel):
    """How an account is set. None: the venue has no such thing, or does not say."""

    model_config = ConfigDict(frozen=True)

    is_one_way: bool | None = None
    """One net position an instrument; False: hedge mode, with a long and a short one."""
    is_multi_asset: bool | None = None
    """Whether assets beside the settling one are margin too, where that is a mode to choose."""
    is_cross: Mapping[str, bool] = {}
    """Instrument id -> whether the whole wallet is its margin; False: isolated."""
    leverage: Mapping[str, Decimal] = {}
    """Instrument id -> as it is set."""
    balances: Mapping[tuple[str, str], Decimal] = {}
    """Wallet and asset -> what is available."""
