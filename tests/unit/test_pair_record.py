"""The quick way to write a pair down says what the encoder would make of plain data."""

from decimal import Decimal
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from bot.domain.order import Side
from bot.domain.route import Cost, HoldLeg, Opportunity, Route, TradeLeg
from bot.execution.episode import Episode
from bot.execution.leg_words import words
from bot.execution.order_record import cost_record
from bot.execution.pair import Pair, PairLeg, PairState
from bot.execution.pair_record import pair_record
from bot.storage import schema
from tests.invariants.world import INSTRUMENTS

BUY, SELL = INSTRUMENTS[:2]
numbers = st.decimals("-1e12", "1e12", places=8)
floats = st.floats()
legs = [TradeLeg(instrument=BUY, side=Side.BUY), TradeLeg(instrument=SELL, side=Side.SELL)]
back = [TradeLeg(instrument=BUY, side=Side.SELL), TradeLeg(instrument=SELL, side=Side.BUY)]


@st.composite
def pairs(draw: st.DrawFn) -> Pair:
    held = [HoldLeg(expected_s=draw(st.floats(0.1, 1e6))), *back] if draw(st.booleans()) else []
    opportunity = Opportunity(
        route=Route(kind=draw(st.text()), legs=(*legs, *held)),
        ts_ns=1,
        quantity=draw(numbers),
        buy_price=1.0,
        sell_price=1.0,
        gross_edge_bps=draw(floats),
        costs=tuple(draw(st.lists(st.builds(Cost, name=st.text(), bps=floats, assumed=st.booleans()), max_size=3))),
        net_edge_bps=draw(floats),
    )
    pair = Pair(
        draw(st.text(min_size=1)),
        opportunity,
        PairLeg(BUY, Side.BUY, draw(numbers), held=draw(numbers), carried=draw(numbers)),
        PairLeg(SELL, Side.SELL, draw(numbers), held=draw(numbers), carried=draw(numbers)),
        opened_ns=draw(st.integers(0, 2**63)),
        state=draw(st.sampled_from(PairState)),
        close_reason=draw(st.none() | st.text()),
        exit_expected=draw(st.none() | st.tuples(numbers, numbers)),
        closed_ns=draw(st.none() | st.integers(0, 2**63)),
    )
    pair.episodes += [Episode(1, 1, apart={"é\x1f": Decimal(1)}, until_ns=3) for _ in range(draw(st.integers(0, 2)))]
    return pair


def plain(pair: Pair) -> dict[str, Any]:
    """As the encoder gets it."""
    opportunity, exits = pair.opportunity, pair.exit_expected
    return {
        "pair": pair.id,
        "route": opportunity.route.id,
        "kind": opportunity.route.kind,
        "legs": [words(leg) for leg in opportunity.route.legs],
        "state": pair.state.value,
        "quantity": str(opportunity.quantity),
        "base_asset": BUY.base,
        "quote_asset": BUY.quote,
        "buy": BUY.id,
        "sell": SELL.id,
        "expected": {
            "quantity": str(opportunity.quantity),
            "buy_price": str(pair.buy.expected_price),
            "sell_price": str(pair.sell.expected_price),
            "gross_bps": opportunity.gross_edge_bps,
            "needed_bps": opportunity.needed_bps,
            "net_bps": opportunity.net_edge_bps,
            "costs": [cost_record(cost) for cost in opportunity.costs],
        },
        "exit_expected": None if exits is None else {"buy_price": str(exits[0]), "sell_price": str(exits[1])},
        "close_reason": pair.close_reason,
        "held": {"buy": str(pair.buy.held), "sell": str(pair.sell.held)},
        "carried": {"buy": str(pair.buy.carried), "sell": str(pair.sell.carried)},
        "unhedged": [episode.record() for episode in pair.episodes],
        "ts_open_ns": pair.opened_ns,
        "ts_close_ns": pair.closed_ns,
    }


@given(pairs())
def test_a_pair_is_written_down_as_the_encoder_does(pair: Pair) -> None:
    assert pair_record(pair).text == schema.encode(plain(pair))


def test_a_route_is_not_taken_for_one_that_is_gone() -> None:
    for number in range(2_500):  # objects that come and go share addresses, and more come than are remembered
        route = Route(kind=f"kind {number}", legs=tuple(legs))
        opportunity = Opportunity(
            route=route, ts_ns=1, quantity=Decimal(1), buy_price=1.0, sell_price=1.0,
            gross_edge_bps=0.0, costs=(), net_edge_bps=0.0,
        )  # fmt: skip
        sides = PairLeg(BUY, Side.BUY, Decimal(1)), PairLeg(SELL, Side.SELL, Decimal(1))
        assert pair_record(Pair("p", opportunity, *sides, opened_ns=1))()["kind"] == route.kind
