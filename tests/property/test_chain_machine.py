"""Chains end at home, or halted and said, whatever venues, carriers and disks do; and their figures are the venues'."""

from collections import defaultdict
from decimal import Decimal

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot.domain.route import Route
from bot.execution.chain_ways import way_home
from bot.execution.journal_replay import replay_ledger
from bot.execution.pair import PairState
from bot.ports import RecordKind
from postmortem.bodies import FillBody, PairBody
from postmortem.chain_bridge import chain_bridge
from tests.property.chain_world import BTC_B, INSTRUMENTS, RING, ROUTES, SENT, World

D = Decimal
HOURS = 3600.0


def finished(seed: int, routes: list[Route], kill_at: int | None = None, *, calm: bool = False) -> World:
    """A world in which every route was opened, and an afternoon has passed."""
    world = World(seed, kill_at, calm=calm)
    for route in routes:
        world.open(route)
        world.run(world.random.choice([0.001, 0.03, 5.0]))
    world.run(2 * HOURS)
    return world


def check(world: World) -> None:
    """All is at home but dust; what the venues hold is what the chains and the ledger say, to the last digit."""
    assert not world.executor.chains, [chain.words() for chain in world.executor.chains.values()]
    assert world.between == 0
    ledger = replay_ledger(world.disk.records, INSTRUMENTS)
    booked: defaultdict[str, Decimal] = defaultdict(Decimal)
    for view in ledger.pairs():
        assert view.is_closed
        for asset, amount in view.flows.items():
            booked[asset] += amount
    there: defaultdict[str, Decimal] = defaultdict(Decimal)
    for (_, asset), amount in world.wallets.items():
        there[asset] += amount
    assert {asset: amount for asset, amount in booked.items() if amount} == {
        asset: amount for asset, amount in there.items() if amount
    }
    dust = {(INSTRUMENTS[one].venue, INSTRUMENTS[one].base): amount for one, amount in world.dust.items()}
    left = {place: amount for place, amount in world.wallets.items() if place[1] not in ("USDT", "BNB")}
    assert {place: amount for place, amount in left.items() if amount} == {
        place: amount for place, amount in dust.items() if amount
    }
    chains = {record.key for record in world.disk.records if record.kind is RecordKind.PAIR}
    assert all(amount <= len(chains) * most_dust(asset) for (_, asset), amount in left.items()), left
    explain(world)
    if world.halts:
        assert all("look at" in text for text in world.halts)


def explain(world: World) -> None:
    """The post-mortem's two arithmetics agree on every chain, and with the chain itself."""
    bodies = {one.key: PairBody.model_validate(one.body) for one in world.disk.records if one.kind is RecordKind.PAIR}
    fills: defaultdict[str, dict[str, FillBody]] = defaultdict(dict)
    for one in world.disk.records:
        if one.kind is RecordKind.FILL:
            fills[one.body["pair"]][one.key] = FillBody.model_validate(one.body)
    home = D(0)
    for chain_id, body in bodies.items():
        bridge = chain_bridge(body, fills[chain_id].values())
        assert bridge.residual == 0
        home += bridge.profit
    assert home == sum(amount for (_, asset), amount in world.wallets.items() if asset == "USDT")


def most_dust(asset: str) -> Decimal:
    """The most that one chain may leave: what the venue's minimum notional keeps from being sold, and a lot."""
    return D(5) / {"BTC": D(55000), "ETH": D(2800)}[asset] + D("0.0001")


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(seed=st.integers(0, 2**32 - 1), routes=st.lists(st.sampled_from(ROUTES), min_size=1, max_size=3, unique=True))
def test_chains_come_home_whatever_the_venues_do(seed: int, routes: list[Route]) -> None:
    check(finished(seed, routes))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(seed=st.integers(0, 2**32 - 1), route=st.sampled_from(ROUTES), kill_at=st.integers(1, 30))
def test_fault_59_a_chain_killed_at_any_record_comes_home(seed: int, route: Route, kill_at: int) -> None:
    check(finished(seed, [route], kill_at))


def test_fault_59_a_calm_chain_killed_at_each_of_its_records() -> None:
    for route in (RING, SENT):
        whole = finished(0, [route], calm=True)
        assert whole.kills == 0
        assert whole.disk.written > 12
        for at in range(1, whole.disk.written + 1):
            world = finished(0, [route], at, calm=True)
            assert world.kills == 1, at
            assert not world.halts
            check(world)


def test_calm_chains_earn_what_was_expected() -> None:
    world = finished(1, [RING, SENT], calm=True)
    assert {chain.route.kind: chain.state for chain in world.over.values()} == {
        "triangular": PairState.CLOSED,
        "transfer": PairState.CLOSED,
    }
    assert not world.halts
    assert not world.alarms
    check(world)


def test_a_calm_chain_is_explained_by_what_its_decision_expected() -> None:
    world = finished(1, [SENT], calm=True)
    body = [PairBody.model_validate(one.body) for one in world.disk.records if one.kind is RecordKind.PAIR][-1]
    fills = [FillBody.model_validate(one.body) for one in world.disk.records if one.kind is RecordKind.FILL]
    bridge = chain_bridge(body, fills)
    sold = D("0.0997")
    assert bridge.expected_gross == sold * 1000  # bought at 60000, sold at 61000
    assert (bridge.slippage, bridge.drift, bridge.revaluation) == (0, 0, 0)
    assert bridge.transfers == D("0.0002") * 60000
    assert bridge.fees == D("0.0001") * 60000 + sold * 61
    assert bridge.profit == bridge.expected_gross - bridge.fees - bridge.transfers


def test_no_way_home_leads_from_an_asset_that_the_route_does_not_trade() -> None:
    assert way_home(RING, ("a", "SOL")) == ()
    assert [hop.instrument.id for hop in way_home(SENT, ("b", "BTC"))] == [BTC_B.id]
