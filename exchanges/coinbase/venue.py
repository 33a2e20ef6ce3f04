"""What Coinbase offers to `main.py`."""

from exchanges.coinbase import metadata, normalize, shipped
from exchanges.coinbase.decoder import CoinbaseDecoder
from exchanges.coinbase.endpoints import SPOT
from exchanges.coinbase.reader import CoinbaseReader
from exchanges.common.market.watched_venue import WatchedVenue


class CoinbaseVenue(WatchedVenue):
    """Coinbase spot; symbols are its products' (`BTC-USD`)."""

    def __init__(self) -> None:
        super().__init__(
            SPOT,
            decoder=CoinbaseDecoder,
            reader=CoinbaseReader,
            instruments=metadata.instruments,
            quoted_symbol=normalize.quoted_symbol,
            printed=normalize.printed,
            shipped=shipped.INSTRUMENTS,
            fees=shipped.FEES,
        )
