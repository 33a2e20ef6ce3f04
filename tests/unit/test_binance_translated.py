"""What python-binance raises, as our errors: nothing of the request is in them, also not as their cause."""

import traceback

import aiohttp
import pytest
from multidict import CIMultiDict
from yarl import URL

from bot.errors import VenueUnavailable
from exchanges.binance.errors import translated
from exchanges.binance.library import BinanceRequestException

SIGNED = "https://fapi.binance.com/fapi/v2/account?timestamp=1&signature=canary0123456789abcdef"
ASKED = aiohttp.RequestInfo(URL(SIGNED), "GET", CIMultiDict({"X-MBX-APIKEY": "canary-key"}), URL(SIGNED))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "error",
    [
        aiohttp.ContentTypeError(ASKED, (), message="unexpected mimetype"),
        aiohttp.InvalidURL(SIGNED),
        aiohttp.ServerDisconnectedError(f"no answer to {SIGNED}"),
        OSError(104, f"reset while {SIGNED}"),
        TimeoutError(SIGNED),
        BinanceRequestException(f"Invalid Response: {SIGNED}"),
    ],
)
def test_no_url_stands_in_an_error_or_in_what_caused_it(error: Exception) -> None:
    with pytest.raises(VenueUnavailable) as raised, translated():
        raise error
    assert "canary" not in "".join(traceback.format_exception(raised.value))
    assert "signature" not in str(raised.value)
