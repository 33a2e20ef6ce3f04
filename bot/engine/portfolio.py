"""What is held now, as the limits see it."""

from collections import deque
from decimal import Decimal

from bot.domain.instrument import Instrument
from bot.domain.order import Side
from bot.domain.route import Route
from bot.execution.pair import PairState
from bot.execution.pair_executor import PairExecutor
from bot.ports import Actions

_MINUTE_NS = 60_000_000_000
_DAY_NS = 86_400_000_000_000
_NOTHING = Decimal(0)


class EnginePortfolio:
    """Implements `bot.risk.limits.Portfolio` over the executor's pairs and the venue's balances."""

    def __init__(self, actions: Actions) -> None:
        self._actions = actions
        self.executor: PairExecutor | None = None
        """Set once both exist: the executor halts through the gate, and the gate asks the portfolio."""
        self._order_times: deque[int] = deque()
        self._day = -1
        self._today = Decimal(0)

    @property
    def _pairs(self) -> PairExecutor:
        assert self.executor is not None, "the portfolio was asked before it was given the executor"
        return self.executor

    def open_pairs(self) -> int:
        """Pairs that are not flat."""
        return len(self._pairs.pairs)

    def busy(self, route: Route) -> bool:
        """Whether a pair on the route's two instruments, in either direction, is not flat."""
        wanted = {route.buy.id, route.sell.id}
        return any({leg.instrument.id for leg in pair.legs} == wanted for pair in self._pairs.pairs.values())

    def in_flight(self, instrument: Instrument) -> int:
        """Pairs that are being opened or closed on it."""
        moving = (pair for pair in self._pairs.pairs.values() if pair.state is not PairState.OPEN)
        return sum(any(leg.instrument.id == instrument.id for leg in pair.legs) for pair in moving)

    def position_notional(self, instrument: Instrument) -> float:
        """Of what open pairs hold of it, at their opening prices; a leg that is still being filled counts whole."""
        total = Decimal(0)
        for pair in self._pairs.pairs.values():
            for leg in pair.legs:
                if leg.instrument.id == instrument.id:
                    total += max(abs(leg.held), pair.opportunity.quantity) * leg.expected_price
        return float(total)

    def net_exposure_notional(self, base: str) -> float:
        """Unhedged amount of one asset over all pairs, at their opening prices."""
        exposure = Decimal(0)
        for pair in self._pairs.pairs.values():
            if pair.buy.instrument.base == base and not pair.pending:
                exposure += pair.imbalance * pair.buy.expected_price
        return float(abs(exposure))

    def realised_today(self, now_ns: int) -> float:
        """Profit since midnight UTC of pairs that ended, in quote units."""
        self._turn_day(now_ns)
        return float(self._today)

    def on_realised(self, profit: Decimal, now_ns: int) -> None:
        """A pair ended with this profit, quote units."""
        self._turn_day(now_ns)
        self._today += profit

    def on_order_sent(self, now_ns: int) -> None:
        """An order left."""
        self._order_times.append(now_ns)

    def orders_last_minute(self, now_ns: int) -> int:
        """Orders sent in the last 60 s."""
        while self._order_times and self._order_times[0] <= now_ns - _MINUTE_NS:
            self._order_times.popleft()
        return len(self._order_times)

    def affordable_notional(self, instrument: Instrument, side: Side, price: float) -> float:
        """What the wallet still covers on this side, quote units, less what closing open pairs on it will need.

        A pair sells what it bought and buys back what it sold: spot that it needs for that is not for another pair.
        """
        covered = self._actions.affordable_notional(instrument, side, price)
        return covered if instrument.is_perpetual else covered - float(self._spoken_for(instrument, side)) * price

    def _spoken_for(self, instrument: Instrument, side: Side) -> Decimal:
        """Base units that open pairs will have to trade on this side of a spot instrument."""
        return sum(
            (
                max(abs(leg.held), pair.opportunity.quantity if pair.state is PairState.OPENING else _NOTHING)
                for pair in self._pairs.pairs.values()
                for leg in pair.legs
                if leg.instrument.id == instrument.id and leg.side is not side
            ),
            _NOTHING,
        )

    def _turn_day(self, now_ns: int) -> None:
        day = now_ns // _DAY_NS
        if day != self._day:
            self._day = day
            self._today = Decimal(0)
