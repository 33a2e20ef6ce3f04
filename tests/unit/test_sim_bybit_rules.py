"""Limits, signing, ids, parameters and protection of the simulated Bybit, by hand-worked figures."""

from decimal import Decimal
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.clock import VirtualClock
from bot.domain.instrument import Segment
from bot.domain.order import Side
from exchanges.simulator.accounts.exchange import SimulatedExchange
from exchanges.simulator.accounts.pump import Pump
from exchanges.simulator.bybit.catalogue import Catalogue, plain
from exchanges.simulator.bybit.errors import ApiError, refused, transfer_refused
from exchanges.simulator.bybit.ids import order_id, order_number, trade_id
from exchanges.simulator.bybit.limits import AddressLimits, KeyLimits, RateExceeded
from exchanges.simulator.bybit.options import BybitOptions
from exchanges.simulator.bybit.params import Params, page
from exchanges.simulator.bybit.protection import Protection
from exchanges.simulator.bybit.signing import signature
from exchanges.simulator.core.values import Kind, Lifetime, NewOrder, Refusal
from exchanges.simulator.market.listings import default_listings
from exchanges.simulator.market.market import SimulatedMarket

START_NS = 1_790_000_000 * 10**9


def test_a_second_has_so_many_requests_and_the_next_one_again():
    limits = KeyLimits(BybitOptions())
    for left in range(9, -1, -1):
        told = limits.count("a", "order.linear", 5_000)
        assert (told.limit, told.left, told.reset_ms) == (10, left, 5_000)
    with pytest.raises(RateExceeded) as exceeded:
        limits.count("a", "order.linear", 5_999)
    assert exceeded.value.allowance.headers() == {
        "X-Bapi-Limit": "10", "X-Bapi-Limit-Status": "0", "X-Bapi-Limit-Reset-Timestamp": "6000",
    }  # fmt: skip
    assert limits.count("b", "order.linear", 5_999).left == 9
    assert limits.count("a", "cancel.linear", 5_999).left == 9
    assert limits.count("a", "order.linear", 6_000, cost=4).left == 6
    with pytest.raises(RateExceeded):
        limits.count("a", "order.linear", 6_001, cost=7)
    assert limits.count("a", "order.linear", 6_002, cost=6).left == 0
    assert KeyLimits(BybitOptions(limit_factor=0)).count("a", "order.linear", 0) is None


def test_an_address_is_banned_for_ten_minutes_of_silence():
    limits = AddressLimits(BybitOptions(requests_per_ip=3))
    assert [limits.is_allowed("x", 0) for _ in range(4)] == [True, True, True, False]
    assert limits.is_allowed("y", 0)
    assert not limits.is_allowed("x", 599_999)
    assert not limits.is_allowed("x", 1_199_998)
    assert limits.is_allowed("x", 1_799_998)


def test_the_documented_signature():
    # HMAC-SHA256 of RFC 4231, test case 2.
    assert signature("Jefe", b"what do ya want for nothing?").startswith("5bdcc146bf60754e6a042426089575c7")


@given(st.sampled_from([Segment.SPOT, Segment.LINEAR]), st.integers(0, 10**12))
def test_order_ids_lead_back(segment, number):
    assert order_number(segment, order_id(segment, number)) == number


@pytest.mark.parametrize("text", ["", "x", "-1", "5", "9d1a4e7c-0000-5b31-9112-00000000000G", "²", "9" * 5000])
def test_what_is_no_order_id_is_none(text):
    assert order_number(Segment.SPOT, text) is None
    assert order_number(Segment.LINEAR, text) is None


def test_trades_of_two_listings_have_different_ids():
    for segment in (Segment.SPOT, Segment.LINEAR):
        assert len({trade_id(segment, listing, number) for listing in (0, 1) for number in (1, 2)}) == 4


def test_every_refusal_has_a_code_of_its_segment():
    for refusal in Refusal:
        assert refused(refusal, Segment.LINEAR).code != 0
        assert transfer_refused(refusal).code != 0
    assert refused(Refusal.INSUFFICIENT_BALANCE, Segment.SPOT).code == 170131
    assert refused(Refusal.INSUFFICIENT_BALANCE, Segment.LINEAR).code == 110007


@given(
    st.dictionaries(st.sampled_from(["a"]), st.recursive(st.none() | st.booleans() | st.floats() | st.text(), st.lists))
)
def test_parameters_of_any_kind_are_read_or_refused(values):
    params = Params(values)
    for read in (
        lambda: params.text("a", ""), lambda: params.number("a"), lambda: params.integer("a", 1),
        lambda: params.flag("a"), lambda: params.rows("a", 3), lambda: params.choice("a", ("x",), "x"),
    ):  # fmt: skip
        try:
            read()
        except ApiError as error:
            assert error.code == 10001  # noqa: PT017 - anything else would be a 500


@given(st.integers(0, 60), st.integers(1, 20))
def test_pages_are_the_whole_list(length, limit):
    rows, found, cursor = list(range(length)), [], ""
    for _ in range(length + 2):
        shown, cursor = page(rows, Params({"limit": limit, "cursor": unquote(cursor)}), default=1, most=20)
        found += shown
        if not cursor:
            break
    assert (found, cursor) == (rows, "")


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**12), max_value=10**12, places=8))
def test_plain_numbers_keep_their_value(number):
    text = plain(number)
    assert Decimal(text) == number
    assert "E" not in text
    assert "." not in text or not text.endswith("0")


class Customer:
    def __init__(self, key, account):
        self.key, self.account = key, account


class Guarded:
    """A spot and a perpetual order rest, and the perpetual's product is protected with a window of ten seconds."""

    def __init__(self):
        self.clock = VirtualClock(START_NS)
        market = SimulatedMarket(default_listings("bybit"), seed=5, start_ns=START_NS)
        exchange = SimulatedExchange("bybit", market)
        Pump([exchange], market, start_ns=START_NS).advance_to(START_NS + 10**9)
        self.catalogue = Catalogue("bybit", market.listings)
        self.account = exchange.account(exchange.credentials.api_key)
        for entry in self.catalogue.entries:
            if entry.instrument.base == "BTC":
                order = NewOrder(entry.index, Side.BUY, Kind.LIMIT, Lifetime.GTC, Decimal("0.01"), Decimal(50_000), "")
                self.account.place(order, exchange.now_ns())
        self.protection = Protection(exchange, self.catalogue, self.clock)
        self.customer = Customer("k", self.account)
        self.protection.set_window(self.customer, "dcp.future", 10)

    def joined(self, socket):
        self.protection.joined(self.customer, "dcp.future", socket)

    def heard(self):
        self.protection.heard(self.customer, "dcp.future")

    def left(self, socket):
        self.protection.left(self.customer, "dcp.future", socket)

    def after(self, seconds):
        """Which segments have an open order then."""
        self.clock.advance_to(self.clock.now_ns() + int(seconds * 10**9))
        return {self.catalogue.at(one.request.listing).category for one in self.account.open_orders(None)}


def test_protection_cancels_when_the_last_socket_stays_away():
    guarded = Guarded()
    one, two = object(), object()
    assert guarded.after(60) == {"linear", "spot"}
    guarded.joined(one)
    guarded.joined(two)
    guarded.left(one)
    assert guarded.after(9) == {"linear", "spot"}
    guarded.left(two)
    assert guarded.after(9) == {"linear", "spot"}
    guarded.joined(two)
    assert guarded.after(9) == {"linear", "spot"}
    guarded.left(two)
    assert guarded.after(10) == {"spot"}


def test_protection_cancels_when_every_socket_is_silent():
    guarded = Guarded()
    guarded.joined(object())
    for _ in range(5):
        assert guarded.after(9.9) == {"linear", "spot"}
        guarded.heard()
    assert guarded.after(10) == {"spot"}


def test_a_window_that_is_set_after_the_socket_has_joined_begins_at_once():
    guarded = Guarded()
    guarded.joined(object())
    assert guarded.after(9) == {"linear", "spot"}
    guarded.protection.set_window(guarded.customer, "dcp.future", 5)
    assert guarded.after(4) == {"linear", "spot"}
    assert guarded.after(1) == {"spot"}
    guarded.protection.close()
