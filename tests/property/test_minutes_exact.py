"""Sums of minutes are exact, whatever the venue prints and in whatever order it comes."""

from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.domain.instrument import Instrument, Segment
from bot.storage.archive.channels import SCHEMAS, Channel
from bot.storage.minutes.exact import Scaled, to_decimal
from bot.storage.minutes.trades import MINUTE_NS, MinuteTotals, minute_totals

numbers = st.builds(
    lambda digits, places: float(Decimal(digits).scaleb(-places)), st.integers(1, 10**7), st.integers(0, 9)
)
trades = st.lists(
    st.tuples(st.integers(0, 3 * MINUTE_NS - 1), st.integers(0, 40), numbers, numbers, st.booleans()), max_size=40
)


def instrument(segment: Segment, multiplier: str = "1") -> Instrument:
    return Instrument(
        venue="x", symbol="A/B", segment=segment, base="A", quote="B", tick_size=Decimal("0.01"),
        lot_size=Decimal("0.001"), contract_multiplier=Decimal(multiplier),
    )  # fmt: skip


def table(rows: list[Any]) -> pa.Table:
    return pa.Table.from_pylist(
        [
            {"instrument": "x:A/B", "ts_recv_ns": number, "ts_event_ns": ts, "trade_id": str(one), "price": price,
             "quantity": quantity, "buyer_is_maker": sell}
            for number, (ts, one, price, quantity, sell) in enumerate(rows)
        ],
        schema=SCHEMAS[Channel.TRADES],
    )  # fmt: skip


def plainly(rows: list[Any], inverse: bool, multiplier: str) -> dict[int, list[Fraction]]:
    seen, found = set(), {}
    for ts, one, price, quantity, sell in rows:
        if one in seen:
            continue
        seen.add(one)
        amount, at = Fraction(repr(quantity)) * Fraction(multiplier), Fraction(repr(price))
        base, quote = (amount / at, amount) if inverse else (amount, amount * at)
        row = found.setdefault(ts // MINUTE_NS * MINUTE_NS, [Fraction(0)] * 6)
        for place, part in ((0, Fraction(1)), (2, base), (4, quote)):
            row[place + sell] += part
    return found


def close(number: Decimal, exact: Fraction) -> bool:
    return abs(Fraction(number) - exact) <= Fraction(1, 2 * 10**18)


@settings(deadline=None)
@given(trades, st.sampled_from(["1", "0.001", "100"]), st.booleans())
def test_every_sum_is_right_to_the_last_place(rows: list[Any], multiplier: str, inverse: bool) -> None:
    one = instrument(Segment.INVERSE if inverse else Segment.LINEAR, multiplier)
    found, expected = minute_totals(table(rows), one), plainly(rows, inverse, multiplier)
    assert found.keys() == expected.keys()
    for minute, totals in found.items():
        exact = expected[minute]
        assert [totals.count_buy, totals.count_sell] == exact[:2]
        sums = (totals.base_buy, totals.base_sell, totals.quote_buy, totals.quote_sell)
        assert all(close(number, part) for number, part in zip(sums, exact[2:], strict=True))
        if not inverse and multiplier == "1":
            # No venue prints more than the eighteen places that are kept.
            assert [Fraction(number) for number in sums] == exact[2:]


@settings(deadline=None)
@given(trades, st.randoms(use_true_random=False))
def test_the_order_of_delivery_changes_nothing(rows: list[Any], rng: Any) -> None:
    distinct = list({row[1]: row for row in rows}.values())
    shuffled = rng.sample(distinct, len(distinct))
    one = instrument(Segment.LINEAR)
    assert minute_totals(table(distinct), one) == minute_totals(table(shuffled + shuffled), one)


@given(st.lists(numbers, min_size=1, max_size=30))
def test_scaled_numbers_are_what_was_printed(printed: list[float]) -> None:
    scaled = Scaled.of(np.array(printed))
    assert [Fraction(int(units), 10**scaled.places) for units in scaled.units] == [
        Fraction(repr(one)) for one in printed
    ]


def test_prints_that_no_trade_can_be_are_left_out() -> None:
    impossible = (0.0, -1.0, float("nan"), float("inf"), 1e300)
    rows = [(0, n, price, 1.0, False) for n, price in enumerate(impossible)]
    rows += [(0, 10 + n, 1.0, quantity, False) for n, quantity in enumerate(impossible)]
    one = instrument(Segment.LINEAR)
    assert minute_totals(table(rows), one) == {}
    rows.append((0, 99, 2.0, 3.0, True))
    assert minute_totals(table(rows), one) == {0: MinuteTotals(0, 1, Decimal(0), Decimal(3), Decimal(0), Decimal(6))}
    tiny = [(0, 1, 1e-300, 1.0, False)]
    assert minute_totals(table(tiny), instrument(Segment.INVERSE)) == {}


def test_a_half_goes_to_the_even_side() -> None:
    assert to_decimal(Fraction(1, 2 * 10**18)) == 0
    assert to_decimal(Fraction(3, 2 * 10**18)) == Decimal("2e-18")
    assert str(to_decimal(Fraction(1, 3))) == "0.333333333333333333"
