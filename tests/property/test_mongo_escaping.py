"""Whatever an exchange sends, no key of it is an operator or a path, and it comes back as it was."""

import json
from typing import Any

import bson
from hypothesis import given
from hypothesis import strategies as st

from bot.storage.mongo.escaping import plain_key, plain_tree, safe_key, safe_tree

TEXTS = st.text(st.characters(codec=None) | st.sampled_from("$.%;\x00\x1b\ud800\u202eAF0"), max_size=12)
NUMBERS = st.integers(-(10**30), 10**30) | st.floats(allow_nan=False, allow_infinity=False)
TREES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda children: st.lists(children, max_size=3) | st.dictionaries(TEXTS, children, max_size=3),
    max_leaves=12,
)


@given(TEXTS)
def test_a_key_comes_back_and_has_nothing_that_mongodb_reads(key: str) -> None:
    safe = safe_key(key)
    assert plain_key(safe) == key
    assert safe.encode()  # BSON can hold it
    assert not set(safe) & set("$.\x00\x1b")
    assert safe


@given(TEXTS, TEXTS)
def test_two_keys_stay_two(one: str, other: str) -> None:
    assert (safe_key(one) == safe_key(other)) == (one == other)


@given(TREES)
def test_a_tree_goes_through_bson_and_comes_back(tree: Any) -> None:
    tree = json.loads(json.dumps(tree))  # as the journal gives it
    stored = bson.decode(bson.encode({"body": safe_tree(tree)}))["body"]
    assert plain_tree(stored) == tree
    assert all(not set(key) & set("$.\x00") for key in _keys(stored))


def test_keys_of_people_stay_as_they_are() -> None:
    assert safe_key("client_order_id") == "client_order_id"
    assert safe_key("BTC/USDT:USDT") == "BTC/USDT:USDT"
    assert safe_key("$where") == "%24;where"
    assert safe_key("a.b") == "a%2E;b"


def test_a_mark_of_ours_cannot_be_forged() -> None:
    forged = {"%integer": "ff", "%text": "%24;"}
    for key, value in forged.items():
        assert plain_tree(safe_tree({key: value})) == {key: value}


def _keys(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [*value, *(key for child in value.values() for key in _keys(child))]
    return [key for child in value for key in _keys(child)] if isinstance(value, list) else []
