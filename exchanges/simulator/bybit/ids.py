"""The exchange's numbers as Bybit spells ids: UUIDs for contracts, long decimals for spot; and back."""

from bot.domain.instrument import Segment

_SPOT_ORDERS = 2_000_000_000_000_000_000
_SPOT_TRADES = 2_290_000_000_000_000_000
_LISTING_ROOM = 1_000_000_000_000_000
_ORDER_GROUP = 0x9D1A_4E7C
_TRADE_GROUP = 0x20F4_3950
_HEX_NUMBER = 12


def order_id(segment: Segment, number: int) -> str:
    """`orderId` of an order."""
    if segment is Segment.SPOT:
        return str(_SPOT_ORDERS + number)
    return _uuid(_ORDER_GROUP, 0, number)


def order_number(segment: Segment, text: str) -> int | None:
    """The order of an `orderId`; None where no order can be called that."""
    try:
        number = int(text) - _SPOT_ORDERS if segment is Segment.SPOT else int(text[-_HEX_NUMBER:], 16)
    except ValueError:
        return None
    return number if number >= 0 and order_id(segment, number) == text else None


def trade_id(segment: Segment, listing: int, number: int) -> str:
    """`i` of a public trade, `execId` of the execution that it was."""
    if segment is Segment.SPOT:
        return str(_SPOT_TRADES + listing * _LISTING_ROOM + number)
    return _uuid(_TRADE_GROUP, listing, number)


def _uuid(group: int, middle: int, number: int) -> str:
    digits = f"{number:0{_HEX_NUMBER}x}"
    return f"{group:08x}-{middle:04x}-5b31-9112-{digits[-_HEX_NUMBER:]}"


class Sequence:
    """Ids of connections and messages: unique in a run, the same in the same run."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._next = 0

    def next(self) -> str:
        """Another id."""
        self._next += 1
        return f"{self._prefix}-{self._next:012x}"
