"""A ring through the very token that its venue takes fees in: what it paid beside its amount is a loss all the same."""

from decimal import Decimal

from bot.domain.legs import TradeLeg
from bot.domain.order import Fill
from bot.domain.route import Opportunity, Route
from bot.execution.chain import Chain
from bot.execution.chain_dust import ChainDust
from bot.execution.dust import DustLedger
from bot.execution.in_quote import profit_in_quote
from bot.execution.ledger import Ledger
from postmortem.bodies import Expected, FillBody, PairBody, RecordedCost
from postmortem.chain_bridge import chain_bridge
from postmortem.net_edge import net_edge
from postmortem.pair_line import pair_line
from postmortem.story import PairStory
from postmortem.token_fees import token_fees
from tests.unit.test_ledger import BUY, SELL
from tests.unit.test_profit_in_quote import PRICE, SCHEDULE, fees, fill, spot

D = Decimal
TOKEN, CROSS, BTC = spot("BNB/USDT"), spot("BNB/BTC"), spot("BTC/USDT")
LEGS = ((TOKEN, BUY), (CROSS, SELL), (BTC, SELL))
WORTH = token_fees({"a.spot": {"feed": {"venue": "a", "segment": "spot"}, **SCHEDULE}})
# The first fee is missing from what goes on; those of the other two the wallet pays.
CAME_HOME = D("0.099925") * 60100
PAID_BESIDE = D("0.00749") * 600 + CAME_HOME * D("0.00075")


def fills(rate: str = "1") -> list[Fill]:
    """The ring at the prices that were decided on, its fees at `rate` times what they are."""
    return [
        fill("1", TOKEN, BUY, "10", "600", "0.0075", "BNB"),
        fill("2", CROSS, SELL, "9.9925", "0.01", str(D("0.00749") * D(rate)), "BNB"),
        fill("3", BTC, SELL, "0.099925", "60100", str(D("0.0075") * D(rate)), "BNB"),
    ]


def body(state: str) -> PairBody:
    links = [
        {"quantity": "10", "price": "600", "spends": "6000", "brings": "10"},
        {"quantity": "9.9925", "price": "0.01", "spends": "9.9925", "brings": "0.099925"},
        {"quantity": "0.099925", "price": "60100", "spends": "0.099925", "brings": str(CAME_HOME)},
    ]
    expected = {"buy_price": "600", "sell_price": "60100"}
    told = {
        "pair": "r-c1", "route": "ring", "kind": "triangular", "state": state, "quantity": "10",
        "quote_asset": "USDT", "base_asset": "BNB", "buy": TOKEN.id, "sell": BTC.id, "expected": expected,
        "ts_open_ns": 1, "ts_close_ns": 2, "legs": [("trade", one.id, str(side), "taker") for one, side in LEGS],
        "links": links,
    }  # fmt: skip
    return PairBody.model_validate(told)


def recorded(which: list[Fill]) -> list[FillBody]:
    places = [{"pair": "r-c1", "leg": f"link_{at}"} for at in range(len(which))]
    return [FillBody.model_validate({**one.model_dump(), **place}) for one, place in zip(which, places, strict=True)]


def test_the_run_counts_what_a_ring_paid_beside_its_amount() -> None:
    ledger = Ledger()
    legs = tuple(TradeLeg(instrument=one, side=side) for one, side in LEGS)
    ledger.open_pair("c", Route(kind="triangular", legs=legs), 1)
    for one in fills():
        ledger.on_fill("c", None, one)
    ledger.close_pair("c")
    assert profit_in_quote(ledger.pair("c"), PRICE, fees) == CAME_HOME - 6000 - PAID_BESIDE


def test_the_post_mortem_counts_it_too() -> None:
    done = recorded(fills())
    bridge = chain_bridge(body("closed"), done, WORTH)
    assert bridge.profit == CAME_HOME - 6000 - PAID_BESIDE
    assert bridge.token_fees == PAID_BESIDE
    assert bridge.fees == D("0.0075") * 600
    assert bridge.residual == 0
    story = PairStory(body("closed"), [(one, False) for one in done])
    line = pair_line("r", story, {}, WORTH)
    assert line.by_asset["BNB"] == D("-0.01499")
    assert line.unvalued == {}, "all of it is in the profit"


def test_what_whole_lots_leave_over_on_the_way_is_held_against_what_was_priced_for_it() -> None:
    at_home = {"fee": D(0), "fee_asset": "USDT"}
    left = {CROSS.id: "9.9", BTC.id: "0.099"}  # of 10 BNB that the first link bought
    done = [
        one.model_copy(update={**at_home, "quantity": D(left.get(one.instrument.id, "10"))})
        for one in recorded(fills())
    ]
    rounding = RecordedCost(name="rounding", bps=100 + 1 / 6)
    promised = Expected(buy_price=D(600), sell_price=D(60100), gross_bps=100 / 6, costs=(rounding,))
    net = net_edge(promised, D(6000), chain_bridge(body("closed"), done))
    assert net is not None
    assert net.set_aside == 0
    assert abs(net.revaluation) < D("0.11"), "0.1 BNB stayed on the way: it cost 60 USDT, and would have brought 60.1"
    assert net.residual == 0


def test_half_way_round_it_is_counted_as_well() -> None:
    done = recorded(fills())[:2]
    bridge = chain_bridge(body("opening"), done, WORTH)
    on_its_way = D("0.099925") * 600 / D("0.01")
    assert bridge.residual == 0
    assert bridge.profit == on_its_way - 6000 - D("0.00749") * 600


def test_without_a_schedule_the_token_is_worth_what_the_ring_bought_it_for() -> None:
    bridge = chain_bridge(body("closed"), recorded(fills("2")))
    assert bridge.token_fees == (D("0.00749") + D("0.0075")) * 2 * 600
    assert bridge.residual == 0


def test_the_token_that_a_ring_paid_is_not_bought_back_as_dust() -> None:
    """What the wallet paid beside the amount is no rest below zero, for the next pair on the token to make up for."""
    legs = tuple(TradeLeg(instrument=one, side=side) for one, side in LEGS)
    opportunity = Opportunity(
        route=Route(kind="triangular", legs=legs), ts_ns=1, quantity=D(10), buy_price=600.0, sell_price=60100.0,
        gross_edge_bps=10.0, costs=(), net_edge_bps=1.0,
    )  # fmt: skip
    chain = Chain("c", opportunity, opened_ns=1)
    first, second, third = fills()
    chain.count(first)
    assert chain.held(1) == D("9.9925"), "the first fee is taken from what came"
    chain.count(second)
    chain.count(third)
    assert chain.holdings == {}
    assert chain.away == 6000 - CAME_HOME
    told: list[Decimal] = []
    ChainDust(DustLedger(lambda instrument, amount, pair: told.append(amount))).leave(chain)
    assert told == []
