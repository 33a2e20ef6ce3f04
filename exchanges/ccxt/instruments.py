"""ccxt's markets as instruments, each held against the venue's own row; one that does not agree is refused by name.

What is guarded against, and why: docs/venues.md.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from pydantic import ValidationError

from bot.domain.instrument import Feed, Instrument
from bot.errors import SettingsError, VenueUnavailable
from bot.suggestion import did_you_mean
from exchanges.ccxt.errors import translated
from exchanges.ccxt.rows import Description, Grid, Refused, positive
from exchanges.common.market.wanted import wants_all
from exchanges.common.told import limit

_TICK_SIZE_MODE = 4
"""ccxt's `precisionMode` in which precisions are steps; in the others 8 would mean eight decimals or digits."""

Describe = Callable[[Mapping[str, object]], Description]
"""Reads a venue's own row; raises `Refused`."""


@dataclass(slots=True)
class Read:
    """Everything that a venue lists."""

    instruments: dict[str, Instrument] = field(default_factory=dict)
    """By the symbol of the venue's stream."""
    refused: dict[str, str] = field(default_factory=dict)
    """By unified symbol: why it is not used."""
    twice: set[str] = field(default_factory=set)
    """Stream symbols that two rows claim: neither is used."""

    def has(self, symbol: str) -> bool:
        """Whether a row of this unified symbol can be used."""
        return any(instrument.symbol == symbol for instrument in self.instruments.values())


async def read_markets(feed: Feed, client: Any, describe: Describe) -> Read:
    """Ask the venue for everything it lists.

    Raises:
        VenueError: It cannot be asked, or ccxt does not understand the answer.
    """
    with translated(feed.venue):
        await client.load_markets()
    if client.precisionMode != _TICK_SIZE_MODE:
        raise VenueUnavailable(feed.venue, "ccxt tells its precisions in an unknown way; nothing of it is used")
    # Not ccxt's table by symbol: there, a row that calls itself like another (Kraken's dark pools) takes its place.
    rows = [row for rows in client.markets_by_id.values() for row in (rows if isinstance(rows, list) else [rows])]
    if not rows:
        raise VenueUnavailable(feed.venue, "lists no instrument")
    read = Read()
    for row in rows:
        _take(read, feed, row, describe)
    read.refused = {symbol: why for symbol, why in read.refused.items() if not read.has(symbol)}
    return read


def chosen(feed: Feed, read: Read, wanted: Collection[str]) -> dict[str, Instrument]:
    """The instruments with these unified symbols, or all with `ALL`, by the stream's symbol.

    Raises:
        SettingsError: If one of them is refused (with the reason) or unknown (the nearest known one is named).
    """
    if wants_all(wanted):
        return dict(read.instruments)
    known = {instrument.symbol for instrument in read.instruments.values()}
    for symbol in wanted:
        if symbol in read.refused:
            raise SettingsError(f"{feed} refuses {symbol}: {read.refused[symbol]}")
        if symbol not in known:
            raise SettingsError(f"instruments.{feed}: {symbol} does not trade there{did_you_mean(symbol, known)}")
    return {name: instrument for name, instrument in read.instruments.items() if instrument.symbol in wanted}


def _take(read: Read, feed: Feed, market: Any, describe: Describe) -> None:
    if not isinstance(market, dict) or market.get("spot") is not True:
        return  # futures and the like are not this feed's
    symbol = str(market.get("symbol"))
    try:
        name, instrument = _instrument(feed, symbol, market, describe)
        if name in read.twice or read.instruments.pop(name, None) is not None:
            read.twice.add(name)
            raise Refused(f"two rows call themselves {name}")
    except Refused as why:
        read.refused[symbol] = str(why)
    except (ValidationError, KeyError):
        read.refused[symbol] = "it is described in an unknown way"
    else:
        read.instruments[name] = instrument


def _instrument(feed: Feed, symbol: str, market: Mapping[str, Any], describe: Describe) -> tuple[str, Instrument]:
    info = market.get("info")
    if not isinstance(info, dict):
        raise Refused("the venue's own row is missing")
    _check_kind(symbol, market)
    own = describe(info)
    grid = _agreed(_grid(market), own.grid)
    if own.stream_symbol.replace("-", "/") != symbol:
        raise Refused(f"the venue's stream calls it {own.stream_symbol}")
    limits = _dict(market, "limits")
    return own.stream_symbol, Instrument(
        venue=feed.venue,
        symbol=symbol,
        segment=feed.segment,
        base=market["base"],
        quote=market["quote"],
        tick_size=grid.tick,
        lot_size=grid.lot,
        min_quantity=max(own.min_quantity, positive(_dict(limits, "amount").get("min"), "the smallest quantity")),
        min_notional=max(own.min_notional, positive(_dict(limits, "cost").get("min"), "the smallest notional")),
        max_quantity=limit(_dict(limits, "amount").get("max")),
        max_notional=limit(_dict(limits, "cost").get("max")),
    )


def _check_kind(symbol: str, market: Mapping[str, Any]) -> None:
    if market.get("active") is not True:
        raise Refused("it is not open for trading, or does not say so")
    if market.get("contract") not in (None, False) or market.get("contractSize") not in (None, 1):
        raise Refused("a spot instrument with a contract size")
    if f"{market.get('base')}/{market.get('quote')}" != symbol:
        raise Refused(f"its base and quote are {market.get('base')} and {market.get('quote')}")


def _grid(market: Mapping[str, Any]) -> Grid:
    precision = _dict(market, "precision")
    return Grid(
        tick=positive(precision.get("price"), "the tick size"), lot=positive(precision.get("amount"), "the lot size")
    )


def _agreed(ccxts: Grid, venues: Grid) -> Grid:
    return Grid(tick=_coarser(ccxts.tick, venues.tick, "tick size"), lot=_coarser(ccxts.lot, venues.lot, "lot size"))


def _coarser(one: Decimal, other: Decimal, name: str) -> Decimal:
    """The larger step: on its grid an order fits both. A step that fits neither is a wrong one."""
    larger, smaller = max(one, other), min(one, other)
    if larger % smaller:
        raise Refused(f"its {name} is {one} to ccxt and {other} to the venue")
    return larger


def _dict(row: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = row.get(key)
    return value if isinstance(value, dict) else {}
