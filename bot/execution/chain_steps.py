"""On, or home: what is to become of the amount that lies at a place of a chain."""

from collections.abc import Callable

from bot.domain.legs import TradeLeg, TransferLeg
from bot.domain.route import Opportunity
from bot.execution.chain import Chain
from bot.execution.chain_orders import ChainOrders, Plan
from bot.execution.episode import Stage
from bot.settings import ExecutionSettings


class ChainSteps:
    """Decides, and sends nothing."""

    def __init__(
        self, orders: ChainOrders, settings: ExecutionSettings, may_open: Callable[[], bool], *, can_send: bool
    ) -> None:
        """Decide by what `orders` could be made; `can_send`: the run moves amounts between venues."""
        self._orders = orders
        self._settings = settings
        self._may_open = may_open
        self._can_send = can_send

    def not_openable(self, opportunity: Opportunity) -> str | None:
        """What cannot be done of it: `links`, `transfers`, `hedges`; None: it can be run."""
        route = opportunity.route
        if len(opportunity.links) != len(route.chain) or not route.chain:
            return "links"
        if not isinstance(route.chain[0], TradeLeg) or any(leg.is_maker for leg in route.trades):
            return "links"
        if route.hedges:
            return "hedges"
        carried = [leg for leg in route.chain if isinstance(leg, TransferLeg)]
        if carried and (not self._can_send or any(leg.network is None for leg in carried)):
            return "transfers"
        return None

    def turn_back(self, chain: Chain, places: list[int]) -> bool:
        """Mark the places whose amount goes home from now on; returns whether there are new ones."""
        turned = [at for at in places if self._goes_on(chain, at) and not self._can_go_on(chain, at)]
        chain.returning.update(turned)
        if chain.returning.issuperset(places) and chain.underway is None and not chain.pending:
            chain.give_up()
        return bool(turned)

    def travels(self, chain: Chain, at: int) -> bool:
        """Whether what lies there goes on by a transfer."""
        return self._goes_on(chain, at) and isinstance(chain.links[at], TransferLeg)

    def may_send(self, chain: Chain, at: int) -> bool:
        """Whether it does, and all that will ever lie there is there."""
        return self.travels(chain, at) and not chain.pending and chain.underway is None

    def plan(self, chain: Chain, at: int) -> Plan | None:
        """The next order for what lies there; None where none can be made now, or it travels."""
        if not self._goes_on(chain, at):
            return self._orders.homewards(chain, at, at_any_price=_must_act(chain))
        return None if self.travels(chain, at) else self._orders.onwards(chain, at)

    def _goes_on(self, chain: Chain, at: int) -> bool:
        return not chain.has_given_up and at not in chain.returning

    def _can_go_on(self, chain: Chain, at: int) -> bool:
        if not self._may_open():
            return False
        if isinstance(chain.links[at], TransferLeg):
            return self._can_send and (bool(chain.pending) or self._orders.is_worth_sending(chain, at))
        return chain.tries.get(at, 0) <= self._settings.complete_tries and self._orders.onwards(chain, at) is not None


def _must_act(chain: Chain) -> bool:
    """Whether its budget is so far used up that any price is better than waiting."""
    return chain.uneven is not None and chain.uneven.stage >= Stage.ACTING
