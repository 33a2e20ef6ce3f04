"""What is done with each kind of payload: functions with everything bound, for the path from bytes to decision."""

from collections.abc import Callable

from pydantic import ValidationError

from bot.domain.instrument import Feed, Segment
from bot.domain.market import FundingRate, PublicTrade, TopOfBook
from bot.ports import MarketSink
from exchanges.binance.schemas import FuturesBookTicker, MarkPrice, SpotBookTicker

Handler = Callable[[bytes, bytes, int], None]
"""Takes a payload, what stands under `data` in it, and when it was received, UTC ns."""
OnInvalid = Callable[[bytes, int, ValidationError], None]
"""Takes a payload that did not decode, when it was received, and why."""


def quote_handler(feed: Feed, slot: int, sink: MarketSink, on_invalid: OnInvalid) -> Handler:
    """Book tickers of one instrument; one that comes after a newer one is the sink's to refuse."""
    wire = SpotBookTicker if feed.segment is Segment.SPOT else FuturesBookTicker
    validate: Callable[[bytes], TopOfBook] = wire.__pydantic_validator__.validate_json
    on_quote = sink.on_quote

    def handle(raw: bytes, data: bytes, ts_recv_ns: int) -> None:
        try:
            quote = validate(data)
        except ValidationError as error:
            on_invalid(raw, ts_recv_ns, error)
            return
        on_quote(slot, quote, ts_recv_ns, raw)

    return handle


def trade_handler(feed: Feed, slot: int, sink: MarketSink, on_invalid: OnInvalid, wire: type[PublicTrade]) -> Handler:
    """Public trades of one instrument; `wire` is the class of the stream."""
    validate: Callable[[bytes], PublicTrade] = wire.__pydantic_validator__.validate_json

    def handle(raw: bytes, data: bytes, ts_recv_ns: int) -> None:
        try:
            trade = validate(data)
        except ValidationError as error:
            on_invalid(raw, ts_recv_ns, error)
            return
        sink.on_timed_frame(feed, trade.ts_event_ns, ts_recv_ns)
        sink.on_trade(slot, trade, ts_recv_ns)

    return handle


def funding_handler(slot: int, sink: MarketSink, on_invalid: OnInvalid) -> Handler:
    """Funding rates of one perpetual; a mark price without a rate (delivery contracts send `"r": ""`) is let pass."""
    validate: Callable[[bytes], FundingRate] = MarkPrice.__pydantic_validator__.validate_json

    def handle(raw: bytes, data: bytes, ts_recv_ns: int) -> None:
        try:
            funding = validate(data)
        except ValidationError as error:
            if not _only_lacks_a_rate(error):
                on_invalid(raw, ts_recv_ns, error)
            return
        sink.on_funding(slot, funding, ts_recv_ns)

    return handle


def _only_lacks_a_rate(error: ValidationError) -> bool:
    # Delivery contracts: an empty rate, in older frames neither a rate nor a settlement.
    details = error.errors(include_url=False, include_context=False)
    absent = {detail["loc"][0] for detail in details if detail["type"] == "missing" or detail["input"] == ""}
    return "r" in absent and absent <= {"r", "T"} and len(absent) == len(details)
