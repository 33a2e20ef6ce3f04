"""What a `TermsSource` is made of, whichever venue it asks, and what it answers where there is nothing to ask."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from bot.clock import Clock
from bot.domain.fees import FeeSchedule
from bot.domain.funding_terms import FundingTerms
from bot.domain.instrument import Feed, Instrument
from bot.domain.network import AssetNetwork
from bot.domain.terms import Told, WalletMove
from bot.settings import Settings
from exchanges.common.requests.api_keys import ApiKeys
from exchanges.common.requests.request_budget import RequestBudget


@dataclass(frozen=True, slots=True)
class TermsSetup:
    """One venue's."""

    by_feed: Mapping[Feed, Mapping[str, Instrument]]
    """Feed -> the venue's symbol -> instrument; feeds of other venues are left aside."""
    assets: Collection[str]
    """Whose networks are wanted."""
    settings: Settings
    """`venues.<venue>.*` says where the venue is."""
    clock: Clock
    """Stamps requests and answers."""
    keys: ApiKeys | None = field(default=None, repr=False)
    """Of the account; None: only what is public is told."""
    budget: RequestBudget | None = None
    """What may be asked, where somebody else asks too; None: one of its own."""


class NoAccount:
    """What a `TermsSource` answers of an account that is not asked, and of perpetuals where there are none."""

    def __init__(self, clock: Clock) -> None:
        """`clock` stamps the answers."""
        self._clock = clock

    async def fees(self) -> Told[FeeSchedule] | None:
        """Not asked for."""
        return None

    async def funding(self) -> Told[FundingTerms]:
        """No perpetuals."""
        return Told(values={}, ts_ns=self._clock.now_ns())

    async def networks(self) -> Told[Sequence[AssetNetwork]] | None:
        """Not asked for."""
        return None

    async def moves(self) -> Sequence[WalletMove]:
        """Not asked for."""
        return ()
