"""Frames of the sample recording, as Binance USDⓈ-M (combined stream) and Bybit v5 linear send them."""

from dataclasses import dataclass
from random import Random

NEXT_FUNDING_MS = 1_767_600_000_000
"""2026-01-05T08:00:00Z: the settlement after the sample."""


@dataclass(frozen=True, slots=True)
class Top:
    """A top of book in ticks of 0.10 and lots of 0.001."""

    bid_tick: int
    bid_lots: int
    ask_tick: int
    ask_lots: int


def price_text(tick: int) -> str:
    """Two decimals, as both exchanges print BTCUSDT: `61800.10`."""
    return f"{tick // 10}.{tick % 10}0"


def quantity_text(lots: int) -> str:
    """Three decimals: `2.680`."""
    return f"{lots // 1000}.{lots % 1000:03d}"


class BinanceWire:
    """`btcusdt@bookTicker`, `@aggTrade` and `@markPrice`."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._update_id = 9_500_000_000_000
        self._trade_id = 2_900_000_000

    def quote(self, top: Top, event_ms: int) -> str:
        """A bookTicker; update ids grow, but not by one."""
        self._update_id += self._random.randint(1, 900)
        return (
            f'{{"stream":"btcusdt@bookTicker","data":{{"e":"bookTicker","u":{self._update_id},"s":"BTCUSDT",'
            f'"b":"{price_text(top.bid_tick)}","B":"{quantity_text(top.bid_lots)}",'
            f'"a":"{price_text(top.ask_tick)}","A":"{quantity_text(top.ask_lots)}","T":{event_ms},"E":{event_ms}}}}}'
        )

    def trade(self, tick: int, lots: int, taker_buys: bool, event_ms: int) -> str:
        """An aggTrade."""
        self._trade_id += 1
        maker = "false" if taker_buys else "true"
        return (
            f'{{"stream":"btcusdt@aggTrade","data":{{"e":"aggTrade","E":{event_ms},"s":"BTCUSDT",'
            f'"a":{self._trade_id},"p":"{price_text(tick)}","q":"{quantity_text(lots)}",'
            f'"f":{self._trade_id * 2},"l":{self._trade_id * 2},"T":{event_ms},"m":{maker}}}}}'
        )

    def funding(self, mark: float, rate: str, event_ms: int) -> str:
        """A markPriceUpdate."""
        return (
            f'{{"stream":"btcusdt@markPrice","data":{{"e":"markPriceUpdate","E":{event_ms},"s":"BTCUSDT",'
            f'"p":"{mark:.8f}","P":"{mark:.8f}","i":"{mark:.8f}","r":"{rate}","T":{NEXT_FUNDING_MS}}}}}'
        )


class BybitWire:
    """`orderbook.1.BTCUSDT`, `publicTrade.BTCUSDT` and `tickers.BTCUSDT`."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._update_id = 41_000_000
        self._sequence = 480_000_000_000

    def quote(self, top: Top, event_ms: int) -> str:
        """A level-1 snapshot; it stands `ts` before `type`, which the deeper levels do not."""
        self._update_id += 1
        self._sequence += self._random.randint(1, 400)
        return (
            f'{{"topic":"orderbook.1.BTCUSDT","ts":{event_ms + 2},"type":"snapshot","data":{{"s":"BTCUSDT",'
            f'"b":[["{price_text(top.bid_tick)}","{quantity_text(top.bid_lots)}"]],'
            f'"a":[["{price_text(top.ask_tick)}","{quantity_text(top.ask_lots)}"]],'
            f'"u":{self._update_id},"seq":{self._sequence}}},"cts":{event_ms}}}'
        )

    def trade(self, tick: int, lots: int, taker_buys: bool, event_ms: int) -> str:
        """A publicTrade of one print."""
        self._sequence += 1
        digits = f"{self._random.getrandbits(128):032x}"
        trade_id = "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))
        side, move = ("Buy", "PlusTick") if taker_buys else ("Sell", "MinusTick")
        return (
            f'{{"topic":"publicTrade.BTCUSDT","type":"snapshot","ts":{event_ms + 2},"data":[{{"T":{event_ms},'
            f'"s":"BTCUSDT","S":"{side}","v":"{quantity_text(lots)}","p":"{price_text(tick)}","L":"{move}",'
            f'"i":"{trade_id}","BT":false,"RPI":false,"seq":{self._sequence}}}]}}'
        )

    def funding(self, top: Top, rate: str, event_ms: int) -> str:
        """A whole tickers snapshot."""
        last = price_text(top.bid_tick)
        self._sequence += 1
        return (
            f'{{"topic":"tickers.BTCUSDT","type":"snapshot","data":{{"symbol":"BTCUSDT","tickDirection":"PlusTick",'
            f'"lastPrice":"{last}","markPrice":"{last}","indexPrice":"{last}","openInterest":"52000.123",'
            f'"nextFundingTime":"{NEXT_FUNDING_MS}","fundingRate":"{rate}","fundingIntervalHour":"8",'
            f'"bid1Price":"{price_text(top.bid_tick)}","bid1Size":"{quantity_text(top.bid_lots)}",'
            f'"ask1Price":"{price_text(top.ask_tick)}","ask1Size":"{quantity_text(top.ask_lots)}"}},'
            f'"cs":{self._sequence},"ts":{event_ms}}}'
        )
