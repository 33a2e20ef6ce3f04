"""What moves money of an account: between its wallets, to an address, and what arrived."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Protocol, runtime_checkable

from bot.domain.legs import TransferLeg
from bot.domain.network import AssetNetwork


class MoveState(StrEnum):
    """How far money is that was sent."""

    IN_TRANSIT = "in_transit"
    DONE = "done"
    FAILED = "failed"
    """It never left, or came back."""


@dataclass(frozen=True, slots=True)
class InternalMove:
    """An amount that goes from one wallet of an account to another."""

    id: str
    """Ours, unique for ever: a UUID."""
    asset: str
    amount: Decimal
    """Units of the asset."""
    source: str
    """A wallet as the venue's adapter names it: `spot`, `linear`; `unified`, `fund`."""
    target: str
    sent_ns: int
    """By our clock, UTC ns: where an answer is lost, the venue is asked for what came since then."""


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """An amount that goes to an address."""

    id: str
    """Ours, unique for ever, at most 32 letters and digits: what a venue that is told it a second time knows again."""
    asset: str
    network: str
    """In the spelling of the venue that it leaves."""
    amount: Decimal
    """What leaves the wallet, the network's fee included; units of the asset."""
    address: str
    memo: str
    """Empty where the network has none."""
    sent_ns: int
    """As of an `InternalMove`."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A withdrawal or a deposit as its venue tells of it."""

    venue_id: str
    asset: str
    network: str
    """The venue's spelling."""
    amount: Decimal
    """What arrives, units of the asset."""
    address: str
    memo: str
    state: MoveState
    tx_id: str
    """Empty until the chain has it."""
    begun_ns: int


def no_look() -> None:
    """Nothing is to be looked at before a withdrawal leaves."""


class AccountOperations(Protocol):
    """The money of one account at one venue.

    Every question may raise `VenueError`. What changes something is sent once: `TransferRefused` says that nothing
    moved, `TransferOutcomeUnknown` that it may have, and is to be asked for; any `VenueError` that it was not taken.
    """

    venue: str
    wallets: Sequence[str]
    """The names that `move` knows."""
    trading_wallet: str
    """Which of them pays for spot trades; withdrawals leave from it."""
    deposit_wallet: str
    """Which of them deposits are credited to. Where it is another, `move` of an id that was told before moves nothing
    again: what has arrived is moved on until it is known to be there."""

    async def move(self, move: InternalMove) -> None:
        """Move between wallets, at once."""

    async def moved(self, move: InternalMove) -> MoveState | None:
        """What became of a move; None where the venue knows of none like it."""

    async def networks(self, asset: str) -> Sequence[AssetNetwork]:
        """Every network of the asset, as it is now."""

    async def deposit_address(self, network: AssetNetwork) -> tuple[str, str]:
        """Address and memo (empty: none is needed) at which the account takes deposits on this network."""

    async def withdraw(self, withdrawal: Withdrawal, last_look: Callable[[], None] = no_look) -> str:
        """Send away; returns the venue's id of it.

        `last_look` is called when the request has waited for its turn and for the venue's budget, right before it
        leaves, maybe on another thread. What it raises comes out of here: nothing was sent.
        """

    async def withdrawn(self, withdrawal: Withdrawal) -> Seen | None:
        """What became of a withdrawal; None where the venue knows of none like it."""

    async def deposits(self, asset: str, since_ns: int) -> Sequence[Seen]:
        """What arrived, or is on its way and seen on the chain, since then; in any order."""

    async def leverage(self, symbol: str) -> Decimal:
        """Of a linear perpetual, by the venue's symbol: how many times its margin a position may be."""

    async def is_hedge_mode(self) -> bool:
        """Whether long and short of one perpetual are two positions; the bot trades one-way accounts alone."""


@runtime_checkable
class TellsDeposited(Protocol):
    """An account whose deposits are credited to another wallet than the one that trades."""

    async def deposited(self, asset: str) -> Decimal:
        """What of an asset lies in `deposit_wallet`, units of it; raises `VenueError` as every question."""


class CarryState(StrEnum):
    """How far a transfer of a chain is."""

    IN_TRANSIT = "in_transit"
    """The venue took it."""
    UNKNOWN = "unknown"
    """No answer came: it is asked about, never sent again."""
    REFUSED = "refused"
    """Nothing left the wallet; final."""
    FAILED = "failed"
    """The venue gave it up, and the amount is back in the wallet that it left; final."""
    ARRIVED = "arrived"
    """Credited, and ready to be traded, at the venue that it went to; final."""
    LATE = "late"
    """Its deadline has passed; it is followed all the same."""

    @property
    def is_final(self) -> bool:
        """Whether nothing more will be told."""
        return self in (CarryState.REFUSED, CarryState.FAILED, CarryState.ARRIVED)


@dataclass(frozen=True, slots=True)
class Carriage:
    """An amount of a chain that is to go from one venue to another."""

    id: str
    """Ours, unique for ever, at most 32 letters and digits."""
    asset: str
    from_venue: str
    to_venue: str
    network: str
    """Canonical id."""
    amount: Decimal
    """What leaves the wallet, the network's fee included."""
    deadline_s: float
    """After this long without an end it is `LATE`."""


@dataclass(frozen=True, slots=True)
class CarryNews:
    """What became of a carriage."""

    id: str
    state: CarryState
    received: Decimal
    """What arrived, or came back; 0 before."""
    reason: str
    ts_ns: int
    sent: Decimal = Decimal(0)
    """What left the wallet, fee included, from `IN_TRANSIT` on: the amount that was asked for, less what is below the
    network's grid; that rest stays where it was. 0 before."""


class CarryListener(Protocol):
    """Hears of carriages, on the engine's thread and never within `send` or `resume`."""

    def on_carry(self, news: CarryNews) -> None:
        """It has got further."""


class Carrier(Protocol):
    """Moves the amount of a chain from venue to venue. Calls return at once; what happens is told to the listener."""

    carry_listener: CarryListener

    def send(self, carriage: Carriage) -> None:
        """Move it, once: its own intent is durable before a request leaves."""

    def resume(self, carriage: Carriage) -> None:
        """Go on asking about one that an earlier run sent, or was about to: told as `REFUSED` where it never left."""


class CashListener(Protocol):
    """Hears of amounts that left a trading wallet or came to one, when it is known that they did."""

    def on_moved(self, venue: str, asset: str, amount: Decimal) -> None:
        """So much came; negative: it left."""

    def on_unsettled(self, venue: str, asset: str) -> None:
        """What of it came or left before this run, and what in it, is not known: what is there now is right."""


@runtime_checkable
class AccountCarrier(Carrier, Protocol):
    """A carrier between real accounts, which are compared with what is written down."""

    cash: CashListener | None

    def start(self) -> None:
        """Follow what earlier runs sent and nobody has taken over; once everybody who would has."""

    def stop(self) -> None:
        """Follow nothing any more; a later run goes on."""

    def moving(self, venue: str) -> Collection[str]:
        """Assets of a venue whose balance a transfer may change at any moment, or has changed unheard of."""

    async def foreign(self, venue: str, asset: str, amount: Decimal, since_ns: int) -> str | None:
        """Which deposit that no carriage brought made a balance grow by so much, in words; None: none that is known."""


@runtime_checkable
class PaperMoney(Protocol):
    """Paper wallets that amounts are taken from and come to, beside what trades make of them."""

    def take_out(self, venue: str, asset: str, amount: Decimal) -> bool:
        """Take it from the venue's wallet; False where so much is not free, and nothing has changed."""

    def bring_in(self, venue: str, asset: str, amount: Decimal) -> None:
        """Put it into the venue's wallet."""


@runtime_checkable
class RefusesTransfers(Protocol):
    """A carrier with rules of its own: an allow-list, a delay, a daily cap."""

    def refuses(self, leg: TransferLeg, amount: float) -> str | None:
        """Why it would not send `amount` (units of the asset, the fee included) now, in words; None: it would."""
