"""Fees in a token over any change of fees: limits and report come to the same sum, each fill at its own rate."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from bot.domain.fees import FeeSchedule, FeeSource
from bot.domain.instrument import Instrument
from bot.domain.order import Fill, Side
from bot.execution.in_quote import profit_in_quote
from bot.execution.ledger import Ledger
from postmortem.bodies import FillBody
from postmortem.token_fees import token_fees
from tests.unit.test_ledger import OTHER, PERP, route

D = Decimal
RATES = st.none() | st.decimals("0", "40", places=2)
TRADES = st.tuples(
    st.sampled_from([PERP, OTHER]), st.sampled_from(list(Side)), st.decimals("0.1", "9", places=1),
    st.decimals("900", "1100", places=2), st.booleans(), RATES, st.sampled_from(["BNB", "MNT", "USDT"]),
)  # fmt: skip


def at_the_start(instrument: Instrument) -> FeeSchedule:
    return FeeSchedule(
        feed=instrument.feed, maker_bps=D("-0.5"), taker_bps=D(7), source=FeeSource.ACCOUNT, token="BNB",
        token_discount=D("0.25"),
    )  # fmt: skip


@given(st.lists(TRADES, max_size=12))
def test_every_fill_counts_at_its_own_rate_and_one_without_at_the_schedules(
    trades: list[tuple[Instrument, Side, Decimal, Decimal, bool, Decimal | None, str]],
) -> None:
    ledger = Ledger()
    ledger.open_pair("p", route(PERP, OTHER), 1)
    report = token_fees({str(one.feed): at_the_start(one).model_dump(mode="json") for one in (PERP, OTHER)})
    worth = reported = cash = D(0)
    for number, (instrument, side, quantity, price, is_maker, charged_bps, asset) in enumerate(trades):
        fill = Fill(
            fill_id=str(number), client_order_id="o", instrument=instrument, side=side, price=price, quantity=quantity,
            fee=D("0.001"), fee_asset=asset, is_maker=is_maker, ts_event_ns=1,
            charged_bps=None if asset == "USDT" else charged_bps,
        )  # fmt: skip
        ledger.on_fill("p", Side.BUY if instrument is PERP else Side.SELL, fill)
        cash -= side.sign * fill.notional
        if asset == "USDT":
            cash -= fill.fee
            assert report(FillBody.model_validate(fill.model_dump(mode="json"))) is None
            continue
        # A rebate is not made smaller by a token: -0.5 bps stay; of 7 bps a quarter is saved.
        rate = charged_bps if charged_bps is not None else D("-0.5") if is_maker else D("5.25")
        worth += fill.notional * rate / 10_000
        reported += report(FillBody.model_validate(fill.model_dump(mode="json"))) or D(0)
    assert abs(profit_in_quote(ledger.pair("p"), D(0), at_the_start) - (cash - worth)) < D("1e-15")
    assert abs(reported - worth) < D("1e-15")
