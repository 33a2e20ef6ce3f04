"""Our order names at Kraken: as long as it takes, and ours again when they come back."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bot.clock import SystemClock
from bot.execution.order_names import order_name
from exchanges.kraken.dialect import KrakenDialect
from exchanges.kraken.order_ids import own_id, wire_id
from tests.unit.pair_bench import Bench

_TAKEN = re.compile(r"[A-Za-z0-9_-]{1,18}|[0-9a-f]{32}")


@given(st.from_regex(r"[0-9]{8}T[0-9]{6}-[0-9a-f]{4}-[0-9]{1,4}-[0-9]{1,3}", fullmatch=True))
def test_what_a_run_names_comes_back(name: str) -> None:
    assert _TAKEN.fullmatch(wire_id(name))
    assert own_id(wire_id(name)) == name


# Nineteen characters with a letter that is no digit of ours: told by a digest, which once read back as another name.
@example("0000010000A01110000")
@given(st.from_regex(r"[A-Za-z0-9_-]{1,36}", fullmatch=True))
def test_every_name_is_taken_and_two_are_never_one(name: str) -> None:
    assert _TAKEN.fullmatch(wire_id(name))
    assert own_id(wire_id(name)) in (name, wire_id(name))


@pytest.mark.parametrize(
    "strange", ["15708c1d-dbb6-465d-b77d-47258319cc90", "0" * 32, "f" * 32, "by hand", "", "A" * 40, "00000001"]
)
def test_what_others_named_stays_theirs(strange: str) -> None:
    assert own_id(strange) == strange


@given(st.text(alphabet="0123456789abcdef", min_size=32, max_size=32))
def test_no_foreign_id_is_taken_for_one_of_ours(wire: str) -> None:
    name = own_id(wire)
    assert name == wire or wire_id(name) == wire


def test_a_name_that_is_too_long_to_be_read_back_is_known_to_who_gave_it() -> None:
    """An order that rests would else be a stranger's: its instrument is in quarantine, and a fill of it is nobody's."""
    bench = Bench()
    bench.open()
    name = order_name("20261121T033620-ffff-100", "20261122T033620-1a2b", 7)
    order = bench.inbox[0].model_copy(update={"client_order_id": name})
    dialect = KrakenDialect(SystemClock())
    told = dialect.terms(order)["clientOrderId"]
    assert own_id(told) == told
    assert dialect.own_id({"clientOrderId": told}) == name
    assert dialect.own_id({"clientOrderId": "f" * 32}) == "f" * 32
