"""The order books of recordings, where these hold them."""

from collections.abc import Callable, Collection, Mapping

from bot.domain.instrument import Feed, Instrument
from bot.ports import FrameDecoder
from bot.settings import OrderBookSettings
from exchanges.binance.depth_frames import BinanceDepthFrames
from exchanges.bybit.depth_frames import BybitDepthFrames
from exchanges.common.market.depth import DepthSink
from exchanges.depth.books import wanted_slots
from exchanges.depth.fanout import DepthFanout

_Frames = Callable[[Feed, Mapping[str, int], DepthSink], FrameDecoder]
_FRAMES: Mapping[str, _Frames] = {"binance": BinanceDepthFrames, "bybit": BybitDepthFrames}


class RecordedBooks:
    """Builds the followed books from the lines that carry them."""

    def __init__(self, by_feed: Mapping[Feed, Mapping[str, Instrument]]) -> None:
        """`by_feed` gives the slots by its order."""
        self._by_feed = by_feed
        instruments = (one for found in by_feed.values() for one in found.values())
        self._slots = {one.id: slot for slot, one in enumerate(instruments)}
        self._fanout = DepthFanout()

    def wanted(self, settings: OrderBookSettings) -> list[int]:
        """The slots whose books are asked for, of the venues whose lines can carry one."""
        return wanted_slots(self._by_feed, settings, lambda feed: feed.venue in _FRAMES)

    def listen(self, slots: Collection[int], sink: DepthSink) -> None:
        """Tell `sink` of these slots' books; call it before the recording is played."""
        self._fanout.add(slots, sink)

    def decoder(self, feed: Feed) -> FrameDecoder | None:
        """What is to see every line of a feed beside the feed's own decoder; None where nobody follows a book of it."""
        frames = _FRAMES.get(feed.venue)
        followed = {name: self._slots[one.id] for name, one in self._by_feed[feed].items()}
        followed = {name: slot for name, slot in followed.items() if slot in self._fanout.slots}
        return frames(feed, followed, self._fanout) if frames is not None and followed else None


class WithBooks:
    """A decoder whose lines also go to the order books, which come first: what quotes decide rests on them."""

    def __init__(self, decoder: FrameDecoder, books: FrameDecoder) -> None:
        self._decode = decoder.on_frame
        self._keep = books.on_frame

    def on_frame(self, raw: bytes, ts_recv_ns: int) -> None:
        """One payload."""
        self._keep(raw, ts_recv_ns)
        self._decode(raw, ts_recv_ns)
