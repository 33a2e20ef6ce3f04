"""What a chain has on its way through a unified wallet is no margin of anything."""

import pytest

from bot.domain.instrument import Instrument, Segment
from bot.domain.order import Side
from bot.domain.route import Opportunity, Route, TradeLeg, TransferLeg
from bot.execution.chain import Chain
from tests.unit.chain_bench import SENT_LINKS
from tests.unit.engine_chain_bench import BTC, THERE, D
from tests.unit.test_engine_decisions import Bench

INVERSE = Instrument(
    venue="bybit", symbol="BTC/USD:BTC", segment=Segment.INVERSE, base="BTC", quote="USD", settle="BTC",
    tick_size=D("0.5"), lot_size=D(1), min_quantity=D(1), min_notional=D(1),
)  # fmt: skip
LINEAR = THERE.model_copy(update={"symbol": "BTC/USDT:USDT", "segment": Segment.LINEAR, "settle": "USDT"})
TAKER = {"binance.spot": "10", "bybit.spot": "10", "bybit.inverse": "5.5", "bybit.linear": "5.5"}
PRICE = 60_000.0


def chain(kept: str, amount: str) -> Chain:
    """One whose amount lies at Bybit, on its way: it brought coins there, or brings dollars back."""
    here, there = TradeLeg(instrument=BTC, side=Side.BUY), TradeLeg(instrument=THERE, side=Side.SELL)
    sent = {"from_venue": "binance", "to_venue": "bybit", "network": "btc"}
    legs = (here, TransferLeg(asset="BTC", **sent), there)
    if kept == "USDT":
        here, there = (leg.model_copy(update={"side": leg.side.opposite}) for leg in (here, there))
        legs = (here, TransferLeg(asset="USDT", **sent), there)
    opportunity = Opportunity(
        route=Route(kind="transfer", legs=legs), ts_ns=1, quantity=D("0.1"), buy_price=PRICE, sell_price=PRICE,
        gross_edge_bps=1.0, costs=(), net_edge_bps=1.0, links=SENT_LINKS,
    )  # fmt: skip
    found = Chain("run-c1", opportunity, 1)
    found.flows["bybit", kept] = D(amount)
    return found


@pytest.mark.parametrize(("asset", "perpetual"), [("BTC", INVERSE), ("USDT", LINEAR)])
@pytest.mark.parametrize("part", ["0.5", "1"])
def test_what_a_chain_keeps_is_the_margin_of_no_position(asset: str, perpetual: Instrument, part: str) -> None:
    paper = {"balances": {"bybit.unified": {asset: 1 if asset == "BTC" else 60_000}}}
    portfolio = Bench((BTC, THERE, perpetual), taker=TAKER, paper=paper).engine.desk.portfolio
    kept = str(D(part) * (1 if asset == "BTC" else 60_000))
    spends = Side.SELL if asset == "BTC" else Side.BUY
    whole = [portfolio.affordable_notional(*of, PRICE) for of in ((perpetual, Side.SELL), (THERE, spends))]
    assert whole[0] > 4 * whole[1], "of one wallet margin reaches further"
    held = chain(asset, kept)
    portfolio.chains.chains = {held.id: held}
    left = [portfolio.affordable_notional(*of, PRICE) for of in ((perpetual, Side.SELL), (THERE, spends))]
    assert left[0] == pytest.approx(whole[0] * (1 - float(part)), abs=whole[0] * 1e-2)
    assert left[1] == pytest.approx(whole[1] * (1 - float(part)), abs=whole[1] * 1e-2)
