"""The ledger of random fills equals sums made without it."""

from collections import defaultdict
from decimal import Decimal
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from bot.domain.account import FundingPayment
from bot.domain.fees import fee_asset
from bot.domain.instrument import Instrument, Segment
from bot.domain.order import Fill, Side
from bot.domain.route import HoldLeg, Route, TradeLeg
from bot.execution.ledger import Ledger
from bot.matching.cash import exact, funding_amount

D = Decimal
GRID = {"tick_size": D("0.000001"), "lot_size": D("0.000001")}
SPOT = Instrument(venue="a", symbol="ETH/USDT", segment=Segment.SPOT, base="ETH", quote="USDT", **GRID)
PERP = Instrument(
    venue="a", symbol="ETH/USDT:USDT", segment=Segment.LINEAR, base="ETH", quote="USDT", settle="USDT",
    contract_multiplier=D("0.01"), **GRID,
)  # fmt: skip
OTHER = Instrument(
    venue="b", symbol="ETH/USDT:USDT", segment=Segment.LINEAR, base="ETH", quote="USDT", settle="USDT", **GRID
)
PAIRS = {"carry": (SPOT, PERP), "carry2": (SPOT, PERP), "convergence": (PERP, OTHER)}

numbers = st.decimals(
    min_value=D("0.000000000001"), max_value=D("1e9"), allow_nan=False, allow_infinity=False, places=12
)
few = st.sampled_from([D(1), D(2)])
"""So that positions are flat now and then."""
fees = st.decimals(min_value=D(-10), max_value=D(10), allow_nan=False, allow_infinity=False, places=15)


def route(buy: Instrument, sell: Instrument) -> Route:
    legs = (TradeLeg(instrument=buy, side=Side.BUY), TradeLeg(instrument=sell, side=Side.SELL), HoldLeg(expected_s=1))
    return Route(kind="test", legs=legs)


@st.composite
def fills(draw: st.DrawFn) -> tuple[str, Side, Fill]:
    pair = draw(st.sampled_from(sorted(PAIRS)))
    leg = draw(st.sampled_from(Side))
    instrument = PAIRS[pair][0 if leg is Side.BUY else 1]
    side = draw(st.sampled_from(Side))
    paid_in = draw(st.sampled_from([fee_asset(instrument, side), "BNB"]))
    made = Fill(
        fill_id=str(draw(st.integers(0, 30))), client_order_id="o", instrument=instrument, side=side,
        price=draw(numbers), quantity=draw(few | numbers), fee=draw(fees), fee_asset=paid_in,
        is_maker=False, ts_event_ns=1,
    )  # fmt: skip
    return pair, leg, made


def new_ledger() -> Ledger:
    ledger = Ledger()
    for pair, (buy, sell) in PAIRS.items():
        ledger.open_pair(pair, route(buy, sell), 0)
    return ledger


def flows_of(made: Fill) -> dict[str, Fraction]:
    """Written again from the definition, in fractions."""
    quantity, price = Fraction(made.quantity), Fraction(made.price)
    sign = 1 if made.side is Side.BUY else -1
    flows: defaultdict[str, Fraction] = defaultdict(Fraction)
    if made.instrument.segment is Segment.SPOT:
        flows["ETH"] += sign * quantity
    flows["USDT"] -= sign * quantity * price * Fraction(made.instrument.contract_multiplier)
    flows[made.fee_asset] -= Fraction(made.fee)
    return flows


def added(parts: list[dict[str, Fraction]]) -> dict[str, Fraction]:
    total: defaultdict[str, Fraction] = defaultdict(Fraction)
    for part in parts:
        for asset, amount in part.items():
            total[asset] += amount
    return {asset: amount for asset, amount in total.items() if amount}


def fractions(amounts: object) -> dict[str, Fraction]:
    assert hasattr(amounts, "items")
    return {asset: Fraction(amount) for asset, amount in amounts.items() if amount}


@given(st.lists(fills(), max_size=25))
def test_flows_positions_and_fees_are_the_sums_of_the_fills_each_counted_once(
    told: list[tuple[str, Side, Fill]],
) -> None:
    ledger = new_ledger()
    counted: dict[tuple[str, str], tuple[str, Fill]] = {}
    for pair, leg, made in told:
        key = (made.instrument.id, made.fill_id)
        assert ledger.on_fill(pair, leg, made) is (key not in counted)
        counted.setdefault(key, (pair, made))
    for name in PAIRS:
        mine = [made for pair, made in counted.values() if pair == name]
        view = ledger.pair(name)
        assert fractions(view.flows) == added([flows_of(made) for made in mine])
        assert fractions(view.fees) == added([{made.fee_asset: Fraction(made.fee)} for made in mine])
    for instrument in (SPOT, PERP, OTHER):
        mine = [made for _, made in counted.values() if made.instrument == instrument]
        assert Fraction(ledger.position(instrument)) == sum(Fraction(m.side.sign * m.quantity) for m in mine)


@given(st.lists(fills(), max_size=20))
def test_telling_everything_twice_changes_nothing(told: list[tuple[str, Side, Fill]]) -> None:
    once, twice = new_ledger(), new_ledger()
    for pair, leg, made in told:
        once.on_fill(pair, leg, made)
        twice.on_fill(pair, leg, made)
        twice.on_fill(pair, leg, made)
    for name in PAIRS:
        once.close_pair(name)
        twice.close_pair(name)
    assert list(once.pairs()) == list(twice.pairs())
    assert once.realised() == twice.realised()


@given(st.lists(fills(), max_size=20), st.lists(st.sampled_from(sorted(PAIRS))), st.randoms(use_true_random=False))
def test_realised_is_the_flows_of_the_pairs_that_are_closed_whatever_the_order(
    told: list[tuple[str, Side, Fill]], closed: list[str], random: object
) -> None:
    ledger = new_ledger()
    events = [*told, *closed]
    random.shuffle(events)  # type: ignore[attr-defined]
    for event in events:
        if isinstance(event, str):
            ledger.close_pair(event)
        else:
            ledger.on_fill(*event)
    finished = [view for view in ledger.pairs() if view.is_closed]
    assert fractions(ledger.realised()) == added([fractions(view.flows) for view in finished])
    assert {view.pair_id for view in finished} == set(PAIRS) - set(ledger.open_pairs())
    for view in finished:
        flat = [leg.net_quantity == 0 for leg in (view.buy, view.sell) if leg.instrument.segment is not Segment.SPOT]
        assert all(flat)
        assert view.pair_id in closed


@given(st.lists(fills(), max_size=12), numbers, numbers.map(lambda n: n / 10**9), st.sampled_from([PERP, OTHER]), fees)
def test_funding_shares_and_rest_sum_to_the_payment(
    told: list[tuple[str, Side, Fill]], mark: Decimal, rate: Decimal, instrument: Instrument, elsewhere: Decimal
) -> None:
    ledger = new_ledger()
    for pair, leg, made in told:
        ledger.on_fill(pair, leg, made)
    held = exact(lambda: ledger.position(instrument) + elsewhere)()
    amount = funding_amount(instrument, held, rate, mark)
    payment = FundingPayment(
        instrument=instrument, wallet="w", asset="USDT", amount=amount, quantity=held,
        rate=rate, mark_price=mark, ts_ns=1,
    )  # fmt: skip
    shares = ledger.on_funding(payment)
    rest = Fraction(ledger.unallocated_funding().get("USDT", D(0)))
    assert sum(map(Fraction, shares.values())) + rest == Fraction(amount)
    unit = Fraction(instrument.contract_multiplier) * Fraction(mark) * Fraction(rate)
    assert rest == -Fraction(elsewhere) * unit
    for name, part in shares.items():
        views = [leg for leg in (ledger.pair(name).buy, ledger.pair(name).sell) if leg.instrument == instrument]
        assert Fraction(part) == -Fraction(views[0].net_quantity) * unit
