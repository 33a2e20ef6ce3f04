"""What `Actions` on an account are made of, whichever venue it is at."""

import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from bot.clock import Clock
from bot.domain.fees import FeeSchedule
from bot.domain.instrument import Feed, Instrument
from bot.ports import OrderListener
from bot.settings import Settings
from exchanges.common.account.funding_desk import OnFunding
from exchanges.common.account.venue_state import VenueState
from exchanges.common.background import Log
from exchanges.common.requests.api_keys import ApiKeys
from exchanges.common.requests.request_budget import Cost, RequestBudget
from exchanges.common.requests.request_pool import Rate


@dataclass(frozen=True, slots=True)
class AccountSetup:
    """One account's."""

    by_feed: Mapping[Feed, Mapping[str, Instrument]]
    """Feed -> the venue's symbol -> instrument; feeds of other venues are left aside."""
    keys: ApiKeys = field(repr=False)
    """Of the account."""
    settings: Settings
    """`venues.<venue>.*` says where the venue is."""
    clock: Clock
    """Stamps requests and drives every timer."""
    rng: random.Random
    """Jitter of reconnects."""
    fees: Mapping[Feed, FeeSchedule]
    """What a trade costs, for `affordable_notional`."""
    log: Log
    """Takes lines for a person."""
    listener: OrderListener | None = None
    """Hears of orders and fills; may be set later, before the first order."""
    on_funding: OnFunding | None = None
    """Hears of funding payments; may be set later."""
    budget: RequestBudget | None = None
    """What may be asked, where somebody else asks too; None: one of its own."""

    def listed_at(self, venue: str) -> dict[Feed, dict[str, Instrument]]:
        """The part of `by_feed` that is this venue's."""
        return {feed: dict(listed) for feed, listed in self.by_feed.items() if feed.venue == venue}

    def budget_of(self, venue: str, rates: Iterable[Rate]) -> RequestBudget:
        """The one that is shared; where there is none, a new one of these `rates`."""
        return self.budget or RequestBudget(venue, rates, self.clock)

    def state_of(self, budget: RequestBudget, order_costs: Iterable[Cost]) -> VenueState:
        """Whether new risk may be taken at the venue of this budget; it knows of announced maintenance.

        `order_costs`: what must have room before an order adds risk, by any feed.
        """
        state, execution = VenueState(budget, list(order_costs), self.clock, self.log), self.settings.execution
        state.announce(execution.maintenance.get(budget.venue, ()), execution.maintenance_lead_s)
        return state
