"""Kraken's listings, by its own three spellings, and how their figures are printed."""

from collections.abc import Sequence
from dataclasses import dataclass

from bot.domain.instrument import Instrument
from exchanges.simulator.bybit.catalogue import Grid
from exchanges.simulator.core.values import Listing

_ALTNAMES = {"BTC": "XBT", "DOGE": "XDG"}
_ASSETS = {"BTC": "XXBT", "ETH": "XETH", "USD": "ZUSD"}
"""Kraken's own names of its oldest assets; younger ones are called as everybody calls them."""


def asset_name(asset: str) -> str:
    """`XXBT`."""
    return _ASSETS.get(asset, asset)


def alternative(asset: str) -> str:
    """`XBT`."""
    return _ALTNAMES.get(asset, asset)


@dataclass(frozen=True, slots=True)
class Pair:
    """One of them."""

    index: int
    """In the market."""
    instrument: Instrument
    grid: Grid

    @property
    def id(self) -> str:
        """`XBTUSDT`, and `XXBTZUSD` of two assets with old names: trades and fees are told by it."""
        assets = self.instrument.base, self.instrument.quote
        return "".join(map(asset_name if _ASSETS.keys() >= set(assets) else alternative, assets))

    @property
    def altname(self) -> str:
        """`XBTUSDT`, `XBTUSD`: orders are told by it."""
        return alternative(self.instrument.base) + alternative(self.instrument.quote)

    @property
    def old_name(self) -> str:
        """`XBT/USDT`, Kraken's `wsname`."""
        return f"{alternative(self.instrument.base)}/{alternative(self.instrument.quote)}"

    @property
    def stream_name(self) -> str:
        """`BTC/USDT`, of the v2 stream."""
        return self.instrument.symbol


class Pairs:
    """What Kraken lists."""

    def __init__(self, venue: str, listings: Sequence[Listing]) -> None:
        self.all = [
            Pair(index, one.instrument, Grid(one))
            for index, one in enumerate(listings)
            if one.instrument.venue == venue
        ]
        self._by_index = {pair.index: pair for pair in self.all}
        self._by_id = {name: pair for pair in self.all for name in (pair.id, pair.altname, pair.old_name)}
        self._by_stream = {pair.stream_name: pair for pair in self.all}

    def named(self, text: str) -> Pair | None:
        """By id, or by either of its other names."""
        return self._by_id.get(text)

    def streamed(self, text: str) -> Pair | None:
        """By the stream's name."""
        return self._by_stream.get(text)

    def at(self, index: int) -> Pair | None:
        """By the market's index; None for another venue's."""
        return self._by_index.get(index)
