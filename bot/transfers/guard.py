"""Whether a withdrawal may leave. Asked right before it is sent; the first reason against it is told by name."""

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path

from bot.clock import Clock
from bot.domain.network import AssetNetwork, NetworkRefusal, match
from bot.errors import SettingsError, VenueError
from bot.ports.transfers import AccountOperations
from bot.risk.halt_flag import read_flag
from bot.settings.transfers import TransferSettings
from bot.transfers.allow_list import AllowList, Entry, read_allow_list, unchanged_since_ns
from bot.transfers.spent import Spent

_HOUR_NS = 3600 * 10**9
_LOOK_UP_NS = 10**9
NEEDS_MEMO = frozenset({"ATOM", "EOS", "HBAR", "TON", "XLM", "XRP"})
"""Assets whose deposits at a venue are told apart by a memo: without it they are lost."""


class Refusal(Exception):
    """Why a withdrawal must not leave, in words. Caught where it is asked for."""


class TransferGuard:
    """The rules of one run."""

    def __init__(
        self,
        settings: TransferSettings,
        data_dir: Path,
        operations: Mapping[str, AccountOperations],
        spent: Spent,
        clock: Clock,
        least_delay_h: float = 0.0,
    ) -> None:
        """Nothing is read yet; `least_delay_h` is the delay that no setting goes below."""
        self._settings = settings
        self._data_dir = data_dir
        self._operations = operations
        self._spent = spent
        self._clock = clock
        self._delay_h = max(settings.delay_h, least_delay_h)
        self.is_halted: Callable[[], bool] = lambda: False
        """Whether the run is HALTED by now, with or without a flag; asked last."""
        self._looked_up: dict[tuple[str, str, str], tuple[int, Entry | Refusal]] = {}
        """By venue, asset and network: the entry or why there is none, and when it was looked up."""

    def check_enabled(self) -> None:
        """Raise `Refusal` while transfers are switched off."""
        if not self._settings.enabled:
            raise Refusal("transfers.enabled is false")

    def check_not_halted(self) -> None:
        """Raise `Refusal` once HALTED; asked last, since venues and the disk are waited for before."""
        if self.is_halted():
            raise Refusal("the run is HALTED")
        if (flag := read_flag(self._data_dir)) is not None:
            raise Refusal(flag.words())

    def entry(self, name: str, asset: str) -> Entry:
        """The allowed address of this name, where the list has stood for long enough.

        Raises:
            Refusal: If there is none, of this asset and old enough.
        """
        entry = self._allowed().named(name)
        if entry is None or entry.asset != asset:
            raise Refusal(f"the allow-list has no {asset} address called {name!r}")
        return _with_memo(entry)

    def entry_to(self, venue: str, asset: str, network: str) -> Entry:
        """The allowed address at which our account at `venue` takes an asset over a chain.

        Raises:
            Refusal: If there is none that is old enough.
        """
        entry = self._allowed().to(venue, asset, network)
        if entry is None:
            raise Refusal(f"the allow-list has no {asset} address on {network} whose venue is {venue}")
        return _with_memo(entry)

    def _allowed(self) -> AllowList:
        path = self._settings.allow_list
        if path is None:
            raise Refusal("transfers.allow_list names no file")
        try:
            found = read_allow_list(path)
            now_ns = self._clock.now_ns()
            age_h = (now_ns - unchanged_since_ns(self._data_dir, found.digest, now_ns)) / _HOUR_NS
        except (SettingsError, OSError) as error:
            raise Refusal(str(error)) from None
        if not age_h >= self._delay_h:
            raise Refusal(
                f"the allow-list was changed {max(age_h, 0.0):.1f} h ago; it is used after {self._delay_h:g} h"
            )
        return found

    def refuses(self, venue: str, to_venue: str, asset: str, network: str | None, amount: Decimal) -> str | None:
        """Why a carriage would be refused now, as far as nobody has to be asked; None: it would not.

        The list is read again after a second at most: this is asked at every decision.
        """
        try:
            self.check_enabled()
            if network is None:
                raise Refusal("its network is not known")
            for one in (venue, to_venue):
                if one not in self._operations:
                    raise Refusal(f"money of {one} is not moved by this run")
            entry = self._remembered(to_venue, asset, network)
            self.check_amount(venue, asset, amount, entry.address)
        except Refusal as refusal:
            return str(refusal)
        return None

    def _remembered(self, venue: str, asset: str, network: str) -> Entry:
        now_ns = self._clock.monotonic_ns()
        key = (venue, asset, network)
        known = self._looked_up.get(key)
        if known is None or now_ns - known[0] > _LOOK_UP_NS:
            try:
                found: Entry | Refusal = self.entry_to(venue, asset, network)
            except Refusal as refusal:
                found = refusal
            known = self._looked_up[key] = (now_ns, found)
        if isinstance(known[1], Refusal):
            raise known[1]
        return known[1]

    def check_amount(self, venue: str, asset: str, amount: Decimal, address: str) -> None:
        """Raise `Refusal` for more than may leave at once or in a day, and beside what is not known to have ended."""
        if not amount.is_finite() or amount <= 0:
            raise Refusal("the amount is not above zero")
        for what, limits, total in (
            ("max_per_transfer", self._settings.max_per_transfer, amount),
            ("daily_cap", self._settings.daily_cap, amount + self._spent.last_day(asset, self._clock.now_ns())),
        ):
            allowed = limits.get(asset)
            if allowed is None:
                raise Refusal(f"transfers.{what} names no {asset}")
            if total > allowed:
                raise Refusal(f"transfers.{what}: {total:f} {asset}, {allowed:f} are allowed")
        for one in self._spent.unfinished(venue):
            if one.state in ("intent", "unknown"):
                raise Refusal(f"the outcome of withdrawal {one.id} at {venue} is not known")
            if (one.asset, one.amount, one.address) == (asset, amount, address):
                raise Refusal(f"withdrawal {one.id} is on its way: the same amount to the same address")

    async def network(self, venue: str, entry: Entry) -> AssetNetwork:
        """The network that the entry names, as the venue tells of it now: open at both ends.

        Raises:
            Refusal: If money would not get through.
        """
        try:
            here = _of_chain(await self._operations[venue].networks(entry.asset), entry.network)
            if here is None:
                raise Refusal(f"{venue} has no network {entry.network} for {entry.asset}")
            if not here.can_withdraw:
                raise Refusal(f"{venue} has suspended withdrawals of {entry.asset} on {entry.network}")
            if entry.venue is not None:
                await self._check_other_side(entry, here)
        except VenueError as error:
            raise Refusal(f"the networks cannot be asked for: {error}") from None
        return here

    async def _check_other_side(self, entry: Entry, here: AssetNetwork) -> None:
        assert entry.venue is not None
        operations = self._operations.get(entry.venue)
        if operations is None:
            raise Refusal(f"{entry.venue} cannot be asked whether it takes deposits")
        there = _of_chain(await operations.networks(entry.asset), entry.network)
        if there is None:
            raise Refusal(f"{entry.venue} has no network {entry.network} for {entry.asset}")
        way = match(here, there)
        if isinstance(way, NetworkRefusal):
            raise Refusal(way.reason)
        if (entry.address, entry.memo) != await operations.deposit_address(there):
            raise Refusal(f"address or memo of {entry.name!r} are not those at which {entry.venue} takes deposits now")


def _of_chain(networks: Sequence[AssetNetwork], chain: str) -> AssetNetwork | None:
    return next((one for one in networks if one.chain == chain), None)


def _with_memo(entry: Entry) -> Entry:
    if entry.asset in NEEDS_MEMO and not entry.memo:
        raise Refusal(f"{entry.asset} needs a memo, and {entry.name!r} has none in the allow-list")
    return entry


def on_grid(network: AssetNetwork, amount: Decimal) -> Decimal:
    """As much of an amount as the network takes: the multiple of its step that is not above it."""
    return amount if network.step is None else amount - amount % network.step


def check_grid(network: AssetNetwork, amount: Decimal) -> None:
    """Raise `Refusal` for an amount that the network does not take."""
    least, most, step = network.min_withdraw, network.max_withdraw, network.step
    assert least is not None, "withdrawals are offered"
    # Of some venues the least is what arrives, of others what leaves: this much is enough for both.
    if amount - network.fee(amount) < least:
        raise Refusal(f"{amount:f} less the fee is below the least that leaves on {network.name}, {least:f}")
    if most is not None and amount > most:
        raise Refusal(f"{amount:f} is above the most that leaves on {network.name}, {most:f}")
    if step is not None and amount % step:
        raise Refusal(f"{amount:f} is no multiple of {step:f}, the step of {network.name}")
