"""How the margin wallets would stand with a proposal filled."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from bot.domain.account import Position
from bot.domain.instrument import Instrument, Segment
from bot.domain.order import Side
from bot.domain.route import Route, TradeLeg
from bot.engine.slot import InstrumentSlot
from bot.ports import Actions
from bot.risk.limits import Proposal
from bot.risk.margin import MarginAfter, MarginPosition, margin_figures


class _Held(NamedTuple):
    """A position in floats; quantity signed, in contracts times multiplier."""

    instrument: Instrument
    quantity: float
    average_price: float


class _Wallet(NamedTuple):
    name: str
    cash: float
    held: tuple[_Held, ...]


class _Added(NamedTuple):
    """What a leg of a route adds to a wallet, but for the size."""

    instrument: str
    base: str
    sign: int
    is_bought: bool
    is_inverse: bool

    def filled(self, proposal: Proposal) -> MarginPosition:
        """The leg at its price, in the settle asset: no profit yet."""
        notional = self.sign * proposal.quantity
        if not self.is_inverse:
            notional *= proposal.buy_price if self.is_bought else proposal.sell_price
        return MarginPosition(self.instrument, self.base, notional, 0.0, self.is_inverse)


class _Touched(NamedTuple):
    """A wallet that a route trades from."""

    wallet: _Wallet
    venue: str
    slot: InstrumentSlot | None
    """Of its first leg there: whose volatility counts."""
    added: tuple[_Added, ...]


class Margins:
    """Takes balances and positions from the venues when they may have changed, and values them at each question."""

    def __init__(self, actions: Actions, slots: Mapping[str, InstrumentSlot], maintenance_ratio: float) -> None:
        self._actions = actions
        self._slots = slots
        self._maintenance_ratio = maintenance_ratio
        self._wallets: dict[str, _Wallet | None] = {}
        self._touched: dict[str, tuple[_Touched, ...] | None] = {}
        """By route: what does not change with prices."""
        self._proposal: Proposal | None = None
        self._after: Sequence[MarginAfter] | None = None

    def changed(self) -> None:
        """Balances or positions may be others: a fill, a payment, a second that has passed."""
        self._wallets.clear()
        self._touched.clear()
        self._proposal = None

    def after(self, proposal: Proposal) -> Sequence[MarginAfter] | None:
        """Each margin wallet that the proposal touches; None where a wallet or a price is not known.

        Several limits ask about the same proposal: it is answered once.
        """
        if proposal is not self._proposal:
            self._proposal, self._after = proposal, self._figures(proposal)
        return self._after

    def _figures(self, proposal: Proposal) -> Sequence[MarginAfter] | None:
        route = proposal.route
        if route.id not in self._touched:
            self._touched[route.id] = self._find_touched(route)
        touched = self._touched[route.id]
        if touched is None:
            return None
        found: list[MarginAfter] = []
        for wallet, venue, slot, added in touched:
            positions = self._valued(wallet)
            if positions is None:
                return None
            positions += [one.filled(proposal) for one in added]
            ratio, distance_bps = margin_figures(wallet.cash, positions, self._maintenance_ratio)
            volatility = None if slot is None else slot.statistics.volatility_bps_per_sqrt_s
            found.append(MarginAfter(wallet.name, venue, ratio, distance_bps, volatility))
        return found

    def _find_touched(self, route: Route) -> tuple[_Touched, ...] | None:
        """Each wallet once: legs that lie in it are counted together. None where one is not known."""
        legs: dict[str, list[TradeLeg]] = {}
        wallets: dict[str, _Wallet] = {}
        for leg in route.opening:
            if not leg.instrument.is_perpetual:
                continue
            wallet = self._wallet(leg.instrument)
            if wallet is None:
                return None
            wallets[wallet.name] = wallet
            legs.setdefault(wallet.name, []).append(leg)
        return tuple(
            _Touched(
                wallets[name],
                own[0].instrument.venue,
                self._slots.get(own[0].instrument.id),
                tuple(_added(leg) for leg in own),
            )
            for name, own in legs.items()
        )

    def _valued(self, wallet: _Wallet) -> list[MarginPosition] | None:
        """What the wallet carries at the prices now; None where one has no price."""
        positions = []
        for held in wallet.held:
            price = self._price(held.instrument)
            if price is None:
                return None
            positions.append(_valued(held, price))
        return positions

    def _price(self, instrument: Instrument) -> float | None:
        """Mid now, or lately on average; None for what is not watched."""
        slot = self._slots.get(instrument.id)
        if slot is None:
            return None
        return slot.statistics.mean_mid if slot.quote is None else slot.quote.mid

    def _wallet(self, instrument: Instrument) -> _Wallet | None:
        if instrument.id not in self._wallets:
            self._wallets[instrument.id] = self._find(instrument)
        return self._wallets[instrument.id]

    def _find(self, instrument: Instrument) -> _Wallet | None:
        """The balance that settles an instrument, with all positions that it carries; None where there is none."""
        cash = {b.wallet: b.total for b in self._actions.balances() if b.asset == instrument.settle}
        name = _wallet_name(instrument, cash)
        if name is None:
            return None
        label = f"{name} {instrument.settle}"
        same = next((known for known in self._wallets.values() if known is not None and known.name == label), None)
        if same is not None:
            return same  # one object for one wallet, whichever instrument asked first
        held = [
            _held(position)
            for position in self._actions.positions()
            if position.instrument.settle == instrument.settle and _wallet_name(position.instrument, cash) == name
        ]
        return _Wallet(label, float(cash[name]), tuple(held))


def _wallet_name(instrument: Instrument, known: Mapping[str, object]) -> str | None:
    """A feed's own wallet, or the venue's only one that is not a feed's; None where that is not clear."""
    feed = str(instrument.feed)
    if feed in known:
        return feed
    segments = {f"{instrument.venue}.{segment}" for segment in Segment}
    shared = [name for name in known if name.partition(".")[0] == instrument.venue and name not in segments]
    return shared[0] if len(shared) == 1 else None


def _held(position: Position) -> _Held:
    quantity = float(position.quantity * position.instrument.contract_multiplier)
    return _Held(position.instrument, quantity, float(position.average_price))


def _valued(held: _Held, price: float) -> MarginPosition:
    """In the settle asset: quote units for a linear contract, base units for an inverse one."""
    instrument = held.instrument
    if instrument.segment is Segment.INVERSE:
        value = held.quantity / price
        profit = (held.quantity / held.average_price - value) if held.average_price else 0.0
        return MarginPosition(instrument.id, instrument.base, value, profit, is_inverse=True)
    profit = held.quantity * (price - held.average_price)
    return MarginPosition(instrument.id, instrument.base, held.quantity * price, profit)


def _added(leg: TradeLeg) -> _Added:
    one = leg.instrument
    return _Added(one.id, one.base, leg.side.sign, leg.side is Side.BUY, one.segment is Segment.INVERSE)
