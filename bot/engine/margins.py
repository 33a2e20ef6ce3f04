"""How the margin wallets stand, now and with a proposal filled: by the venues' own figures where they tell them.

Of a position that the venue has told a margin of, that margin counts, moved along with the price since; its liquidation
price bounds the distance. Where the venue tells sums of the whole wallet, equity and maintenance begin with these: they
count positions of other programs, and collateral that is not the settle asset. A figure of an open position that is
missing, negative or no number makes the wallet's figures NaN, and every limit refuses.
"""

from collections.abc import Mapping, Sequence
from math import inf
from typing import NamedTuple

from bot.domain.instrument import Feed, Instrument, Segment
from bot.domain.margin import MarginSource, WalletMargin
from bot.domain.order import Side
from bot.domain.route import Route, TradeLeg
from bot.engine.margin_wallets import HeldPosition, MarginWallet, as_told, held_position, valued, wallet_name
from bot.engine.slot import InstrumentSlot
from bot.ports import Actions, TellsMargins
from bot.risk.limits import Proposal
from bot.risk.maintenance import Maintenance
from bot.risk.margin import MarginAfter, MarginPosition, margin_figures

_NAN = float("nan")
_DOLLARS = frozenset({"USD", "USDT", "USDC"})
"""What a venue's sums in USD are counted against one to one."""
_LEAST_SURE = (MarginSource.ASSUMED, MarginSource.TIERS, MarginSource.VENUE)


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

    wallet: MarginWallet
    slot: InstrumentSlot | None
    """Of its first leg there: whose volatility counts."""
    added: tuple[_Added, ...]


class Margins:
    """Takes balances and positions from the venues when they may have changed, and values them at each question."""

    def __init__(self, actions: Actions, slots: Mapping[str, InstrumentSlot], maintenance_ratio: float) -> None:
        """`maintenance_ratio` is assumed where a venue tells nothing."""
        self._actions = actions
        self._telling = actions if isinstance(actions, TellsMargins) else None
        self._slots = slots
        self._maintenance_ratio = maintenance_ratio
        self._wallets: dict[str, MarginWallet | None] = {}
        self._touched: dict[str, tuple[_Touched, ...] | None] = {}
        """By route: what does not change with prices."""
        self._maintenance: dict[str, Maintenance] = {}
        """By instrument."""
        self._proposal: Proposal | None = None
        self._after: Sequence[MarginAfter] | None = None

    def changed(self) -> None:
        """Balances or positions may be others: a fill, a payment, a second that has passed."""
        self._wallets.clear()
        self._touched.clear()
        self._maintenance.clear()
        self._proposal = None

    def after(self, proposal: Proposal) -> Sequence[MarginAfter] | None:
        """Each margin wallet that the proposal touches; None where a wallet or a price is not known.

        Several limits ask about the same proposal: it is answered once.
        """
        if proposal is not self._proposal:
            self._proposal, self._after = proposal, self._figures(proposal)
        return self._after

    def now(self) -> Sequence[MarginAfter]:
        """Each margin wallet of the run's instruments that is known, as it stands; NaN where its figures are broken."""
        for slot in self._slots.values():
            if slot.instrument.is_perpetual:
                self._wallet(slot.instrument)
        wallets = {wallet.name: wallet for wallet in self._wallets.values() if wallet is not None}
        return [self._stand(wallet, (), None) for wallet in wallets.values()]

    def assumed(self) -> Sequence[Feed]:
        """Feeds with an instrument whose maintenance margin no venue tells."""
        perpetuals = [slot.instrument for slot in self._slots.values() if slot.instrument.is_perpetual]
        untold = [one for one in perpetuals if self._telling is None or self._telling.margin_tiers(one) is None]
        return tuple(dict.fromkeys(one.feed for one in untold))

    def is_flat(self) -> bool:
        """Whether no venue has a position: then there is nothing to be liquidated."""
        return not self._actions.positions()

    def held_in(self, wallet_name: str) -> frozenset[str]:
        """Ids of the instruments that a wallet holds positions in."""
        wallets = (wallet for wallet in self._wallets.values() if wallet is not None and wallet.name == wallet_name)
        return frozenset(held.instrument.id for wallet in wallets for held in wallet.held)

    def lacking(self, wallet_name: str, distance_bps: float) -> float:
        """Units of its settle asset that bring a wallet to this distance from its liquidation; 0 where it is there.

        NaN where its figures are broken, or its contracts are inverse: what coins come to falls with their price.
        """
        wallet = next((one for one in self._wallets.values() if one is not None and one.name == wallet_name), None)
        positions = None if wallet is None or wallet.is_broken else self._valued(wallet, ())[0]
        if wallet is None or positions is None or any(one.is_inverse for one in positions):
            return _NAN
        # The distance is linear in cash, from where it is above 0: two points that surely are tell the line.
        far = 10.0 * (abs(wallet.cash) + sum(abs(one.notional) + abs(one.unrealised) for one in positions)) + 1.0
        near_bps, far_bps = (
            margin_figures(cash, positions, self._needed, wallet.beside)[1] for cash in (far, 2.0 * far)
        )
        if not near_bps < far_bps < inf:
            return 0.0 if near_bps == inf else _NAN
        return max(0.0, far + far * (distance_bps - near_bps) / (far_bps - near_bps) - wallet.cash)

    def _figures(self, proposal: Proposal) -> Sequence[MarginAfter] | None:
        route = proposal.route
        if route.id not in self._touched:
            self._touched[route.id] = self._find_touched(route)
        touched = self._touched[route.id]
        if touched is None:
            return None
        found: list[MarginAfter] = []
        for wallet, slot, added in touched:
            if any(self._price(held.instrument) is None for held in wallet.held):
                return None
            found.append(self._stand(wallet, [one.filled(proposal) for one in added], slot))
        return found

    def _stand(self, wallet: MarginWallet, added: Sequence[MarginPosition], slot: InstrumentSlot | None) -> MarginAfter:
        """A wallet with these positions added, at the prices now."""
        positions, bound_bps = self._valued(wallet, added)
        volatility = None if slot is None else slot.statistics.volatility_bps_per_sqrt_s
        if wallet.is_broken or positions is None:
            return MarginAfter(wallet.name, wallet.venue, _NAN, _NAN, volatility)
        positions += added
        ratio, distance_bps = margin_figures(wallet.cash, positions, self._needed, wallet.beside)
        # NaN first: the smaller of it and a number must be NaN.
        distance_bps = min(distance_bps, bound_bps) if distance_bps == distance_bps else distance_bps
        return MarginAfter(wallet.name, wallet.venue, ratio, distance_bps, volatility, self._source(positions))

    def _valued(
        self, wallet: MarginWallet, added: Sequence[MarginPosition]
    ) -> tuple[list[MarginPosition] | None, float]:
        """What the wallet carries at the prices now, None where one has no price; and the nearest liquidation price.

        The liquidation price of a position that is made smaller moves away.
        """
        positions, bound_bps = [], inf
        for held in wallet.held:
            price = self._price(held.instrument)
            if price is None:
                return None, bound_bps
            positions.append(valued(held, price))
            smaller = any(one.instrument == held.instrument.id and one.notional * held.quantity < 0 for one in added)
            if not smaller:
                bound_bps = min(bound_bps, held.distance_bps(price))
        return positions, bound_bps

    def _needed(self, instrument: str, notional: float) -> float:
        return self._maintenance[instrument].needed(notional)

    def _source(self, positions: Sequence[MarginPosition]) -> MarginSource:
        """The least sure of them."""
        by_instrument: dict[str, float] = {}
        for one in positions:
            by_instrument[one.instrument] = by_instrument.get(one.instrument, 0.0) + one.notional
        found = {self._maintenance[name].source(notional) for name, notional in by_instrument.items()}
        return next((source for source in _LEAST_SURE if source in found), MarginSource.VENUE)

    def _find_touched(self, route: Route) -> tuple[_Touched, ...] | None:
        """Each wallet once: legs that lie in it are counted together. None where one is not known."""
        legs: dict[str, list[TradeLeg]] = {}
        wallets: dict[str, MarginWallet] = {}
        for leg in route.opening:
            if not leg.instrument.is_perpetual:
                continue
            wallet = self._wallet(leg.instrument)
            if wallet is None:
                return None
            if leg.instrument.id not in self._maintenance:
                self._maintenance[leg.instrument.id] = self._terms(leg.instrument, None)
            wallets[wallet.name] = wallet
            legs.setdefault(wallet.name, []).append(leg)
        return tuple(
            _Touched(wallets[name], self._slots.get(own[0].instrument.id), tuple(_added(leg) for leg in own))
            for name, own in legs.items()
        )

    def _price(self, instrument: Instrument) -> float | None:
        """Mid now, or lately on average; None for what is not watched."""
        slot = self._slots.get(instrument.id)
        if slot is None:
            return None
        return slot.statistics.mean_mid if slot.quote is None else slot.quote.mid

    def _wallet(self, instrument: Instrument) -> MarginWallet | None:
        if instrument.id not in self._wallets:
            self._wallets[instrument.id] = self._find(instrument)
        return self._wallets[instrument.id]

    def _find(self, instrument: Instrument) -> MarginWallet | None:
        """The balance that settles an instrument, with all positions that it carries; None where there is none."""
        cash = {b.wallet: b.total for b in self._actions.balances() if b.asset == instrument.settle}
        name = wallet_name(instrument, cash)
        if name is None:
            return None
        label = f"{name} {instrument.settle}"
        same = next((known for known in self._wallets.values() if known is not None and known.name == label), None)
        if same is not None:
            return same  # one object for one wallet, whichever instrument asked first
        positions = [
            position
            for position in self._actions.positions()
            if position.instrument.settle == instrument.settle and wallet_name(position.instrument, cash) == name
        ]
        held = tuple(held_position(position) for position in positions)
        for one in held:
            self._maintenance[one.instrument.id] = self._terms(one.instrument, one)
        told = self._told(name, instrument)
        if not all(each is None or each.is_usable for each in (told, *(one.margin for one in positions))):
            return MarginWallet(label, instrument.venue, _NAN, _NAN, held, is_broken=True)
        cash_now, beside = as_told(float(cash[name]), held, told)
        return MarginWallet(label, instrument.venue, cash_now, beside, held, is_broken=False)

    def _told(self, wallet: str, instrument: Instrument) -> WalletMargin | None:
        """The venue's own sums of what is margin for the instrument."""
        if self._telling is None:
            return None
        for one in self._telling.wallet_margins():
            whole = one.asset is None and instrument.settle in _DOLLARS
            if one.wallet == wallet and (whole or one.asset == instrument.settle):
                return one
        return None

    def _terms(self, instrument: Instrument, held: HeldPosition | None) -> Maintenance:
        tiers = None if self._telling is None else self._telling.margin_tiers(instrument)
        if held is None or held.maintenance is None:
            return Maintenance(self._maintenance_ratio, tiers)
        counted_at = abs(held.told().notional)
        price = self._price(instrument)
        now = counted_at if price is None else abs(valued(held, price).notional)
        return Maintenance(self._maintenance_ratio, tiers, held.maintenance / counted_at, now)


def _added(leg: TradeLeg) -> _Added:
    one = leg.instrument
    return _Added(one.id, one.base, leg.side.sign, leg.side is Side.BUY, one.segment is Segment.INVERSE)
