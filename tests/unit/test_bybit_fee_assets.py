"""The asset of a fee that Bybit's private stream does not name.

Source: https://bybit-exchange.github.io/docs/v5/enum#spot-fee-currency-instruction.
"""

from decimal import Decimal

import pytest

from bot.domain.instrument import Instrument, Segment
from exchanges.bybit.order_requests import fill_of
from exchanges.bybit.private_schemas import ExecutionRow

SPOT = Instrument(
    venue="bybit", segment=Segment.SPOT, symbol="BTC/USDT", base="BTC", quote="USDT", tick_size=Decimal("0.1"),
    lot_size=Decimal("0.001"),
)  # fmt: skip
LINEAR = SPOT.model_copy(update={"segment": Segment.LINEAR, "symbol": "BTC/USDT:USDT", "settle": "USDT"})


@pytest.mark.parametrize(
    ("instrument", "side", "fee", "named", "asset"),
    [
        (SPOT, "Buy", "0.00001", "", "BTC"),
        (SPOT, "Sell", "0.5", "", "USDT"),
        (SPOT, "Buy", "-0.5", "", "USDT"),
        (SPOT, "Sell", "-0.00001", "", "BTC"),
        (SPOT, "Buy", "-0.5", "USDC", "USDC"),
        (LINEAR, "Buy", "-0.5", "", "USDT"),
        (LINEAR, "Sell", "0.5", "", "USDT"),
    ],
)
def test_a_rebate_is_paid_in_what_the_maker_gave(
    instrument: Instrument, side: str, fee: str, named: str, asset: str
) -> None:
    row = ExecutionRow.model_validate(
        {
            "category": str(instrument.segment), "symbol": "BTCUSDT", "execId": "1", "execType": "Trade", "side": side,
            "orderLinkId": "a", "execPrice": "50000", "execQty": "0.1", "execFee": fee, "feeCurrency": named,
            "isMaker": True, "execTime": "1795000000000",
        }
    )  # fmt: skip
    fill = fill_of(instrument, row)
    assert fill is not None
    assert (fill.fee, fill.fee_asset) == (Decimal(fee), asset)
