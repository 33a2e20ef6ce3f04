"""What Kraken tells anybody: its time, its assets and its pairs.

Source: https://docs.kraken.com/api/docs/rest-api/get-tradable-asset-pairs (and its neighbours).
"""

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from exchanges.simulator.core.ports import Exchange
from exchanges.simulator.core.values import TradingStatus
from exchanges.simulator.kraken.pairs import Pair, Pairs, alternative, asset_name

_S = 1_000_000_000


class PublicFacts:
    """Of one exchange."""

    def __init__(self, exchange: Exchange, pairs: Pairs) -> None:
        self._exchange = exchange
        self._pairs = pairs
        self.answers: Mapping[str, Callable[[], Any]] = {
            "Time": self._time,
            "Assets": self._assets,
            "AssetPairs": self._asset_pairs,
        }
        """By the name of the question."""

    def _time(self) -> Any:
        return {"unixtime": self._exchange.now_ns() // _S}

    def _assets(self) -> Any:
        names = {one for pair in self._pairs.all for one in (pair.instrument.base, pair.instrument.quote)}
        return {
            asset_name(one): {
                "aclass": "currency",
                "altname": alternative(one),
                "decimals": 10,
                "display_decimals": 5,
                "status": "enabled",
            }
            for one in sorted(names)
        }

    def _asset_pairs(self) -> Any:
        return {pair.id: self._pair_row(pair) for pair in self._pairs.all}

    def _pair_row(self, pair: Pair) -> Any:
        one, status = pair.instrument, self._exchange.market.status(pair.index)
        return {
            "altname": pair.altname,
            "wsname": pair.old_name,
            "aclass_base": "currency",
            "base": asset_name(one.base),
            "aclass_quote": "currency",
            "quote": asset_name(one.quote),
            "lot": "unit",
            "pair_decimals": _decimals(one.tick_size),
            "lot_decimals": _decimals(one.lot_size),
            "lot_multiplier": 1,
            "leverage_buy": [],
            "leverage_sell": [],
            "fees": [[0, 0.4]],
            "fees_maker": [[0, 0.25]],
            "fee_volume_currency": "ZUSD",
            "ordermin": f"{one.min_quantity:f}",
            "costmin": f"{one.min_notional:f}",
            "tick_size": f"{one.tick_size:f}",
            "status": "online" if status is TradingStatus.TRADING else "cancel_only",
        }


def _decimals(step: Decimal) -> int:
    return max(0, -int(step.normalize().as_tuple().exponent))
