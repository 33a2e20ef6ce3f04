"""Money of one account that moves: between its wallets, away, and in."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

from bot.matching.cash import exact
from exchanges.simulator.accounts.chain import Payment
from exchanges.simulator.accounts.house import House
from exchanges.simulator.accounts.money import Money
from exchanges.simulator.accounts.networks import ADDRESS_FORM
from exchanges.simulator.accounts.outbox import Outbox
from exchanges.simulator.core.values import AccountChanged, Cause, Network, Refusal, TransferView

_QUANTUM = Decimal("1e-8")
"""What the smallest unit of a withdrawal is, whatever the asset."""


class Transfers:
    """The money movements of one account; a `Sender` and a `Receiver` of the chain."""

    def __init__(self, house: House, money: Money, outbox: Outbox, owner: str) -> None:
        """`owner` makes the account's addresses: the same text gives the same ones."""
        self._house = house
        self._money = money
        self._outbox = outbox
        self._owner = owner
        self._sent: list[Payment] = []
        self._received: list[Payment] = []
        self._paid_from: dict[int, str] = {}
        """By number of a withdrawal: the wallet that it left."""

    def move(self, asset: str, amount: Decimal, *, source: str, target: str, ts_ns: int) -> int | Refusal:
        """Between wallets, at once; the transfer's number."""
        names = self._house.rules.wallet_names
        if source not in names or target not in names or source == target:
            return Refusal.BAD_ADDRESS
        refusal = self._refuse_amount(source, asset, amount)
        if refusal is not None:
            return refusal
        self._change(Cause.TRANSFER, source, asset, -amount, ts_ns)
        self._change(Cause.TRANSFER, target, asset, amount, ts_ns)
        return self._house.next_number()

    def withdraw(
        self, asset: str, network: str, amount: Decimal, address: str, tag: str, client_id: str, wallet: str, ts_ns: int
    ) -> TransferView | Refusal:
        """Send `amount` away; the network's fee comes on top of it, from the same wallet."""
        wallet = wallet or self._house.rules.funding_wallet
        way = self._house.network(asset, network)
        refusal = self._refuse_way(way, address, client_id, wallet)
        if way is None or refusal is not None:
            return refusal or Refusal.UNKNOWN_NETWORK
        # More than was told is taken from what would arrive: what leaves the wallet is what was asked for.
        surcharge = self._house.surcharge(network)
        way, amount = replace(way, withdraw_fee=way.withdraw_fee + surcharge), amount - surcharge
        if amount.is_finite() and 0 < amount < way.min_withdraw:
            return Refusal.AMOUNT_TOO_SMALL
        refusal = self._refuse_amount(wallet, asset, amount, way.withdraw_fee)
        if refusal is not None:
            return refusal
        return self._send(
            Payment(self._house.next_number(), way, amount, address, tag, client_id, ts_ns), wallet, ts_ns
        )

    def withdrawals(self) -> Sequence[TransferView]:
        """Oldest first."""
        return [one.withdrawal() for one in self._sent]

    def deposits(self) -> Sequence[TransferView]:
        """Oldest first; from the moment that the chain shows them."""
        return [one.deposit() for one in self._received]

    def deposit_address(self, asset: str, network: str) -> tuple[str, str] | Refusal:
        """Address and tag (always empty: none of the networks needs one)."""
        way = self._house.network(asset, network)
        if way is None:
            return Refusal.UNKNOWN_NETWORK
        form = ADDRESS_FORM[network]
        address = form + hashlib.sha256(f"{self._owner}:{form}".encode()).hexdigest()[:40]
        self._house.chain.own(address, self)
        return address, ""

    # The chain's side

    def gives_up(self, payment: Payment) -> bool:
        """Whether the venue will not send it."""
        return self._house.is_giving_up(payment.network.id)

    def may_leave(self, payment: Payment) -> bool:
        """Whether withdrawals of the network are open."""
        now = self._house.network(payment.network.asset, payment.network.id)
        return now is not None and now.can_withdraw

    @exact
    def take_back(self, payment: Payment, ts_ns: int) -> None:
        """Book what was given up back to the wallet that it left, and its fee."""
        way, own_ns = payment.network, self._house.own_ns(ts_ns)
        self._house.collect(way.asset, -way.withdraw_fee)
        whole = payment.amount + way.withdraw_fee
        self._change(Cause.WITHDRAWAL, self._paid_from[payment.number], way.asset, whole, own_ns)

    def expect(self, payment: Payment) -> bool:
        """See it on the chain."""
        way = self._house.network(payment.network.asset, payment.network.id)
        if way is None:
            return False
        payment.needed = way.confirmations
        self._received.append(payment)
        return True

    def may_arrive(self, payment: Payment) -> bool:
        """Whether deposits of the network are open."""
        way = self._house.network(payment.network.asset, payment.network.id)
        return way is not None and way.can_deposit

    def credit(self, payment: Payment, ts_ns: int) -> None:
        """Book a confirmed deposit."""
        wallet, own_ns = self._house.rules.funding_wallet, self._house.own_ns(ts_ns)
        self._change(Cause.DEPOSIT, wallet, payment.network.asset, payment.amount, own_ns)

    def _send(self, payment: Payment, wallet: str, ts_ns: int) -> TransferView:
        way = payment.network
        self._house.collect(way.asset, way.withdraw_fee)
        self._sent.append(payment)
        self._paid_from[payment.number] = wallet
        self._change(Cause.WITHDRAWAL, wallet, way.asset, -(payment.amount + way.withdraw_fee), ts_ns)
        payment.goes_astray = self._house.is_mislabelled(way.id)
        sent_ns = self._house.market_ns(ts_ns)
        self._house.chain.send(payment, self._house.rules.processing_s, self, sent_ns)
        return payment.withdrawal()

    def _refuse_way(self, way: Network | None, address: str, client_id: str, wallet: str) -> Refusal | None:
        if way is None:
            return Refusal.UNKNOWN_NETWORK
        if not way.can_withdraw:
            return Refusal.WITHDRAWAL_SUSPENDED
        if wallet not in self._house.rules.wallet_names or not address.startswith(ADDRESS_FORM[way.id]):
            return Refusal.BAD_ADDRESS
        if client_id and any(one.client_id == client_id for one in self._sent):
            return Refusal.DUPLICATE_CLIENT_ID
        return None

    @exact
    def _refuse_amount(self, wallet: str, asset: str, amount: Decimal, fee: Decimal = Decimal(0)) -> Refusal | None:
        if not amount.is_finite() or amount <= 0 or amount % _QUANTUM:
            return Refusal.BAD_QUANTITY
        return Refusal.INSUFFICIENT_BALANCE if amount + fee > self._money.free(wallet, asset) else None

    def _change(self, cause: Cause, wallet: str, asset: str, amount: Decimal, ts_ns: int) -> None:
        self._money.add(wallet, asset, amount)
        balance = self._money.balance(wallet, asset)
        self._outbox.tell(AccountChanged(cause, (balance,), (), ts_ns, asset=asset, amount=amount))
