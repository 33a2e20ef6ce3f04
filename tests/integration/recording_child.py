"""Records made-up quotes into an archive until it is killed: `python recording_child.py DATA_DIR FIRST_SEQUENCE`.

Each line on stdout is a sequence up to which everything is durable.
"""

import asyncio
import sys
from pathlib import Path

from bot.clock import SystemClock
from bot.domain.instrument import Feed
from bot.domain.market import TopOfBook
from bot.ports import FeedState
from bot.recording.recorder import Recorder, RecorderLimits
from bot.storage.archive.store import ArchiveStore
from exchanges.binance import shipped

FEED = Feed.parse("binance.linear")
INSTRUMENT = shipped.INSTRUMENTS[FEED]["BTCUSDT"]


async def main(data_dir: Path, sequence: int) -> None:
    first, clock = sequence, SystemClock()
    recorder = Recorder(ArchiveStore.open(data_dir), [INSTRUMENT], clock, limits=RecorderLimits(every_s=0.05))
    recorder.start()
    recorder.on_feed_state(FEED, FeedState.LIVE, "")
    while True:
        for _ in range(20):
            quote = TopOfBook(
                bid_price=100.0, bid_qty=0.001 * sequence, ask_price=100.1, ask_qty=1.0, sequence=sequence
            )
            recorder.on_quote(0, quote, clock.now_ns(), b"")
            sequence += 1
        recorder.flush()
        print(first + recorder.received(FEED) - recorder.status().waiting_rows - 1, flush=True)
        await asyncio.sleep(0.001)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))
