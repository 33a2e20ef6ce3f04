"""The benchmark of frames notices every frame that is lost, doubled or out of order."""

import pytest

from benchmarks.chains import Chains, ages_ms, differing

ORDERED = {
    "Bybit's best prices": [
        b'{"topic":"orderbook.1.BTCUSDT","ts":5,"type":"snapshot","data":{"u":%d,"seq":9}}' % u for u in range(7, 12)
    ],
    "spot trades": [b'{"stream":"ethusdt@trade","data":{"e":"trade","E":5,"t":%d,"p":"1"}}' % t for t in range(7, 12)],
    "aggregated trades": [b'{"stream":"btcusdt@aggTrade","data":{"E":5,"a":%d,"f":3}}' % a for a in range(7, 12)],
}


def breaks(frames: list[bytes]) -> int:
    chains = Chains()
    chains.follow(frames)
    return chains.breaks


@pytest.mark.parametrize("frames", ORDERED.values(), ids=ORDERED)
def test_every_fault_of_a_counted_chain_is_seen(frames: list[bytes]) -> None:
    assert breaks(frames) == 0
    assert breaks(frames[:2] + frames[3:]) == 1, "lost"
    assert breaks([*frames[:3], frames[2], *frames[3:]]) == 1, "doubled"
    assert breaks([frames[1], frames[0], *frames[2:]]) == 2, "out of order"


def test_chains_of_different_symbols_and_streams_do_not_mix() -> None:
    mixed = [frame for frames in zip(*ORDERED.values(), strict=True) for frame in frames]
    assert breaks(mixed) == 0
    assert breaks([frame.replace(b"BTCUSDT", b"ETHUSDT") for frame in mixed]) == 0


def test_ids_of_binance_quotes_leave_some_out_but_never_go_back() -> None:
    quotes = [b'{"stream":"btcusdt@bookTicker","data":{"u":%d,"s":"BTCUSDT"}}' % u for u in (5, 9, 10, 17)]
    chains = Chains()
    chains.follow(quotes)
    assert (chains.breaks, chains.take_quotes("BTCUSDT")) == (0, [5, 9, 10, 17])
    assert chains.take_quotes("BTCUSDT") == []
    assert breaks([quotes[1], quotes[0], *quotes[2:]]) == 1
    assert breaks([quotes[0], *quotes]) == 1


def test_two_subscribers_are_compared_where_both_could_see() -> None:
    assert differing([3, 5, 8, 9], [1, 3, 5, 8]) == 0
    assert differing([3, 5, 8, 9], [3, 8, 9]) == 1
    assert differing([3, 5, 9], [3, 8, 9]) == 2
    assert differing([3, 5], []) == 2


def test_trades_do_not_say_how_late_the_market_is() -> None:
    quote = b'{"stream":"btcusdt@bookTicker","data":{"e":"bookTicker","u":5,"E":1000,"T":1000}}'
    trade = b'{"stream":"btcusdt@aggTrade","data":{"e":"aggTrade","E":900,"a":5}}'
    best = b'{"topic":"orderbook.1.BTCUSDT","ts":1001,"type":"snapshot","data":{"u":7}}'
    assert ages_ms([(1_002_500_000, quote), (1_002_500_000, trade), (1_003_000_000, best)]) == [2.5, 2.0]
