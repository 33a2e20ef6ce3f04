"""Amounts of chains carried between the simulated exchanges, over the wire, through the clients' libraries."""

from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from aiohttp import web

from bot.domain.legs import TransferLeg
from bot.ports.transfers import CarryState
from exchanges.simulator.accounts.chain import Payment
from exchanges.simulator.accounts.transfers import Transfers
from exchanges.simulator.core.values import Cause
from tests.integration.actions_rig import VENUES, until
from tests.integration.carrier_rig import MOVE, OTHER, WITHDRAW, Process, World, carriage, world

D = Decimal
ARRIVED, FAILED, LATE, REFUSED = CarryState.ARRIVED, CarryState.FAILED, CarryState.LATE, CarryState.REFUSED
IN_TRANSIT, UNKNOWN = CarryState.IN_TRANSIT, CarryState.UNKNOWN


@pytest.fixture
async def there(tmp_path: Path) -> AsyncIterator[World]:
    async with world(tmp_path) as one:
        yield one


@pytest.mark.parametrize("source", VENUES)
async def test_an_amount_is_there_once_it_can_be_traded(there: World, source: str) -> None:
    target, run = OTHER[source], Process(there)
    before = {venue: there.held(venue) for venue in VENUES}
    run.carrier.send(carriage(source, "50.123456789"))
    assert run.news == [], "never within send"
    end = await run.end()
    assert run.told() == [IN_TRANSIT, ARRIVED]
    assert (end.sent, end.received) == (D("50.12345678"), D("49.12345678"))
    assert there.held(source) == before[source] - end.sent
    assert there.held(target) == before[target] + end.received, "in the wallet that trades"
    assert run.moved == [(source, "USDT", -end.sent), (target, "USDT", end.received)]
    landing = ["intent", "done"] if target == "bybit" else []
    assert run.states() == ["intent", "in_transit", "done", *landing]
    assert run.carrier.moving(source) == run.carrier.moving(target) == frozenset()


@pytest.mark.parametrize("source", VENUES)
@pytest.mark.parametrize("amounts", [("50", "90"), ("90", "50")])
async def test_two_amounts_that_one_transaction_pays_are_told_apart(
    there: World, source: str, amounts: tuple[str, str]
) -> None:
    run = Process(there)
    before = there.held(OTHER[source])
    there.chain.is_held, there.chain.common_tx = True, "0xbatch"
    for number, amount in enumerate(amounts):
        run.carrier.send(carriage(source, amount, f"c{number}"))
    await until(lambda: there.withdrawals(source) == 2)
    there.release()
    await until(lambda: run.told().count(ARRIVED) == 2)
    received = {news.id: news.received for news in run.news if news.state is ARRIVED}
    assert received == {f"c{number}": D(amount) - 1 for number, amount in enumerate(amounts)}
    assert there.held(OTHER[source]) == before + sum(received.values())


@pytest.mark.parametrize("spelt", [str.upper, lambda tx_id: tx_id.removeprefix("0x")], ids=["capitals", "bare"])
async def test_a_transaction_that_the_other_venue_spells_otherwise_is_the_same_one(
    there: World, monkeypatch: pytest.MonkeyPatch, spelt: Callable[[str], str]
) -> None:
    told = Payment.deposit
    monkeypatch.setattr(Payment, "deposit", lambda self: replace(told(self), tx_id=spelt(self.tx_id)))
    run = Process(there)
    run.carrier.send(carriage("binance"))
    await until(lambda: ARRIVED in run.told())
    assert run.told() == [IN_TRANSIT, ARRIVED]


@pytest.mark.parametrize("source", VENUES)
async def test_without_an_answer_it_is_asked_for_and_not_sent_again(there: World, source: str) -> None:
    run = Process(there)
    there.here.requests.lose_answer.append(WITHDRAW[source])
    run.carrier.send(carriage(source))
    assert (await run.end()).state is ARRIVED
    assert run.told() == [UNKNOWN, IN_TRANSIT, ARRIVED]
    assert there.withdrawals(source) == there.sent(WITHDRAW[source]) == 1


@pytest.mark.parametrize("source", VENUES)
async def test_what_its_venue_never_heard_of_is_refused_after_the_deadline(there: World, source: str) -> None:
    run = Process(there, deadline_s=0.3)
    there.here.requests.lose.append(WITHDRAW[source])
    run.carrier.send(carriage(source))
    end = await run.end()
    assert run.told() == [UNKNOWN, REFUSED]
    assert "knows of none like it" in end.reason
    assert there.sent(WITHDRAW[source]) == 1
    assert run.moved == [], "nothing left, and nothing is booked"


@pytest.mark.parametrize("closed", VENUES)
async def test_a_network_that_closes_meanwhile_makes_it_late_once_and_it_arrives(there: World, closed: str) -> None:
    source = "binance"
    run = Process(there)
    there.chain.is_held = True
    run.carrier.send(carriage(source, deadline_s=0.5))
    await until(lambda: there.withdrawals(source) == 1)
    there.here.exchanges[closed].suspend("tron")
    there.release()
    await until(lambda: LATE in run.told())
    assert run.carrier.moving(OTHER[source]) == {"USDT"}
    there.here.exchanges[closed].resume("tron")
    assert (await run.end()).state is ARRIVED
    assert run.told() == [IN_TRANSIT, LATE, ARRIVED]


async def test_what_the_guard_refuses_stays(there: World) -> None:
    run = Process(there)
    before = there.held("binance")
    run.carrier.send(carriage("binance", "1001"))
    end = await run.end()
    assert run.told() == [REFUSED]
    assert "max_per_transfer" in end.reason
    assert there.held("binance") == before


async def test_the_last_move_without_an_answer_is_done_once(there: World) -> None:
    run = Process(there)
    before = there.held("bybit")
    there.here.requests.lose_answer.append(MOVE)
    run.carrier.send(carriage("binance"))
    end = await run.end()
    assert end.state is ARRIVED
    assert there.held("bybit") == before + end.received
    assert there.held("bybit", "fund") == 0
    assert run.states() == ["intent", "in_transit", "done", "intent", "unknown", "done"]


async def test_a_last_move_that_never_came_is_told_again_under_its_own_id(there: World) -> None:
    run = Process(there)
    before = there.held("bybit")
    there.here.requests.lose.append(MOVE)
    run.carrier.send(carriage("binance"))
    end = await run.end()
    assert there.held("bybit") == before + end.received
    assert there.sent(MOVE) == 2
    assert len({body["transfer"] for body in run.journal.bodies() if body["kind"] == "internal"}) == 1


async def test_a_last_move_that_is_refused_is_tried_again_under_another(there: World) -> None:
    run = Process(there)
    before = there.held("bybit")
    there.here.requests.answer[MOVE] = lambda: web.json_response({"retCode": 131212, "retMsg": "", "result": {}})
    run.carrier.send(carriage("binance"))
    await until(lambda: "refused" in run.states())
    del there.here.requests.answer[MOVE]
    end = await run.end()
    assert there.held("bybit") == before + end.received
    assert len({body["transfer"] for body in run.journal.bodies() if body["kind"] == "internal"}) >= 2


async def test_what_the_venue_moves_on_by_itself_has_arrived_and_no_second_amount_is_moved_for_it(
    there: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bybit's account may be set so that deposits go to the unified wallet, and none stays where they are credited."""

    def credit(self: Transfers, payment: Payment, ts_ns: int) -> None:
        self._change(Cause.DEPOSIT, "unified", payment.network.asset, payment.amount, ts_ns)

    monkeypatch.setattr(Transfers, "credit", credit)
    run, before = Process(there), there.held("bybit")
    run.carrier.send(carriage("binance"))
    end = await run.end()
    assert (end.state, end.received) == (ARRIVED, 49)
    assert there.held("bybit") == before + 49
    assert there.sent(MOVE) == 3
    assert any("moved it on by itself" in text for _, text in run.events)
    await run.die()
    again = Process(there, run)
    again.carrier.resume(carriage("binance"))
    assert (await again.end()).state is ARRIVED
    assert there.sent(MOVE) == 3, "it is known by now"


@pytest.mark.parametrize("source", VENUES)
async def test_what_its_venue_gives_up_comes_back_to_where_it_is_traded(there: World, source: str) -> None:
    run = Process(there)
    before = there.held(source)
    there.here.exchanges[source].give_up("tron")
    run.carrier.send(carriage(source))
    end = await run.end()
    assert run.told() == [IN_TRANSIT, FAILED]
    assert end.received == end.sent == 50
    assert there.held(source) == before, "in the wallet that trades"
    assert [amount for *_, amount in run.moved] == [-50, 50]


@pytest.mark.parametrize("source", VENUES)
async def test_a_fee_that_is_not_the_one_that_was_told_shows_in_what_arrived(there: World, source: str) -> None:
    run = Process(there)
    there.here.exchanges[source].overcharge("tron", D("0.25"))
    run.carrier.send(carriage(source))
    end = await run.end()
    assert (end.state, end.sent, end.received) == (ARRIVED, D(50), D("48.75"))


async def test_what_would_be_refused_is_known_before_anything_is_bought(there: World) -> None:
    run = Process(there)
    leg = TransferLeg(asset="USDT", from_venue="binance", to_venue="bybit", network="tron")
    assert run.carrier.refuses(leg, 50.0) is None
    assert "max_per_transfer" in str(run.carrier.refuses(leg, 1001.0))
    assert "its network is not known" in str(run.carrier.refuses(leg.model_copy(update={"network": None}), 50.0))
    elsewhere = leg.model_copy(update={"network": "ethereum"})
    assert "no USDT address on ethereum" in str(run.carrier.refuses(elsewhere, 50.0))
    assert "kraken is not moved" in str(run.carrier.refuses(leg.model_copy(update={"to_venue": "kraken"}), 50.0))
    there.here.requests.lose_answer.append(WITHDRAW["binance"])
    run.carrier.send(carriage("binance"))
    await until(lambda: UNKNOWN in run.told())
    await run.end()
    off = Process(there, enabled=False)
    assert off.carrier.refuses(leg, 50.0) == "transfers.enabled is false"
    young = Process(there, delay_h=24)
    assert "used after 24 h" in str(young.carrier.refuses(leg, 50.0))
