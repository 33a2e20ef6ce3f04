"""The bridge closes to exactly zero, whatever was filled, and its profit is the cash that moved."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.domain.instrument import Instrument, Segment
from bot.domain.order import Side
from postmortem.bodies import ExitExpected, Expected, FillBody, FundingBody, PairBody, RecordedCost
from postmortem.bridge import Bridge, add_bridges, build_bridge, explained, trades
from postmortem.exact import exact, plain, quotient
from postmortem.net_edge import CAUSES, add_net_edges, net_edge


def instrument(symbol, segment, settle, multiplier="1"):
    return Instrument(
        venue="binance",
        symbol=symbol,
        segment=segment,
        base="ETH",
        quote="USDT",
        settle=settle,
        tick_size=Decimal("0.01"),
        lot_size=Decimal("0.001"),
        contract_multiplier=Decimal(multiplier),
    )


SPOT = instrument("ETH/USDT", Segment.SPOT, None)
ELSEWHERE = SPOT.model_copy(update={"venue": "bybit"})
LINEAR = instrument("ETH/USDT:USDT", Segment.LINEAR, "USDT", "0.01")
INVERSE = instrument("ETH/USDT:ETH", Segment.INVERSE, "ETH", "10")

prices = st.decimals("0.00000001", "99999.99999999", places=8)
floats = st.floats(1e-6, 1e6, allow_nan=False).map(lambda value: Decimal(repr(value)))
quantities = st.decimals("0.00000001", "1000", places=8)
fees = st.decimals("-5", "5", places=12)
legs = st.sampled_from(["open", "close", "hedge"])


@st.composite
def a_fill(draw, instruments):
    traded = draw(st.sampled_from(instruments))
    side = draw(st.sampled_from(list(Side)))
    fill = FillBody(
        fill_id=str(draw(st.integers(0, 10**9))),
        client_order_id="o",
        instrument=traded,
        side=side,
        price=draw(prices),
        quantity=draw(quantities),
        fee=draw(fees),
        fee_asset=draw(st.sampled_from(["ETH", "USDT", "BNB"])),
        is_maker=False,
        ts_event_ns=1,
        pair="p",
        leg=f"{draw(legs)}_{side}",
        expected_price=draw(st.none() | floats),
    )
    return fill, draw(st.booleans())


@st.composite
def a_payment(draw, instruments):
    return FundingBody(
        pair="p",
        instrument=draw(st.sampled_from(instruments)).id,
        asset=draw(st.sampled_from(["ETH", "USDT"])),
        payment=draw(st.decimals("-9", "9", places=12)),
        mark_price=draw(floats),
    )


@st.composite
def a_pair(draw):
    bought, sold = draw(
        st.sampled_from([(SPOT, LINEAR), (LINEAR, SPOT), (INVERSE, SPOT), (LINEAR, INVERSE), (SPOT, ELSEWHERE)])
    )
    leaving = draw(st.none() | st.builds(ExitExpected, buy_price=floats, sell_price=floats))
    body = PairBody(
        pair="p",
        route="r",
        kind="k",
        state="closed",
        quantity=Decimal(1),
        quote_asset="USDT",
        base_asset="ETH",
        buy=bought.id,
        sell=sold.id,
        expected=Expected(buy_price=draw(floats), sell_price=draw(floats)),
        exit_expected=leaving,
        ts_open_ns=0,
    )
    fills = draw(st.lists(a_fill([bought, sold]), max_size=8))
    funding = draw(st.lists(a_payment([bought, sold]), max_size=4))
    marks = draw(st.dictionaries(st.sampled_from([bought.id, sold.id]), floats))
    return body, fills, funding, marks


def worth_of_a_token(fill):
    """3 bps of the trade for a fee in the token; None for any other."""
    return fill.notional * Decimal("0.0003") if fill.fee_asset == "BNB" else None


def cash_profit(fills, funding, marks):
    """Cash in quote, and what is left in base at its value; in fractions, from the fills alone."""
    cash, held, value = Fraction(0), {}, {}
    for payment in funding:
        if payment.asset == "ETH":
            value[payment.instrument] = Fraction(payment.mark_price)
    for fill, _ in fills:
        value[fill.instrument.id] = Fraction(fill.price)
    value |= {id_: Fraction(mark) for id_, mark in marks.items() if id_ in value}
    stocks = [fill for fill, _ in fills if fill.instrument.segment is Segment.SPOT]
    if stocks:  # one asset, wherever it lies
        told = [Fraction(marks[fill.instrument.id]) for fill in stocks if fill.instrument.id in marks]
        price = told[0] if told else Fraction(stocks[-1].price)
        value |= {fill.instrument.id: price for fill in stocks}
    for fill, _ in fills:
        contracts = fill.quantity * fill.instrument.contract_multiplier
        sign = 1 if fill.side is Side.BUY else -1
        id_ = fill.instrument.id
        if fill.instrument.segment is Segment.INVERSE:
            base, notional = Fraction(quotient(contracts, fill.price)), Fraction(contracts)
        else:
            base, notional = Fraction(contracts), Fraction(contracts) * Fraction(fill.price)
        cash -= sign * notional
        held[id_] = held.get(id_, 0) + sign * base
        if fill.fee_asset == "USDT":
            cash -= Fraction(fill.fee)
        elif fill.fee_asset == "ETH":
            held[id_] -= Fraction(fill.fee)
        else:
            cash -= notional * Fraction(3, 10_000)
    for payment in funding:
        if payment.asset == "USDT":
            cash += Fraction(payment.payment)
        else:
            held[payment.instrument] = held.get(payment.instrument, 0) + Fraction(payment.payment)
    return cash + sum(amount * value[id_] for id_, amount in held.items())


@settings(max_examples=150, deadline=None)
@given(a_pair())
def test_the_bridge_closes_to_zero_and_its_profit_is_the_cash(pair):
    body, fills, funding, marks = pair
    bridge = build_bridge(trades(body, fills, worth_of_a_token), funding, marks, "ETH")
    assert bridge.residual == 0
    assert plain(bridge.residual) == "0"
    assert Fraction(bridge.profit) == cash_profit(fills, funding, marks)
    with exact():
        assert explained(bridge) == bridge.profit


costs = st.builds(
    RecordedCost,
    name=st.sampled_from(
        ["fee open buy a", "depth sell b", "exit basis", "funding a", "rebalancing", "withdrawal fee"]
    ),
    bps=st.none() | st.floats(-1e4, 1e4, allow_nan=False),
)


@given(
    st.floats(-1e4, 1e4, allow_nan=False), st.lists(costs, max_size=6), prices, st.lists(prices, min_size=7, max_size=7)
)
def test_the_net_edge_that_was_priced_is_explained_to_the_last_digit(gross_bps, priced, notional, figures):
    names = [name for name in Bridge.model_fields if name not in ("profit", "residual", "slippage_hedging")]
    bridge = Bridge(**dict(zip(names, figures, strict=False)))
    with exact():
        bridge = bridge.model_copy(update={"profit": explained(bridge)})
    promised = Expected(buy_price=1, sell_price=1, gross_bps=gross_bps, costs=tuple(priced))
    net = net_edge(promised, notional, bridge)
    expected = (
        Fraction(notional) * (Fraction(repr(gross_bps)) - sum(Fraction(repr(c.bps or 0.0)) for c in priced)) / 10_000
    )
    assert Fraction(net.expected) == expected
    assert expected - Fraction(bridge.profit) == sum(Fraction(getattr(net, name)) for name in CAUSES)
    assert net.residual == 0
    assert add_net_edges([net, None, net]).residual == 0


@pytest.mark.parametrize(("first", "at", "back"), [(Side.BUY, "99", "102"), (Side.SELL, "101", "100")])
def test_a_round_trip_that_meets_the_prices_of_both_its_decisions_drifts_nowhere(first, at, back):
    body = PairBody(
        pair="p", route="r", kind="k", state="closed", quantity=1, quote_asset="USDT", base_asset="ETH",
        buy=LINEAR.id, sell=LINEAR.id, expected={"buy_price": "99", "sell_price": "101"},
        exit_expected={"buy_price": "100", "sell_price": "102"}, ts_open_ns=0,
    )  # fmt: skip
    done = [
        FillBody(
            fill_id=phase, client_order_id=phase, instrument=LINEAR, side=side, price=price, quantity=100, fee=0,
            fee_asset="USDT", is_maker=False, ts_event_ns=1, leg=f"{phase}_{side}", expected_price=price,
        )
        for phase, side, price in (("open", first, at), ("close", first.opposite, back))
    ]  # fmt: skip
    bridge = build_bridge(trades(body, [(done[0], False), (done[1], True)]), [], {}, "ETH")
    assert (bridge.drift, bridge.slippage) == (0, 0)
    assert bridge.expected_gross == bridge.profit == abs(Decimal(at) - Decimal(back))


@given(a_pair(), st.sampled_from([name for name in Bridge.model_fields if name != "residual"]))
def test_a_wrong_line_shows(pair, line):
    """The check can fail: one line off by a millionth of a cent is seen."""
    body, fills, funding, marks = pair
    bridge = build_bridge(trades(body, fills, worth_of_a_token), funding, marks, "ETH")
    with exact():
        wrong = bridge.model_copy(update={line: getattr(bridge, line) + Decimal("1e-8")})
        assert abs(wrong.profit - explained(wrong)) == Decimal("1e-8")


@settings(max_examples=50, deadline=None)
@given(st.lists(a_pair(), max_size=5))
def test_sums_of_bridges_close_too(pairs):
    parts = [
        build_bridge(trades(body, fills, worth_of_a_token), funding, marks, "ETH")
        for body, fills, funding, marks in pairs
    ]
    whole = add_bridges(parts)
    assert whole.residual == 0
    assert Fraction(whole.profit) == sum((Fraction(part.profit) for part in parts), Fraction(0))
    with exact():
        assert explained(whole) == whole.profit


@given(st.decimals(allow_nan=False, allow_infinity=False, places=12, min_value=-(10**9), max_value=10**9))
def test_printed_amounts_are_the_amounts(amount):
    text = plain(amount)
    assert Decimal(text) == amount
    assert "E" not in text
    assert text != "-0"
    assert not ("." in text and text.endswith("0"))
