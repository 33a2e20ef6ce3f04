"""What Kraken offers to `main.py`."""

from exchanges.common.market.watched_venue import WatchedVenue
from exchanges.kraken import metadata, normalize, shipped
from exchanges.kraken.decoder import KrakenDecoder
from exchanges.kraken.endpoints import SPOT
from exchanges.kraken.reader import KrakenReader


class KrakenVenue(WatchedVenue):
    """Kraken spot; symbols are the v2 stream's (`BTC/USD`)."""

    def __init__(self) -> None:
        super().__init__(
            SPOT,
            decoder=KrakenDecoder,
            reader=KrakenReader,
            instruments=metadata.instruments,
            quoted_symbol=normalize.quoted_symbol,
            printed=normalize.printed,
            shipped=shipped.INSTRUMENTS,
            fees=shipped.FEES,
        )
