"""What is made of ccxt's markets and of a venue's own rows: agreed, or refused by name."""

from copy import deepcopy
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.instrument import Feed
from bot.errors import InvariantError, SettingsError, VenueUnavailable
from exchanges.ccxt.door import OWN_HOSTS, Door
from exchanges.ccxt.instruments import Read, chosen, read_markets
from exchanges.ccxt.rows import Refused, decimal_of, positive, step_of_decimals
from exchanges.coinbase.metadata import describe as describe_coinbase
from exchanges.kraken.metadata import describe as describe_kraken

KRAKEN, COINBASE = Feed.parse("kraken.spot"), Feed.parse("coinbase.spot")
HERE = "http://127.0.0.1:8080"


def kraken_market(**changes: Any) -> dict[str, Any]:
    """As ccxt 4.5.90 makes it of an AssetPairs row, numbers as text."""
    info = {
        "altname": "XBTUSD", "wsname": "XBT/USD", "base": "XXBT", "quote": "ZUSD", "pair_decimals": 1,
        "lot_decimals": 8, "lot_multiplier": 1, "ordermin": "0.00005", "costmin": "0.5", "tick_size": "0.1",
        "status": "online",
    }  # fmt: skip
    market = {
        "id": "XXBTZUSD", "symbol": "BTC/USD", "base": "BTC", "quote": "USD", "spot": True, "active": True,
        "contract": False, "contractSize": None, "precision": {"price": "0.1", "amount": "0.00000001"},
        "limits": {"amount": {"min": "0.00005"}, "cost": {"min": "0.5"}}, "info": info,
    }  # fmt: skip
    return changed(market, changes)


def coinbase_market(**changes: Any) -> dict[str, Any]:
    info = {
        "product_id": "BTC-USD", "base_increment": "0.00000001", "quote_increment": "0.01", "price_increment": "0.01",
        "quote_min_size": "1", "base_min_size": "0.00000001", "status": "online", "is_disabled": False,
        "cancel_only": False, "post_only": False, "trading_disabled": False, "auction_mode": False,
        "view_only": False, "alias": "",
    }  # fmt: skip
    market = {
        "id": "BTC-USD", "symbol": "BTC/USD", "base": "BTC", "quote": "USD", "spot": True, "active": True,
        "contract": False, "contractSize": None, "precision": {"price": "0.01", "amount": "0.00000001"},
        "limits": {"amount": {"min": "0.00000001"}, "cost": {"min": "1"}}, "info": info,
    }  # fmt: skip
    return changed(market, changes)


def changed(market: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """`info__status=...` goes into `info`."""
    market = deepcopy(market)
    for path, value in changes.items():
        *above, last = path.split("__")
        place = market
        for name in above:
            place = place[name]
        place[last] = value
    return market


class Client:
    """As much of ccxt's client as markets are read from."""

    def __init__(self, *markets: Any, precision_mode: int = 4) -> None:
        self.precisionMode = precision_mode
        self.markets_by_id = {str(number): [market] for number, market in enumerate(markets)}

    async def load_markets(self) -> None:
        """Nothing is asked."""


async def read(feed: Feed, *markets: Any) -> Read:
    return await read_markets(feed, Client(*markets), describe_kraken if feed == KRAKEN else describe_coinbase)


async def test_what_agrees_is_an_instrument() -> None:
    found = await read(KRAKEN, kraken_market())
    instrument = found.instruments["BTC/USD"]
    assert (instrument.id, instrument.tick_size, instrument.lot_size) == (
        "kraken:BTC/USD", Decimal("0.1"), Decimal("0.00000001"),
    )  # fmt: skip
    assert (instrument.min_quantity, instrument.min_notional) == (Decimal("0.00005"), Decimal("0.5"))
    assert set((await read(COINBASE, coinbase_market())).instruments) == {"BTC-USD"}


async def test_the_largest_order_is_what_ccxt_tells_and_none_where_it_tells_none() -> None:
    told = coinbase_market(limits__amount__max="3400", limits__cost__max="150000000")
    most = (await read(COINBASE, told)).instruments["BTC-USD"]
    assert (most.max_quantity, most.max_market_quantity, most.max_notional) == (3400, None, 150_000_000)
    none = kraken_market(limits__amount__max=None, limits__cost__max=0)
    most = (await read(KRAKEN, none)).instruments["BTC/USD"]
    assert (most.max_quantity, most.max_market_quantity, most.max_notional) == (None, None, None)


@pytest.mark.parametrize(
    ("market", "reason"),
    [
        (kraken_market(active=None), "open for trading"),
        (kraken_market(info__status="cancel_only"), "cancel_only"),
        (kraken_market(info__status=None), "status"),
        (kraken_market(info=None), "own row"),
        (kraken_market(contractSize="0.001"), "contract size"),
        (kraken_market(contract=True), "contract size"),
        (kraken_market(base="XBT"), "base and quote"),
        (kraken_market(info__wsname="ETH/USD"), "calls it ETH/USD"),
        (kraken_market(precision__price=None), "tick size"),
        (kraken_market(precision__amount="0"), "lot size"),
        (kraken_market(precision__price="0.07"), "tick size"),
        (kraken_market(precision=None), "tick size"),
        (kraken_market(info__pair_decimals="1"), "pair_decimals"),
        (kraken_market(info__lot_multiplier=0), "lot_multiplier"),
        (kraken_market(info__ordermin=None), "ordermin"),
        (kraken_market(info__costmin="NaN"), "costmin"),
        (kraken_market(limits__amount={"min": None}), "smallest quantity"),
        (kraken_market(limits={}), "smallest"),
        (coinbase_market(info__alias="BTC-USD"), "watch that"),
        (coinbase_market(info__view_only=True), "view_only"),
        (coinbase_market(info__cancel_only=True), "cancel_only"),
        (coinbase_market(info__auction_mode=None), "auction_mode"),
        (coinbase_market(info__status="delisted"), "delisted"),
        (coinbase_market(info__quote_min_size=""), "quote_min_size"),
        (coinbase_market(info__product_id="BTC-EUR"), "calls it BTC-EUR"),
    ],
)
async def test_what_is_missing_or_wrong_refuses_the_instrument_by_name(market: Any, reason: str) -> None:
    feed = COINBASE if "product_id" in (market["info"] or {}) else KRAKEN
    found = await read(feed, market)
    assert not found.instruments
    assert reason in found.refused["BTC/USD"]
    with pytest.raises(SettingsError, match="refuses BTC/USD"):
        chosen(feed, found, ["BTC/USD"])
    assert chosen(feed, found, ["ALL"]) == {}


async def test_a_step_that_ccxt_makes_too_large_is_kept_since_it_fits_both() -> None:
    # A count of decimals read as a step: nothing smaller than 8 BTC would ever be sent.
    found = await read(COINBASE, coinbase_market(precision__amount="8"))
    assert found.instruments["BTC-USD"].lot_size == 8


async def test_precisions_that_are_no_steps_make_everything_unusable() -> None:
    with pytest.raises(VenueUnavailable, match="precisions"):
        await read_markets(KRAKEN, Client(kraken_market(), precision_mode=2), describe_kraken)


async def test_two_rows_of_one_name_are_both_refused() -> None:
    found = await read(KRAKEN, kraken_market(), kraken_market(), kraken_market())
    assert not found.instruments
    assert "two rows" in found.refused["BTC/USD"]


async def test_a_dark_pool_of_the_same_symbol_takes_nothings_place() -> None:
    dark = kraken_market(id="XXBTZUSD.d", info__wsname=None)
    for order in ((dark, kraken_market()), (kraken_market(), dark)):
        found = await read(KRAKEN, *order)
        assert set(found.instruments) == {"BTC/USD"}
        assert not found.refused


async def test_other_kinds_are_not_this_feeds() -> None:
    found = await read(COINBASE, coinbase_market(spot=False, symbol="BTC/USD:USD"), None)
    assert not found.instruments
    assert not found.refused


async def test_an_unknown_symbol_is_answered_with_the_nearest() -> None:
    found = await read(KRAKEN, kraken_market())
    with pytest.raises(SettingsError, match=r"BTC/USDD does not trade there; did you mean BTC/USD\?"):
        chosen(KRAKEN, found, ["BTC/USDD"])


async def test_kraken_spells_bitcoin_in_its_old_way() -> None:
    doge = kraken_market(symbol="DOGE/USD", base="DOGE", info__wsname="XDG/USD")
    assert set((await read(KRAKEN, doge)).instruments) == {"DOGE/USD"}


@pytest.mark.parametrize(
    ("value", "number"),
    [("0.10", "0.1"), (1e-08, "0.00000001"), ("1E+1", "10"), (5, "5"), (Decimal("0.500"), "0.5")],
)
def test_numbers_are_exact_however_they_are_written(value: object, number: str) -> None:
    assert positive(value, "it") == Decimal(number)
    assert "E+" not in str(positive(value, "it"))


@pytest.mark.parametrize("value", [None, True, "", "nan", "inf", "-1", 0, float("nan"), float("inf"), [], "0x1"])
def test_what_is_no_number_above_zero_is_refused(value: object) -> None:
    with pytest.raises(Refused, match="it"):
        positive(value, "it")
    with pytest.raises(Refused):
        decimal_of({"it": value}, "it")


@pytest.mark.parametrize("count", [None, True, -1, 19, "2", 1.0])
def test_a_count_of_decimals_is_a_small_whole_number(count: object) -> None:
    with pytest.raises(Refused):
        step_of_decimals({"it": count}, "it")


@given(st.integers(0, 8), st.integers(0, 8), st.sampled_from([1, 2, 5]))
async def test_the_agreed_step_fits_both(ccxts: int, venues: int, times: int) -> None:
    own, theirs = Decimal(1).scaleb(-venues), Decimal(1).scaleb(-ccxts)
    market = kraken_market(precision__price=str(theirs), info__pair_decimals=venues, info__tick_size=str(own * times))
    found = await read(KRAKEN, market)
    if "BTC/USD" in found.instruments:
        tick = found.instruments["BTC/USD"].tick_size
        assert tick % theirs == tick % (own * times) == 0
    else:
        assert "tick size" in found.refused["BTC/USD"]
        assert max(theirs, own * times) % min(theirs, own * times) != 0


@pytest.mark.parametrize("venue", sorted(OWN_HOSTS))
def test_a_door_leads_to_the_venue_or_to_this_machine(venue: str) -> None:
    assert Door.of(venue, f"https://{OWN_HOSTS[venue]}").base_url
    assert Door.of(venue, HERE).base_url == HERE
    for url in (f"http://{OWN_HOSTS[venue]}", f"https://{OWN_HOSTS[venue]}.evil.example", "https://example.com"):
        with pytest.raises(SettingsError, match="or on this machine"):
            Door.of(venue, url)


@pytest.mark.parametrize(
    ("method", "url"),
    [
        ("POST", f"{HERE}/0/private/AddOrder"),
        ("POST", f"{HERE}/0/private/Withdraw"),
        ("POST", f"{HERE}/0/private/CancelOrder"),
        ("GET", f"{HERE}/0/private/BalanceEx"),
        ("DELETE", f"{HERE}/0/public/AssetPairs"),
        ("GET", "https://api.kraken.com/0/public/AssetPairs"),
        ("GET", "http://127.0.0.1:80801/0/public/AssetPairs"),
        ("GET", "http://127.0.0.1:8080@example.com/0/public/AssetPairs"),
        ("GET", f"{HERE}/0/public/../private/AddOrder"),
        ("GET", f"{HERE}/0/public/%41ssetPairs"),
    ],
)
def test_nothing_but_known_reading_passes_the_door(method: str, url: str) -> None:
    door = Door.of("kraken", HERE)
    with pytest.raises(InvariantError) as told:
        door.check(method, url)
    assert "0/p" not in str(told.value)
    door.check("GET", f"{HERE}/0/public/AssetPairs?pair=XBTUSD")
    door.check("POST", f"{HERE}/0/private/BalanceEx")
