"""A transfer that takes less than was asked for: what the network's grid leaves stays where it was, and is told so."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from bot.domain.route import Opportunity
from bot.execution.chain import Chain, Travel
from bot.ports.transfers import Carriage, CarryNews, CarryState
from tests.unit.chain_bench import SENT, SENT_LINKS

D = Decimal
OPPORTUNITY = Opportunity(
    route=SENT, ts_ns=1, quantity=D("0.1"), buy_price=1.0, sell_price=1.0, gross_edge_bps=0.0, costs=(),
    net_edge_bps=0.0, links=SENT_LINKS,
)  # fmt: skip
ENDS = st.sampled_from([CarryState.ARRIVED, CarryState.FAILED, CarryState.REFUSED])
ON_THE_WAY = st.lists(st.sampled_from([CarryState.UNKNOWN, CarryState.IN_TRANSIT, CarryState.LATE]), max_size=3)


@given(st.integers(1, 10**9), st.integers(0, 10**6), st.integers(0, 10**6), ON_THE_WAY, ENDS)
def test_what_did_not_leave_stays_and_the_fee_is_what_the_network_kept(
    units: int, rest: int, fee: int, news: list[CarryState], end: CarryState
) -> None:
    sent, kept, fees = (D(number).scaleb(-9) for number in (units + fee, rest, fee))
    amount = sent + kept
    chain = Chain("c", OPPORTUNITY, opened_ns=1)
    start, target = chain.places[1], chain.places[2]
    chain.flows[start] = amount
    chain.depart(Travel(1, Carriage("t", "BTC", "a", "b", "btc", amount, 60.0), 1))
    for state in news:
        chain.tell(CarryNews("t", state, D(0), "", 2, sent))
    received = {CarryState.ARRIVED: sent - fees, CarryState.FAILED: sent, CarryState.REFUSED: D(0)}[end]
    chain.tell(CarryNews("t", end, received, "", 3, D(0) if end is CarryState.REFUSED else sent))
    travel = chain.travels["t"]
    assert chain.flows[start] == (kept if end is CarryState.ARRIVED else amount)
    assert chain.flows.get(target, D(0)) == (sent - fees if end is CarryState.ARRIVED else 0)
    assert travel.fee == (fees if end is CarryState.ARRIVED else 0)
    again = Chain("c", OPPORTUNITY, opened_ns=1)
    again.flows[start] = amount
    again.depart(Travel.of(travel.record()))
    assert again.flows == chain.flows, "so does the journal tell it"
