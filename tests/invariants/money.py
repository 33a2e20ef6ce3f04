"""Money between the venues: what really became of it, and what the venues say of it, late, twice, or not at all.

`Money` outlives every process of the bot and never lies. `MoneyWire` is one venue's account as one process asks for it;
the bot's own desk, guard and carrier run over it. Bybit credits deposits to a wallet that does not trade.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from uuid import UUID

import yaml

from bot.clock import Clock, pause
from bot.domain.legs import TransferLeg
from bot.domain.network import AssetNetwork
from bot.errors import TransferOutcomeUnknown, TransferRefused, VenueUnavailable
from bot.ports import RouteTerms, TransferEstimate
from bot.ports.transfers import InternalMove, MoveState, Seen, Withdrawal, no_look
from bot.risk.gate import TradingState
from bot.transfers.carrier import DeskCarrier
from bot.transfers.desk import TransferDesk
from bot.transfers.guard import TransferGuard
from bot.transfers.spent import Spent
from modes.carriers import earlier_transfers
from tests.invariants.process import Killed, Process
from tests.invariants.world import World

D = Decimal
S = 1_000_000_000
VENUES = ("binance", "bybit")
OTHER = {"binance": "bybit", "bybit": "binance"}
ASSET = "BTC"
FEE = D("0.0001")
TAKING = ("lost_answer", "never_arrives", "refused", "unavailable")
"""What may become of a request that moves money, beside being taken."""
TRADES_IN = {"binance": "spot", "bybit": "unified"}
DEPOSITS_IN = {"binance": "spot", "bybit": "fund"}


def address(venue: str) -> str:
    """Where its account takes deposits."""
    return f"address-of-{venue}"


@dataclass(slots=True)
class MoneyMood:
    """How money moves from one venue, and what it says of that."""

    taking: str | None = None
    """One of `TAKING` for every request; None: it is taken, and answered."""
    moving: str | None = None
    """The same for moves within the account."""
    takes_s: float = 40.0
    comes_back: bool = False
    fee: Decimal = FEE
    """What is really taken; another than the one that was told, where a test says so."""
    blind_s: float = 0.0
    """It knows nothing of a withdrawal for so long after it took it."""
    is_deaf: bool = False
    """No question about money is answered."""
    shows_strangers: bool = False
    """Deposits of others, of the same amount, stand in the list."""
    is_shut: bool = False
    """Takes no deposits."""
    on_asked: Callable[[], None] = lambda: None
    """What happens while it is asked for its networks: right before a withdrawal."""


@dataclass(slots=True)
class Travelling:
    """One withdrawal that a venue took."""

    withdrawal: Withdrawal
    venue: str
    taken_ns: int
    visible_ns: int
    fee: Decimal
    end: MoveState | None = None

    @property
    def arrives(self) -> Decimal:
        """What is credited where it goes."""
        return self.withdrawal.amount - self.fee


class Money:
    """What is true."""

    world: World
    """Set with the first process."""

    def __init__(self) -> None:
        self.moods = {venue: MoneyMood() for venue in VENUES}
        self.taken: dict[str, Travelling] = {}
        self.moved: dict[str, InternalMove] = {}
        self.fund: dict[str, Decimal] = dict.fromkeys(VENUES, D(0))
        """What lies where deposits come to and nothing trades."""

    def take(self, venue: str, withdrawal: Withdrawal) -> str:
        """A withdrawal has come to its venue: it leaves, or is refused."""
        assert withdrawal.id not in self.taken, f"withdrawal {withdrawal.id} was sent twice"
        assert withdrawal.address == address(OTHER[venue]), f"{withdrawal.address} is nobody's"
        mood, now_ns = self.moods[venue], self.world.clock.now_ns()
        if not self.world.core.take_out(venue, withdrawal.asset, withdrawal.amount):
            raise TransferRefused(withdrawal.id, "not enough is there")
        one = Travelling(withdrawal, venue, now_ns, now_ns + round(mood.blind_s * S), mood.fee)
        self.taken[withdrawal.id] = one
        self.world.clock.call_later(mood.takes_s, lambda: self._end(one, comes_back=mood.comes_back))
        return f"id-{withdrawal.id}"

    def _end(self, one: Travelling, *, comes_back: bool) -> None:
        one.end = MoveState.FAILED if comes_back else MoveState.DONE
        if comes_back:
            self._credit(one.venue, one.withdrawal.amount)
        else:
            self._credit(OTHER[one.venue], one.arrives)

    def _credit(self, venue: str, amount: Decimal) -> None:
        if DEPOSITS_IN[venue] == TRADES_IN[venue]:
            self.world.core.bring_in(venue, ASSET, amount)
        else:
            self.fund[venue] += amount

    def move(self, venue: str, move: InternalMove) -> None:
        """Between wallets; one of an id that is known moves nothing again."""
        if move.id in self.moved:
            return
        assert (move.source, move.target) == (DEPOSITS_IN[venue], TRADES_IN[venue])
        if move.amount > self.fund[venue]:
            raise TransferRefused(move.id, "not enough is there")
        self.moved[move.id] = move
        self.fund[venue] -= move.amount
        self.world.core.bring_in(venue, ASSET, move.amount)

    @property
    def between(self) -> Decimal:
        """What is in no wallet."""
        return sum((one.withdrawal.amount for one in self.taken.values() if one.end is None), D(0))

    @property
    def kept(self) -> Decimal:
        """What networks took of what arrived."""
        return sum((one.fee for one in self.taken.values() if one.end is MoveState.DONE), D(0))

    def make_peace(self) -> None:
        """Honest venues."""
        self.moods.update({venue: MoneyMood() for venue in VENUES})


@dataclass(slots=True)
class MoneyWire:
    """One account, as one process asks for it. Implements `bot.ports.transfers.AccountOperations`."""

    venue: str
    money: Money
    clock: Clock
    rng: random.Random
    is_cut: Callable[[], bool]
    before_sending: Callable[[str, Withdrawal], None]
    wallets: Sequence[str] = ()
    trading_wallet: str = ""
    deposit_wallet: str = ""
    lies: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.trading_wallet, self.deposit_wallet = TRADES_IN[self.venue], DEPOSITS_IN[self.venue]
        self.wallets = sorted({self.trading_wallet, self.deposit_wallet})

    @property
    def mood(self) -> MoneyMood:
        """As it is now."""
        return self.money.moods[self.venue]

    async def withdraw(self, withdrawal: Withdrawal, last_look: Callable[[], None] = no_look) -> str:
        if self.is_cut():
            raise Killed
        last_look()
        self.before_sending(self.venue, withdrawal)
        fate = self.mood.taking
        await self._reach(withdrawal.id, fate)
        told = self.money.take(self.venue, withdrawal)
        await self._answer(withdrawal.id, fate)
        return told

    async def move(self, move: InternalMove) -> None:
        fate = self.mood.moving
        await self._reach(move.id, fate)
        self.money.move(self.venue, move)
        await self._answer(move.id, fate)

    async def _reach(self, id_: str, fate: str | None) -> None:
        await self._travel()
        if fate is not None:
            self.lies.append(f"{id_} {fate}")
        if fate == "refused":
            raise TransferRefused(id_, "not today")
        if fate == "unavailable":
            raise VenueUnavailable(self.venue, "maintenance")
        if fate == "never_arrives":
            await pause(self.clock, 1.0)
            raise TransferOutcomeUnknown(id_, "no answer in 1 s")

    async def _answer(self, id_: str, fate: str | None) -> None:
        if fate == "lost_answer":
            await pause(self.clock, 1.0)
            raise TransferOutcomeUnknown(id_, "no answer in 1 s")
        await self._travel()

    async def moved(self, move: InternalMove) -> MoveState | None:
        await self._ask()
        return MoveState.DONE if move.id in self.money.moved else None

    async def networks(self, asset: str) -> Sequence[AssetNetwork]:
        await self._ask()
        self.mood.on_asked()
        return [
            AssetNetwork(
                venue=self.venue, asset=asset, name="BTC", chain="bitcoin", can_deposit=not self.mood.is_shut,
                can_withdraw=True, withdraw_fee=FEE, min_withdraw=D("0.0005"), step=D("0.00000001"), confirmations=1,
                ts_ns=self.clock.now_ns(),
            )
        ]  # fmt: skip

    async def deposit_address(self, network: AssetNetwork) -> tuple[str, str]:
        await self._ask()
        return address(self.venue), ""

    async def withdrawn(self, withdrawal: Withdrawal) -> Seen | None:
        await self._ask()
        one = self.money.taken.get(withdrawal.id)
        if one is None or one.venue != self.venue or self.clock.now_ns() < one.visible_ns:
            return None
        # As some venues do: done as soon as it is on its chain, whether or not it has arrived.
        state = MoveState.FAILED if one.end is MoveState.FAILED else MoveState.DONE
        if one.end is None and self.rng.random() < 0.5:
            state = MoveState.IN_TRANSIT
        tx_id = f"tx-{withdrawal.id}" if one.end is not MoveState.FAILED else ""
        return self._seen(f"id-{withdrawal.id}", one.arrives, address(OTHER[self.venue]), state, tx_id)

    async def deposits(self, asset: str, since_ns: int) -> Sequence[Seen]:
        await self._ask()
        coming = [one for one in self.money.taken.values() if one.venue != self.venue and one.taken_ns >= since_ns]
        found = []
        for number, one in enumerate(coming):
            if one.end is MoveState.FAILED:
                continue
            state = MoveState.IN_TRANSIT if one.end is None else MoveState.DONE
            if self.mood.shows_strangers:
                found.append(
                    self._seen(f"s{number}", one.arrives, address(self.venue), MoveState.DONE, f"other-{number}")
                )
            found.append(self._seen(f"d{number}", one.arrives, address(self.venue), state, f"TX-{one.withdrawal.id}"))
        return found

    def _seen(self, venue_id: str, amount: Decimal, where: str, state: MoveState, tx_id: str) -> Seen:
        return Seen(venue_id, ASSET, "BTC", amount, where, "", state, tx_id, self.clock.now_ns())

    async def leverage(self, symbol: str) -> Decimal:
        raise AssertionError("nobody asks for leverage here")

    async def is_hedge_mode(self) -> bool:
        raise AssertionError("nobody asks for the position mode here")

    async def _ask(self) -> None:
        await self._travel()
        if self.mood.is_deaf:
            raise VenueUnavailable(self.venue, "no answer")

    async def _travel(self) -> None:
        await pause(self.clock, self.rng.randint(1, 8) / 1e3)
        if self.is_cut():
            raise Killed


class Ways(RouteTerms):
    """What is known of the one network: shut where a venue takes nothing now."""

    def __init__(self, money: Money) -> None:
        self._money = money

    def transfer(self, leg: TransferLeg) -> TransferEstimate | None:
        if leg.asset != ASSET:
            return TransferEstimate(40.0, 60.0, 1.0, network="tron")
        return TransferEstimate(40.0, 60.0, float(FEE), network="bitcoin", least=0.0006, step=1e-8)

    def closed(self, leg: TransferLeg) -> str | None:
        return "bitcoin: deposits are suspended" if self._money.moods[leg.to_venue].is_shut else None


def allow(data_dir: Path) -> Path:
    """The list of addresses, in the data directory."""
    path = data_dir / "allowed.yaml"
    entry: Mapping[str, str] = {"asset": ASSET, "network": "bitcoin"}
    path.write_text(yaml.safe_dump([{**entry, "name": one, "venue": one, "address": address(one)} for one in VENUES]))
    return path


def carrier_of(process: Process, money: Money, before_sending: Callable[[str, Withdrawal], None]) -> DeskCarrier:
    """The real carrier, desk and guard of one process, over what the venues say."""
    settings, clock, house = process.settings.transfers, process.clock, process.house
    money.world = house.world
    wires = {
        venue: MoneyWire(venue, money, clock, house.rng, lambda: process.clock.is_dead, before_sending)
        for venue in VENUES
    }
    spent = Spent(earlier_transfers(house.data_dir, "simulated"))
    guard = TransferGuard(settings, house.data_dir, wires, spent, clock)
    event = lambda level, text: process.engine.event(level, text)  # noqa: E731
    guard.is_halted = lambda: process.desk.gate.state is TradingState.HALTED
    new_id = lambda: UUID(int=house.rng.getrandbits(128), version=4)  # noqa: E731
    return DeskCarrier(TransferDesk(wires, guard, spent, process.journal, clock, settings, event, new_id), clock, event)
