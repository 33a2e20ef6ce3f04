"""A request on its way to an answer: what is known of it, and what the answering functions share."""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from functools import partial

from bot.clock import Timer
from bot.domain.instrument import Segment
from exchanges.simulator.binance.desk import Desk, Line
from exchanges.simulator.binance.listen_keys import ListenKeys
from exchanges.simulator.binance.parameters import Parameters
from exchanges.simulator.binance.user_feed import UserFeeds
from exchanges.simulator.core.ports import Account
from exchanges.simulator.core.setup import Setup
from exchanges.simulator.faults.catalogue import FaultKind
from exchanges.simulator.faults.desk import FaultDesk
from exchanges.simulator.faults.orders import OrderFaults
from exchanges.simulator.faults.values import Fault

_TRANSFERS_KEPT = 1000


class Access(Enum):
    """What a request must prove."""

    OPEN = 0
    KEY = 1
    """A key in the header."""
    SIGNED = 2
    """Key, signature and timestamp."""
    TRADES = 3
    """The same, by a key that may trade."""
    WITHDRAWS = 4
    """The same, by a key that may withdraw."""

    @property
    def is_signed(self) -> bool:
        """Whether the request has to be."""
        return self.value >= Access.SIGNED.value

    def is_right_of(self, setup: Setup) -> bool:
        """Whether a key with these rights may ask so."""
        if self is Access.TRADES:
            return setup.may_trade
        return self is not Access.WITHDRAWS or setup.may_withdraw


class Gateway:
    """What the endpoints keep between requests."""

    def __init__(self, desk: Desk, faults: FaultDesk | None = None) -> None:
        """`faults`: what is to go wrong; None: nothing."""
        self.desk = desk
        self.feeds = UserFeeds(desk, OrderFaults(faults))
        self.listen_keys = ListenKeys(desk.clock)
        self.countdowns: dict[tuple[str, int], Timer] = {}
        self._transfers: dict[str, list[dict[str, object]]] = defaultdict(list)
        if faults is not None:
            faults.on(FaultKind.LISTEN_KEY_EXPIRY, partial(self._expire_counted, faults))
            faults.on(FaultKind.KEY_REVOKED, self._expire_of_revoked)

    def _expire_counted(self, faults: FaultDesk, fault: Fault) -> None:
        faults.note(fault, self._expire_listen_keys(fault))

    def _expire_of_revoked(self, fault: Fault) -> None:
        self._expire_listen_keys(fault)

    def _expire_listen_keys(self, fault: Fault) -> int:
        # Spot has none; and those of a key that nobody knows any more are worth nothing.
        if fault.venue != self.desk.exchange.venue or fault.segment is Segment.SPOT:
            return 0
        return self.listen_keys.expire_all()

    def transfers(self, api_key: str) -> list[dict[str, object]]:
        """Transfers between wallets of an account, oldest first."""
        return self._transfers[api_key]

    def note_transfer(self, api_key: str, row: dict[str, object]) -> None:
        """Keep a transfer for its history."""
        rows = self._transfers[api_key]
        rows.append(row)
        del rows[:-_TRANSFERS_KEPT]

    def close(self) -> None:
        """Stop every timer and listener."""
        for timer in self.countdowns.values():
            timer.cancel()
        self.countdowns.clear()
        self.listen_keys.close()
        self.feeds.close()
        self.desk.stop()


@dataclass(slots=True)
class Call:
    """One request, whichever way it came."""

    gateway: Gateway
    segment: Segment
    parameters: Parameters
    api_key: str = ""
    signer: Account | None = field(default=None)

    @property
    def desk(self) -> Desk:
        """Listings, meters and time."""
        return self.gateway.desk

    @property
    def account(self) -> Account:
        """Who asks; only for endpoints that need a key."""
        assert self.signer is not None
        return self.signer

    def line(self) -> Line:
        """The listing that the mandatory `symbol` names."""
        return self.desk.line(self.segment, self.parameters.symbol())

    def line_if_named(self) -> Line | None:
        """The same where `symbol` was sent."""
        return self.line() if self.parameters.has("symbol") else None

    def lines(self) -> list[Line]:
        """The listing that was named, or all of the segment."""
        line = self.line_if_named()
        return self.desk.segment_lines(self.segment) if line is None else [line]


Weight = int | Callable[[Parameters], int]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """How a request is answered, and what it costs."""

    run: Callable[[Call], object]
    access: Access = Access.OPEN
    weight: Weight = 1
    is_order: bool = False

    def cost(self, parameters: Parameters) -> int:
        """Request weight of this very request."""
        return self.weight if isinstance(self.weight, int) else self.weight(parameters)
