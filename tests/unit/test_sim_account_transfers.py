"""Money of simulated accounts on its way: between wallets, over a chain, held up, lost."""

from dataclasses import replace
from decimal import Decimal
from statistics import fmean

import pytest

from exchanges.simulator.accounts.account import SimulatedAccount
from exchanges.simulator.accounts.chain import Chain
from exchanges.simulator.accounts.exchange import SimulatedExchange
from exchanges.simulator.accounts.pump import Pump
from exchanges.simulator.accounts.rules import VenueRules, binance_rules
from exchanges.simulator.core.values import Cause, Network, Refusal, TransferState, TransferView
from tests.unit.sim_account_market import FixedMarket

D = Decimal
HOUR = 3_600_000_000_000
ELSEWHERE = "Tsomebodyelse"


class World:
    """Two venues on one chain, moved by hand."""

    def __init__(self, time_scale: float = 1.0, rules: VenueRules | None = None, seed: int = 3) -> None:
        market = FixedMarket()
        self.chain = Chain(seed, time_scale=time_scale)
        self.binance = SimulatedExchange("binance", market, chain=self.chain, rules=rules)
        self.bybit = SimulatedExchange("bybit", market, chain=self.chain)
        self.pump = Pump([self.binance, self.bybit], market)
        self.sender, self.receiver = (self.customer(one) for one in (self.binance, self.bybit))

    @staticmethod
    def customer(exchange: SimulatedExchange) -> SimulatedAccount:
        account = exchange.account(exchange.credentials.api_key)
        assert account is not None
        return account

    def address(self, asset: str, network: str) -> str:
        found = self.receiver.deposit_address(asset, network)
        assert isinstance(found, tuple)
        return found[0]

    def send(
        self, amount: str = "100", address: str | None = None, client_id: str = "", **more
    ) -> TransferView | Refusal:
        to = self.address("USDT", "tron") if address is None else address
        return self.sender.withdraw("USDT", "tron", D(amount), to, "", client_id, self.pump.now_ns(), **more)

    def pass_time(self, hours: float) -> None:
        self.pump.advance_to(self.pump.now_ns() + round(hours * HOUR))


def total(account: SimulatedAccount, wallet: str, asset: str = "USDT") -> Decimal:
    return next((one.total for one in account.balances() if (one.wallet, one.asset) == (wallet, asset)), D(0))


def test_moves_between_wallets_at_once():
    account = World().sender
    assert isinstance(account.move("USDT", D("10.5"), source="spot", target="linear", ts_ns=1), int)
    assert (total(account, "spot"), total(account, "linear")) == (D("99989.5"), D("100010.5"))
    assert [(one.cause, one.amount, one.balances[0].wallet) for one in account.income()] == [
        (Cause.TRANSFER, D("-10.5"), "spot"), (Cause.TRANSFER, D("10.5"), "linear"),
    ]  # fmt: skip


@pytest.mark.parametrize(("amount", "source", "target", "refusal"), [
    ("1", "spot", "unified", Refusal.BAD_ADDRESS),
    ("1", "spot", "spot", Refusal.BAD_ADDRESS),
    ("0", "spot", "linear", Refusal.BAD_QUANTITY),
    ("-1", "spot", "linear", Refusal.BAD_QUANTITY),
    ("NaN", "spot", "linear", Refusal.BAD_QUANTITY),
    ("1e-9", "spot", "linear", Refusal.BAD_QUANTITY),
    ("1e50", "spot", "linear", Refusal.INSUFFICIENT_BALANCE),
    ("100000.00000001", "spot", "linear", Refusal.INSUFFICIENT_BALANCE),
])  # fmt: skip
def test_refuses_moves(amount, source, target, refusal):
    account = World().sender
    assert account.move("USDT", D(amount), source=source, target=target, ts_ns=1) is refusal
    assert not account.income()


def test_a_withdrawal_arrives_at_the_other_venue_when_it_is_confirmed():
    world = World()
    sent = world.send()
    assert isinstance(sent, TransferView)
    assert (sent.state, sent.amount, sent.fee, sent.tx_id) == (TransferState.PROCESSING, 100, 1, "")
    assert total(world.sender, "spot") == 100_000 - 101
    assert world.chain.on_its_way("USDT") == 100
    states = set()
    while not world.receiver.income():
        world.pump.advance_to(world.pump.next_event_ns())
        states |= {(one.state, one.confirmations) for one in world.receiver.deposits()}
        assert world.chain.on_its_way("USDT") + total(world.receiver, "fund") == 100
    assert states == {(TransferState.CONFIRMING, seen) for seen in range(20)} | {(TransferState.DONE, 20)}
    (deposit,), (withdrawal,) = world.receiver.deposits(), world.sender.withdrawals()
    assert (withdrawal.state, withdrawal.tx_id, withdrawal.address) == (
        TransferState.DONE,
        deposit.tx_id,
        deposit.address,
    )
    assert (deposit.fee, deposit.client_id) == (0, "")
    (income,) = world.receiver.income()
    assert (income.cause, income.asset, income.amount) == (Cause.DEPOSIT, "USDT", 100)
    assert world.binance.fees == {"USDT": 1}


@pytest.mark.parametrize(("changes", "refusal"), [
    ({"amount": "8.99"}, Refusal.AMOUNT_TOO_SMALL),
    ({"amount": "-5"}, Refusal.BAD_QUANTITY),
    ({"amount": "NaN"}, Refusal.BAD_QUANTITY),
    ({"amount": "100000"}, Refusal.INSUFFICIENT_BALANCE),
    ({"address": "0xabc"}, Refusal.BAD_ADDRESS),
    ({"wallet": "unified"}, Refusal.BAD_ADDRESS),
])  # fmt: skip
def test_refuses_withdrawals(changes, refusal):
    world = World()
    assert world.send(**changes) is refusal
    assert total(world.sender, "spot") == 100_000
    assert not world.sender.withdrawals()


def test_knows_which_networks_carry_what():
    account = World().sender
    assert account.deposit_address("BTC", "tron") is Refusal.UNKNOWN_NETWORK
    assert account.withdraw("BTC", "tron", D(1), "T1", "", "", 1) is Refusal.UNKNOWN_NETWORK
    assert account.deposit_address("USDT", "bsc") == account.deposit_address("ETH", "ethereum")
    assert account.deposit_address("BTC", "bitcoin") != account.deposit_address("USDT", "tron")
    assert {(one.asset, one.id) for one in account.networks()} >= {
        ("BTC", "bitcoin"),
        ("USDT", "tron"),
        ("ETH", "ethereum"),
    }


def test_a_client_id_sends_once():
    world = World()
    assert isinstance(world.send(client_id="w1"), TransferView)
    assert world.send(client_id="w1") is Refusal.DUPLICATE_CLIENT_ID
    assert len(world.sender.withdrawals()) == 1


def test_leaves_another_wallet_where_it_is_named():
    world = World()
    assert isinstance(world.send(wallet="linear"), TransferView)
    assert (total(world.sender, "spot"), total(world.sender, "linear")) == (100_000, 99_899)


def test_what_nobody_owns_is_gone():
    world = World()
    world.send(address=ELSEWHERE)
    world.pass_time(24)
    assert world.sender.withdrawals()[0].state is TransferState.DONE
    assert (world.chain.outside["USDT"], world.chain.on_its_way("USDT")) == (100, 0)


def test_a_venue_that_does_not_take_the_network_never_credits_it():
    only_tron = tuple(one for one in binance_rules().networks if one.id != "bsc")
    world = World()
    world.bybit.rules = replace(world.bybit.rules, networks=only_tron)
    address = world.address("USDT", "ethereum")
    world.sender.withdraw("USDT", "bsc", D(50), address, "", "", world.pump.now_ns())
    world.pass_time(24)
    assert (world.chain.outside["USDT"], world.receiver.deposits()) == (50, [])
    world.sender.withdraw("USDT", "ethereum", D(50), address, "", "", world.pump.now_ns())
    world.pass_time(24)
    assert total(world.receiver, "fund") == 50


def test_suspended_where_it_leaves_new_ones_are_refused_and_started_ones_wait():
    world = World()
    world.send()
    world.binance.suspend("tron")
    assert world.send() is Refusal.WITHDRAWAL_SUSPENDED
    assert not any(one.can_withdraw for one in world.sender.networks() if one.id == "tron")
    world.pass_time(24)
    assert world.sender.withdrawals()[0].state is TransferState.PROCESSING
    world.binance.resume("tron")
    world.pass_time(24)
    assert world.sender.withdrawals()[0].state is TransferState.DONE


def test_suspended_where_it_arrives_it_is_held_until_deposits_open():
    world = World()
    world.bybit.suspend("tron")
    world.send()
    world.pass_time(24)
    assert (world.receiver.deposits()[0].state, total(world.receiver, "fund")) == (TransferState.CONFIRMING, 0)
    assert world.chain.on_its_way("USDT") == 100
    world.bybit.resume("tron")
    assert (world.receiver.deposits()[0].state, total(world.receiver, "fund")) == (TransferState.DONE, 100)


def _durations(confirmations: int, count: int, time_scale: float = 1.0) -> list[float]:
    """Minutes that payments take with ten-minute blocks, one after another so that each has blocks of its own."""
    way = Network("bitcoin", "BTC", D("0.0001"), D("0.001"), confirmations, 600.0)
    rules = replace(binance_rules(), networks=(way,), processing_s=1e-6)
    world = World(time_scale, rules)
    taken = []
    for _ in range(count):
        start = world.pump.now_ns()
        world.sender.withdraw("BTC", "bitcoin", D("0.001"), "bc1qelsewhere", "", "", start)
        while world.chain.on_its_way("BTC"):
            world.pump.advance_to(world.pump.next_event_ns())
        taken.append((world.pump.now_ns() - start) / 60e9)
    return taken


@pytest.mark.parametrize(("confirmations", "mean", "p95"), [(1, 10, 30), (2, 20, 47.4), (4, 40, 77.5)])
def test_confirmations_take_an_erlang_time(confirmations, mean, p95):
    taken = sorted(_durations(confirmations, 1500))
    # Three standard errors: of the mean sd/√n, of the share below a quantile √(p(1−p)/n).
    assert fmean(taken) == pytest.approx(mean, abs=3 * 10 * confirmations**0.5 / 1500**0.5)
    assert sum(one <= p95 for one in taken) / 1500 == pytest.approx(0.95, abs=3 * (0.95 * 0.05 / 1500) ** 0.5)


def test_time_scale_makes_the_same_transfer_faster():
    slow, fast = _durations(4, 5), _durations(4, 5, time_scale=600)
    assert [one / 600 for one in slow] == pytest.approx(fast, rel=1e-6)


def test_blocks_are_shared_by_the_payments_of_a_network():
    world = World(rules=replace(binance_rules(), processing_s=1e-6))
    world.send()
    world.send()
    world.pass_time(24)
    first, second = world.receiver.deposits()
    assert first.updated_ns == second.updated_ns
    assert first.tx_id != second.tx_id


def test_the_same_seed_takes_the_same_time():
    ends = []
    for seed in (1, 1, 2):
        world = World(seed=seed)
        world.send()
        world.pass_time(24)
        ends.append(world.receiver.deposits()[0].updated_ns)
    assert ends[0] == ends[1] != ends[2]


def test_a_withdrawal_that_is_given_up_comes_back_with_its_fee():
    world = World(time_scale=1e6)
    before, fees = total(world.sender, "spot"), world.binance.fees["USDT"]
    world.binance.give_up("tron")
    assert isinstance(world.send("100"), TransferView)
    assert total(world.sender, "spot") < before
    world.pass_time(1)
    (sent,) = world.sender.withdrawals()
    assert sent.state is TransferState.FAILED
    assert total(world.sender, "spot") == before
    assert (world.binance.fees["USDT"], world.chain.on_its_way("USDT")) == (fees, 0)
    assert not world.receiver.deposits()
    world.binance.send_again("tron")
    world.send("100")
    world.pass_time(1)
    assert world.sender.withdrawals()[-1].state is TransferState.DONE


def test_a_fee_above_what_is_told_is_taken_from_what_arrives():
    world = World(time_scale=1e6)
    before, told = total(world.sender, "spot"), world.binance.network("USDT", "tron")
    world.binance.overcharge("tron", D("0.25"))
    assert world.binance.network("USDT", "tron") == told
    sent = world.send("100")
    assert isinstance(sent, TransferView)
    assert (sent.amount, sent.fee) == (D("99.75"), D("1.25"))
    world.pass_time(1)
    assert before - total(world.sender, "spot") == D(101)
    assert world.receiver.deposits()[0].amount == D("99.75")
