"""What the simulated venues list, and how each book behaves.

Rates, sizes and levels of Binance after a measured window of six minutes in August 2024 (see docs/simulator.md);
Bybit's are the same shapes, slower and smaller, which is an assumption: there is no recording of it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal

from bot.domain.instrument import Feed, Instrument, Segment
from exchanges.binance import shipped as binance
from exchanges.bybit import shipped as bybit
from exchanges.kraken import shipped as kraken
from exchanges.simulator.core.values import Listing

SYMBOLS = ("BTCUSDT", "ETHUSDT")
VENUES = ("binance", "bybit")


@dataclass(frozen=True, slots=True)
class Habits:
    """How one book behaves when nothing special goes on."""

    updates_a_second: float
    """Changes of the best prices or their sizes, on average."""
    top_notional: float
    """Median value shown at a best price, quote units."""
    trade_notional: float
    """Median value of a public trade, quote units."""
    lag_s: float
    """How late it follows the market."""
    level_bps: float = 0.0
    """Where it stands against the asset's price, on average."""
    wide_share: float = 0.02
    """Of quotes that are wider than one tick."""
    wide_bps: float = 0.15
    """Mean width of those."""
    threshold_bps: float = 0.65
    """The fair price must leave the quotes by about this much before they follow."""
    levels_a_bp: float = 22.0
    """Prices that hold something within one bp."""
    interval_h: int = 8
    funding_cap: Decimal = Decimal("0.003")
    """Largest funding rate, either sign."""


_HABITS: Mapping[tuple[str, Segment], Habits] = {
    ("binance", Segment.LINEAR): Habits(192.0, 250_000.0, 900.0, lag_s=0.0, level_bps=-4.0),
    ("binance", Segment.SPOT): Habits(81.0, 120_000.0, 300.0, lag_s=0.02, wide_share=0.06, levels_a_bp=13.0),
    ("bybit", Segment.LINEAR): Habits(
        90.0, 80_000.0, 500.0, lag_s=0.04, level_bps=-4.0, funding_cap=Decimal("0.00333")
    ),
    ("kraken", Segment.SPOT): Habits(20.0, 20_000.0, 200.0, lag_s=0.08, wide_share=0.1, levels_a_bp=8.0),
    ("bybit", Segment.SPOT): Habits(35.0, 25_000.0, 200.0, lag_s=0.06, wide_share=0.06, levels_a_bp=13.0),
}
_OTHER = Habits(20.0, 20_000.0, 200.0, lag_s=0.1)
FIRST_PRICES: Mapping[str, float] = {"BTC": 61_800.0, "ETH": 2_680.0, "BNB": 500.0, "SOL": 150.0, "XRP": 0.6}
"""Of one unit, quote units; of an asset not here: 100."""
CROSS_QUOTE = "BTC"
CROSS_SYMBOL = "ETHBTC"
# tick, lot, smallest quantity, smallest notional in BTC: Binance's exchangeInfo; Bybit's are plausible figures.
_CROSS_GRIDS: Mapping[str, tuple[str, str, str, str]] = {
    "binance": ("0.00001", "0.0001", "0.0001", "0.0001"),
    "bybit": ("0.000001", "0.0001", "0.0001", "0.0001"),
}
# By venue and base: the largest order, and the largest market order, base units. Binance's of 2024; Bybit's are
# plausible figures. Kraken tells none.
_LARGEST: Mapping[tuple[str, str], tuple[str, str]] = {
    ("binance", "BTC"): ("1000", "120"),
    ("binance", "ETH"): ("10000", "2000"),
    ("bybit", "BTC"): ("1500", "500"),
    ("bybit", "ETH"): ("7000", "2000"),
}
_LARGEST_OF_OTHERS = ("9000000", "900000")
_LARGEST_NOTIONAL: Mapping[str, Decimal] = {"binance": Decimal(9_000_000), "bybit": Decimal(4_000_000)}
"""Of a spot order, by venue."""
# Second assets are quieter and thinner than bitcoin: as ether was in the measured window.
_RATE_OF_OTHERS = 0.82
_SIZE_OF_OTHERS = 0.22
# The long tail of a venue, of which there is no recording either: an update every second or so.
_TAIL = "ALT"
_RATE_OF_TAIL = 0.02
_SIZE_OF_TAIL = 0.05


def habits_of(instrument: Instrument) -> Habits:
    """How its book behaves."""
    habits = _HABITS.get((instrument.venue, instrument.segment), _OTHER)
    if instrument.base == "BTC":
        return habits
    is_tail = instrument.base.startswith(_TAIL)
    rate, size = (_RATE_OF_TAIL, _SIZE_OF_TAIL) if is_tail else (_RATE_OF_OTHERS, _SIZE_OF_OTHERS)
    if instrument.quote in FIRST_PRICES:  # values are told in the quote currency, and a bitcoin is worth a lot
        size /= FIRST_PRICES[instrument.quote]
    return replace(
        habits,
        updates_a_second=habits.updates_a_second * rate,
        top_notional=habits.top_notional * size,
        trade_notional=habits.trade_notional * size,
    )


def default_listings(venue: str) -> list[Listing]:
    """Bitcoin and ether against USDT, spot and linear, on the grids of the venue.

    Raises:
        KeyError: If it is not one of `VENUES`.
    """
    instruments = {"binance": binance.INSTRUMENTS, "bybit": bybit.INSTRUMENTS}[venue]
    segments = (Segment.SPOT, Segment.LINEAR)
    feeds = [Feed(venue=venue, segment=segment) for segment in segments]
    return [_listing(instruments[feed][symbol], symbol) for feed in feeds for symbol in SYMBOLS]


def many_listings(count: int) -> list[Listing]:
    """The default listings of both venues and then quiet coins, ALT001 and so on, `count` listings in all.

    Every coin trades on each feed before the next one is listed, so that routes of it can be compared.

    Raises:
        ValueError: If the default listings alone are more.
    """
    listings = [listing for venue in VENUES for listing in default_listings(venue)]
    if count < len(listings):
        raise ValueError(f"{count} listings are too few: the default ones are {len(listings)}")
    models = [listing.instrument for listing in listings if listing.symbol == SYMBOLS[-1]]
    for number in range(count - len(listings)):
        coin, place = divmod(number, len(models))
        listings.append(_tail_listing(f"{_TAIL}{coin + 1:03}", models[place]))
    return listings


def price_name(instrument: Instrument) -> str:
    """Whose price its book follows: the base asset's, or the cross of two assets' (`ETH/BTC`)."""
    return f"{instrument.base}/{instrument.quote}" if instrument.quote in FIRST_PRICES else instrument.base


def cross_listings() -> list[Listing]:
    """Ether against bitcoin, spot, at both venues: with the two pairs against USDT it closes a ring."""
    return [_cross(venue) for venue in VENUES]


def kraken_listings() -> list[Listing]:
    """Bitcoin and ether against USDT at Kraken, spot, on its grids."""
    names = {"XBTUSDT": "BTC/USDT", "ETHUSDT": "ETH/USDT"}
    return [_listing(kraken.INSTRUMENTS[symbol], name) for name, symbol in names.items()]


def _cross(venue: str) -> Listing:
    tick, lot, quantity, notional = map(Decimal, _CROSS_GRIDS[venue])
    instrument = Instrument(
        venue=venue,
        symbol="ETH/BTC",
        segment=Segment.SPOT,
        base="ETH",
        quote=CROSS_QUOTE,
        tick_size=tick,
        lot_size=lot,
        min_quantity=quantity,
        min_notional=notional,
    )
    return _listing(instrument, CROSS_SYMBOL)


def _tail_listing(base: str, model: Instrument) -> Listing:
    """A coin on the feed of `model`, with a coarser grid."""
    instrument = model.model_copy(
        update={
            "symbol": model.symbol.replace(model.base, base),
            "base": base,
            "tick_size": Decimal("0.01"),
            "lot_size": Decimal("0.01"),
            "min_quantity": Decimal("0.01"),
            "min_notional": Decimal(5),
        }
    )
    return _listing(instrument, f"{base}{model.quote}")


def _listing(unlimited: Instrument, symbol: str) -> Listing:
    instrument = _limited(unlimited)
    if instrument.venue == "binance" and instrument.segment is Segment.SPOT:
        # Binance's spot prints eight digits whatever the grid.
        return Listing(instrument, symbol, price_digits=8, quantity_digits=8)
    price_digits = max(2, _digits(instrument.tick_size)) if instrument.segment is Segment.LINEAR else None
    return Listing(
        instrument,
        symbol,
        price_digits=_digits(instrument.tick_size) if price_digits is None else price_digits,
        quantity_digits=_digits(instrument.lot_size),
    )


def _limited(instrument: Instrument) -> Instrument:
    if instrument.venue not in VENUES:
        return instrument
    most, at_market = _LARGEST.get((instrument.venue, instrument.base), _LARGEST_OF_OTHERS)
    notional = _LARGEST_NOTIONAL[instrument.venue] if instrument.segment is Segment.SPOT else None
    update = {"max_quantity": Decimal(most), "max_market_quantity": Decimal(at_market), "max_notional": notional}
    return instrument.model_copy(update=update)


def _digits(step: Decimal) -> int:
    exponent = step.as_tuple().exponent
    return max(0, -int(exponent))
