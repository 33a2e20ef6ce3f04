"""How close the simulated market is to a recorded one: the same statistics of both, side by side.

python -m exchanges.simulator.market.fidelity --recorded usdm.gz --against spot.gz --minutes 5
"""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path

from bot.domain.instrument import Instrument
from bot.errors import SettingsError
from exchanges.recorded.files import RecordedFile
from exchanges.simulator.core.values import BookChanged, Listing
from exchanges.simulator.market.listings import VENUES, default_listings
from exchanges.simulator.market.market import SimulatedMarket
from exchanges.simulator.market.statistics import Quotes, book_statistics, pair_statistics

START_NS = 1_767_571_200_000_000_000
_SECOND_NS = 1_000_000_000
_Row = tuple[int, float, float, float, float]


def recorded_quotes(path: Path) -> Quotes:
    """The `bookTicker` lines of a recording, by receive time.

    Raises:
        RecordingError: If it cannot be read.
        ValueError: If it has no such lines.
    """
    return Quotes.of(list(_recorded_rows(path)))


def _recorded_rows(path: Path) -> Iterator[_Row]:
    for batch in RecordedFile(path).batches():
        for ts_ns, payload in zip(batch.stamps, batch.payloads, strict=True):
            if b"bookTicker" in payload[:80]:
                top = json.loads(payload)["data"]
                yield ts_ns, float(top["b"]), float(top["B"]), float(top["a"]), float(top["A"])


def simulated_quotes(
    wanted: Sequence[str], *, minutes: float, seed: int = 1, scenario: str = "calm", rate: float = 1.0
) -> list[Quotes]:
    """The tops of book of instruments by id (`binance:ETH/USDT:USDT`), all from one simulated market.

    Raises:
        SettingsError: If the venues list no such instrument.
    """
    listings = default_listings_by_id(wanted)
    market = SimulatedMarket(listings, seed=seed, start_ns=START_NS, scenario=scenario, rate=rate)
    rows: list[list[_Row]] = [[] for _ in listings]
    end_ns = START_NS + round(minutes * 60 * _SECOND_NS)
    while (at_ns := market.next_event_ns()) <= end_ns:
        # One moment at a time, so that the book can be asked after each change.
        for event in market.advance_to(at_ns):
            if isinstance(event, BookChanged) and event.top_changed:
                rows[event.listing].append(_row(market, event.listing, at_ns))
    return [Quotes.of(one) for one in rows]


def default_listings_by_id(wanted: Sequence[str]) -> list[Listing]:
    """Listings of the default venues by instrument id, in the order asked for.

    Raises:
        SettingsError: If there is no such instrument.
    """
    known = {one.instrument.id: one for one in chain.from_iterable(default_listings(venue) for venue in VENUES)}
    for name in wanted:
        if name not in known:
            raise SettingsError(f"no instrument {name!r}; there are {', '.join(known)}")
    return [known[name] for name in wanted]


def _row(market: SimulatedMarket, listing: int, ts_ns: int) -> _Row:
    instrument = market.listings[listing].instrument
    tick, lot = float(instrument.tick_size), float(instrument.lot_size)
    bids, asks = market.levels(listing, 1)
    (bid, bid_lots), (ask, ask_lots) = bids[0], asks[0]
    return ts_ns, bid * tick, bid_lots * lot, ask * tick, ask_lots * lot


def table(
    recorded: Sequence[Quotes], simulated: Sequence[Quotes], instruments: Sequence[Instrument]
) -> dict[str, tuple[float, float]]:
    """By statistic: recorded, simulated. Of the first book, and of the pair where there are two."""
    tick = float(instruments[0].tick_size)
    columns = [book_statistics(one[0], tick) for one in (recorded, simulated)]
    if len(recorded) > 1:
        for column, quotes in zip(columns, (recorded, simulated), strict=True):
            column.update(pair_statistics(quotes[0], quotes[1]))
    return {name: (columns[0][name], columns[1][name]) for name in columns[0]}


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table; 0."""
    asked = _parser().parse_args(arguments)
    names = [asked.instrument, *([asked.against_instrument] if asked.against else [])]
    instruments = [one.instrument for one in default_listings_by_id(names)]
    recorded = [recorded_quotes(path) for path in (asked.recorded, asked.against) if path]
    simulated = simulated_quotes(names, minutes=asked.minutes, seed=asked.seed, scenario=asked.scenario)
    rows = table(recorded, simulated, instruments)
    if asked.json:
        print(json.dumps({name: {"recorded": one, asked.scenario: two} for name, (one, two) in rows.items()}))
        return 0
    print(f"{'':32}{'recorded':>12}{asked.scenario:>12}{'ratio':>8}")
    for name, (one, two) in rows.items():
        print(f"{name:32}{one:12.3f}{two:12.3f}{two / one if one else float('nan'):8.2f}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m exchanges.simulator.market.fidelity", description=__doc__)
    parser.add_argument("--recorded", type=Path, required=True, help="recording with bookTicker lines")
    parser.add_argument("--against", type=Path, help="recording of another book on the same clock, for the basis")
    parser.add_argument("--instrument", default="binance:ETH/USDT:USDT", help="the simulated book beside --recorded")
    parser.add_argument("--against-instrument", default="binance:ETH/USDT", help="and beside --against")
    parser.add_argument("--minutes", type=float, default=5.0, help="simulated time")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--scenario", default="calm")
    parser.add_argument("--json", action="store_true")
    return parser


if __name__ == "__main__":
    sys.exit(main())
