"""Which routes are listed, what they are called, and what is read from their legs."""

from decimal import Decimal
from typing import Any

import pytest

from bot.domain.instrument import Instrument, Segment
from bot.domain.legs import Liquidity, TradeLeg, TransferLeg
from bot.domain.order import Side
from bot.domain.route import Route
from strategies.arbitrage.routes import list_routes
from strategies.arbitrage.settings import ArbitrageSettings

D = Decimal


def instrument(venue: str, symbol: str, segment: Segment | None = None) -> Instrument:
    pair, _, settle = symbol.partition(":")
    base, quote = pair.split("/")
    return Instrument(
        venue=venue, symbol=symbol, segment=segment or (Segment.LINEAR if settle else Segment.SPOT), base=base,
        quote=quote, settle=settle or None, tick_size=D("0.01"), lot_size=D("0.001"),
    )  # fmt: skip


A, B = instrument("binance", "BTC/USDT"), instrument("bybit", "BTC/USDT")
A_PERP, B_PERP = instrument("binance", "BTC/USDT:USDT"), instrument("bybit", "BTC/USDT:USDT")
KRAKEN = instrument("kraken", "BTC/USD")
ETH, ETH_BTC = instrument("binance", "ETH/USDT"), instrument("binance", "ETH/BTC")
INVERSE = instrument("binance", "BTC/USD:BTC", Segment.INVERSE)


def listed(*instruments: Instrument, **settings: Any) -> list[Route]:
    return list_routes(instruments, ArbitrageSettings.model_validate(settings))


def ids(*instruments: Instrument, **settings: Any) -> list[str]:
    return [route.id for route in listed(*instruments, **settings)]


def test_pairs_are_listed_in_both_directions_under_the_names_they_always_had() -> None:
    assert ids(A_PERP, B_PERP) == [
        "convergence:binance:BTC/USDT:USDT>bybit:BTC/USDT:USDT",
        "convergence:bybit:BTC/USDT:USDT>binance:BTC/USDT:USDT",
    ]
    assert ids(A, A_PERP) == [
        "cash_and_carry:binance:BTC/USDT>binance:BTC/USDT:USDT",
        "cash_and_carry:binance:BTC/USDT:USDT>binance:BTC/USDT",
    ]
    assert ids(A, B) == ["inventory:binance:BTC/USDT>bybit:BTC/USDT", "inventory:bybit:BTC/USDT>binance:BTC/USDT"]


def test_two_currencies_pair_only_where_both_may_be_turned() -> None:
    assert ids(A, KRAKEN) == ["inventory:binance:BTC/USDT>kraken:BTC/USD", "inventory:kraken:BTC/USD>binance:BTC/USDT"]
    assert ids(A, KRAKEN, currencies=["USDT", "USDC"]) == []
    assert ids(A, instrument("kraken", "BTC/EUR")) == []
    assert ids(A, ETH) == []
    assert ids(A_PERP, INVERSE) == []


def test_a_kind_that_is_not_wanted_is_not_listed() -> None:
    assert ids(A, A_PERP, B, kinds=["cash_and_carry"]) == [
        "cash_and_carry:binance:BTC/USDT>binance:BTC/USDT:USDT",
        "cash_and_carry:binance:BTC/USDT:USDT>binance:BTC/USDT",
        "cash_and_carry:binance:BTC/USDT:USDT>bybit:BTC/USDT",
        "cash_and_carry:bybit:BTC/USDT>binance:BTC/USDT:USDT",
    ]


def test_post_only_variants_say_which_side_waits() -> None:
    assert ids(A_PERP, B_PERP, maker_variants=True)[2:5] == [
        "convergence:binance:BTC/USDT:USDT>bybit:BTC/USDT:USDT:maker-taker",
        "convergence:binance:BTC/USDT:USDT>bybit:BTC/USDT:USDT:taker-maker",
        "convergence:binance:BTC/USDT:USDT>bybit:BTC/USDT:USDT:maker-maker",
    ]
    waiting = listed(A_PERP, B_PERP, maker_variants=True)[2]
    assert {leg.instrument.venue: leg.liquidity for leg in waiting.trades} == {
        "binance": Liquidity.MAKER, "bybit": Liquidity.TAKER,
    }  # fmt: skip
    assert waiting.not_executable is None


def test_transfers_are_listed_over_the_networks_that_are_named_hedged_and_not() -> None:
    routes = listed(A, B, A_PERP, kinds=["transfer"], networks={"BTC": ["bitcoin", "bsc"]})
    assert [route.id for route in routes[:4]] == [
        "transfer:binance:BTC/USDT>bybit:BTC/USDT:bitcoin",
        "transfer:binance:BTC/USDT>bybit:BTC/USDT:bitcoin:hedge=binance:BTC/USDT:USDT",
        "transfer:binance:BTC/USDT>bybit:BTC/USDT:bsc",
        "transfer:binance:BTC/USDT>bybit:BTC/USDT:bsc:hedge=binance:BTC/USDT:USDT",
    ]
    hedged = routes[1]
    assert [getattr(leg, "side", leg.type) for leg in hedged.legs] == [
        "buy",
        "sell",
        "transfer",
        "sell",
        "buy",
        "transfer",
    ]
    assert [leg.type for leg in hedged.chain] == ["trade", "transfer", "trade"]
    assert [leg.instrument.id for leg in hedged.hedges] == [A_PERP.id, A_PERP.id]
    assert (hedged.buy.id, hedged.sell.id) == (A.id, B.id)
    assert hedged.not_executable == (2.0, 0.0, "hedges beside a chain")
    assert routes[0].not_executable is None
    assert routes[0].committed == (routes[0].trades[0], routes[0].trades[1])
    assert routes[0].passed == ("BTC",)
    assert routes[0].sent == (routes[0].legs[1],)
    assert ids(A, B, kinds=["transfer"], networks={}) == []


def test_a_venue_may_have_no_rings() -> None:
    here = [one.model_copy(update={"venue": "kraken"}) for one in (A, ETH_BTC, ETH)]
    assert listed(*here, kinds=["triangular"]) == [], "as shipped"
    assert len(listed(*here, kinds=["triangular"], no_rings_at=[])) == 2


def test_a_ring_starts_and_ends_in_the_same_currency_both_ways_round() -> None:
    rings = listed(A, ETH_BTC, ETH, B, kinds=["triangular"])
    assert [route.id for route in rings] == [
        "triangular:binance:BTC/USDT>binance:ETH/BTC>binance:ETH/USDT",
        "triangular:binance:ETH/USDT>binance:ETH/BTC>binance:BTC/USDT",
    ]
    there, back = rings
    assert [leg.side for leg in there.trades] == [Side.BUY, Side.BUY, Side.SELL]
    assert [leg.side for leg in back.trades] == [Side.BUY, Side.SELL, Side.SELL]
    assert there.chain == there.trades
    assert not there.closing
    assert there.not_executable is None
    assert there.committed == there.trades
    assert there.passed == ("BTC", "ETH")
    assert there.sent == ()
    assert [there.label(leg.instrument) for leg in there.trades] == [
        "binance.spot BTC/USDT", "binance.spot ETH/BTC", "binance.spot ETH/USDT",
    ]  # fmt: skip


def test_ids_are_unique_over_every_kind_and_variant() -> None:
    everything = ids(
        A, B, A_PERP, B_PERP, KRAKEN, ETH, ETH_BTC, maker_variants=True, networks={"BTC": ["bitcoin", "bsc"]}
    )
    assert len(everything) > 80
    assert len(set(everything)) == len(everything)


@pytest.mark.parametrize("route", listed(A, B, A_PERP, B_PERP), ids=lambda route: route.id)
def test_what_takers_can_do_is_executable(route: Route) -> None:
    assert route.not_executable is None


def test_a_chain_is_executed_where_it_takes_and_ends_in_the_asset_that_it_began_with() -> None:
    usd = listed(A, KRAKEN, kinds=["transfer"], networks={"BTC": ["bitcoin"]})[0]
    assert usd.not_executable == (2.0, 1.0, "currencies at a chain's ends")
    ring = listed(A, ETH_BTC, ETH, kinds=["triangular"])[0]
    waits = ring.trades[1].model_copy(update={"liquidity": Liquidity.MAKER})
    resting = Route(kind="triangular", legs=(ring.trades[0], waits, ring.trades[2]))
    assert resting.not_executable == (1.0, 0.0, "maker trades in a chain")
    way = TransferLeg(asset="USDT", from_venue="bybit", to_venue="binance", network="tron")
    around = Route(kind="transfer", legs=(way, *ring.legs))
    assert around.chain == around.legs
    assert around.not_executable == (0.0, 1.0, "trades at both ends of a chain")


def test_inventory_carries_its_stocks_back_later() -> None:
    route = listed(A, KRAKEN)[0]
    assert route.transfers == (
        TransferLeg(asset="BTC", from_venue="binance", to_venue="kraken", deferred=True),
        TransferLeg(asset="USD", from_venue="kraken", to_venue="binance", deferred=True),
    )
    assert route.chain == ()
    assert [leg.instrument.id for leg in route.priced] == [A.id, KRAKEN.id]
    assert route.not_executable == (2.0, 1.0, "quote currencies")


def test_a_route_reads_back_from_what_it_is_written_as() -> None:
    for route in listed(A, B, A_PERP, ETH, ETH_BTC, networks={"BTC": ["bitcoin"]}):
        again = Route.model_validate_json(route.model_dump_json())
        assert again == route
        assert again.id == route.id
    assert isinstance(listed(A, B)[0].legs[0], TradeLeg)
