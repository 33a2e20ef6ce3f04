"""What our requests take of a venue's limits, against the tables of the simulated exchanges."""

import pytest

from bot.clock import VirtualClock
from bot.domain.instrument import Feed
from exchanges.binance import request_costs as binance
from exchanges.binance.endpoints import LINEAR, SPOT
from exchanges.bybit import request_costs as bybit
from exchanges.common.requests.request_budget import RequestBudget
from exchanges.common.requests.request_pool import Lane
from exchanges.common.requests.venue_http import Answer
from exchanges.simulator.binance import endpoints, limits
from exchanges.simulator.binance.parameters import Parameters
from exchanges.simulator.bybit import limits as bybit_limits
from exchanges.simulator.bybit.options import BybitOptions
from exchanges.simulator.bybit.rest import _ENDPOINTS as BYBIT_ENDPOINTS

TABLES = {SPOT: ({**endpoints.SPOT, **endpoints.WALLET}, "/api"), LINEAR: (endpoints.LINEAR, "/fapi")}
KNOWN = [
    (feed, method, path)
    for feed, table in ((SPOT, binance._SPOT), (LINEAR, binance._LINEAR))
    for method, path in table
]  # fmt: skip
VARIED = [
    (SPOT, "GET", "/v3/openOrders", {}), (SPOT, "GET", "/v3/openOrders", {"symbol": "BTCUSDT"}),
    (LINEAR, "GET", "/v1/openOrders", {}), (LINEAR, "GET", "/v1/openOrders", {"symbol": "BTCUSDT"}),
    (SPOT, "GET", "/v3/myTrades", {"symbol": "BTCUSDT"}), (SPOT, "GET", "/v3/myTrades", {"orderId": "1"}),
]  # fmt: skip


def of_simulator(feed: Feed, method: str, path: str, values: dict[str, str]) -> int:
    table, prefix = TABLES[feed]
    whole = path if path.startswith("/sapi") else prefix + path
    return table[method, whole].cost(Parameters(dict(values)))


@pytest.mark.parametrize(("feed", "method", "path"), KNOWN, ids=str)
def test_a_request_weighs_at_binance_what_we_count(feed: Feed, method: str, path: str) -> None:
    assert binance.cost(feed, method, path, {})[f"{feed.segment} weight 1M"] == of_simulator(feed, method, path, {})


@pytest.mark.parametrize(("feed", "method", "path", "values"), VARIED, ids=str)
def test_a_weight_goes_by_what_is_asked(feed: Feed, method: str, path: str, values: dict[str, str]) -> None:
    expected = of_simulator(feed, method, path, values)
    assert binance.cost(feed, method, path, values)[f"{feed.segment} weight 1M"] == expected


def test_binances_limits_are_the_published_ones() -> None:
    ours = {rate.name: (rate.limit, rate.window_s) for rate in binance.rates()}
    for segment, told in (("spot", limits.SPOT), ("linear", limits.LINEAR)):
        kinds = [("weight", told.weight), *(("orders", rate) for rate in told.orders)]
        kinds += [("requests", told.raw)] if told.raw else []
        for kind, rate in kinds:
            assert ours.pop(f"{segment} {kind} {rate.label}") == (rate.limit, rate.window_s)
    assert ours == {binance.WITHDRAWALS: (180_000, 60)}, "the simulated exchange's time has no minutes to count in"


@pytest.mark.parametrize("category", ["linear", "spot"])
@pytest.mark.parametrize("endpoint", BYBIT_ENDPOINTS.values(), ids=lambda endpoint: endpoint.path)
def test_a_request_counts_at_bybit_where_we_count_it(endpoint: object, category: str) -> None:
    path, group = endpoint.path, endpoint.group  # type: ignore[attr-defined]
    if path.endswith("-batch"):
        return  # we send none
    theirs = group.format(category).replace(".", " ") or None
    theirs = theirs if theirs in bybit._PER_SECOND else None
    assert bybit.group_of(path, {"category": category}) == theirs


def test_bybits_limits_are_the_published_ones() -> None:
    assert {name.replace(".", " "): limit for name, limit in bybit_limits._PER_SECOND.items()} == bybit._PER_SECOND
    address = next(rate for rate in bybit.rates() if rate.name == bybit.ADDRESS)
    options = BybitOptions()
    assert (address.limit, address.window_s) == (options.requests_per_ip, options.ip_window_s)


@pytest.mark.parametrize("broken", ["x", "-1", "9" * 5000])
def test_limits_and_counts_that_binance_tells_are_taken(broken: str) -> None:
    budget = RequestBudget("binance", binance.rates(), VirtualClock())
    row = {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 1200}
    odd = [{**row, "interval": "WEEK"}, {**row, "rateLimitType": "CONNECTIONS"}, {**row, "intervalNum": 7}]
    binance.adopt(budget, LINEAR, f'{{"rateLimits": {[row, *odd]}, "symbols": []}}'.replace("'", '"'))
    headers = {"X-MBX-USED-WEIGHT-1M": "700", "X-MBX-ORDER-COUNT-10S": "3", "X-MBX-ORDER-COUNT-1M": broken}
    binance.learn(budget, LINEAR, Answer(200, headers, ""))
    lines = {line.name: (line.used, line.limit) for line in budget.lines()}
    assert lines["linear weight 1M"] == (700, 1200)
    assert lines["linear orders 10S"] == (3, 300)
    assert lines["linear orders 1M"] == (0, 1200)
    assert lines["spot weight 1M"] == (0, 6000)


def test_binance_is_asked_for_withdrawals_no_oftener_than_it_answers() -> None:
    """Each look weighs 18,000 of 180,000 a minute; every five seconds would be twelve of them."""
    clock = VirtualClock()
    budget = RequestBudget("binance", binance.rates(), clock)
    look = binance.cost(SPOT, "GET", "/sapi/v1/capital/withdraw/history", {})
    times = []
    for second in range(0, 600, 5):
        clock.advance_to(second * 10**9)
        if budget.short_of(look, Lane.READ) is None:
            budget.take(look, Lane.READ).settle()
            times.append(second)
    assert len(times) >= 50
    assert all(sum(begin <= one < begin + 60 for one in times) <= 10 for begin in range(600))
    assert budget.short_of(binance.cost(SPOT, "POST", "/sapi/v1/capital/withdraw/apply", {}), Lane.READ) is None


def test_what_bybit_has_left_is_taken() -> None:
    budget = RequestBudget("bybit", bybit.rates(), VirtualClock())
    charged = bybit.cost("/v5/order/create", {"category": "linear"})
    budget.take(charged, Lane.ORDER).settle()
    bybit.learn(budget, charged, Answer(200, {"X-Bapi-Limit": "20", "X-Bapi-Limit-Status": "13"}, ""))
    lines = {line.name: (line.used, line.limit) for line in budget.lines()}
    assert lines["order linear"] == (7, 20)
    assert lines[bybit.ADDRESS] == (1, 600)
    bybit.learn(budget, charged, Answer(200, {"X-Bapi-Limit": "9" * 5000, "X-Bapi-Limit-Status": "1"}, ""))
    assert {line.name: (line.used, line.limit) for line in budget.lines()} == lines


def test_a_refusal_holds_what_it_is_about_and_nothing_else() -> None:
    assert binance.refused_for(LINEAR, -1015, {}) == ["linear orders 10S", "linear orders 1M"]
    assert binance.refused_for(LINEAR, -1003, {}) == ["linear weight 1M"]
    look = binance.cost(SPOT, "GET", "/sapi/v1/capital/withdraw/history", {})
    assert binance.refused_for(SPOT, -1003, look) == [binance.WITHDRAWALS]
    create = bybit.cost("/v5/order/create", {"category": "spot"})
    assert bybit.refused_for(create, 10006) == ["order spot"]
    assert bybit.refused_for(create, 10018) == [bybit.ADDRESS]
    assert bybit.refused_for(bybit.cost("/v5/market/time", {}), 10006) == [bybit.ADDRESS]
