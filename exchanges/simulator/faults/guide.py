"""The catalogue of faults as people and programs read it, and the lines in which they are ordered."""

import textwrap
from collections.abc import Iterable
from typing import Any

from bot.errors import SettingsError
from bot.text import clip, inert
from exchanges.simulator.faults.catalogue import CATALOGUE, FaultInfo, FaultKind, Realm
from exchanges.simulator.faults.values import Fault, fault_from_text

_HEADINGS = {
    Realm.FRAMES: "stream frames (match: a text in the frame)",
    Realm.REQUESTS: "requests (match: a text in the path, or in the socket method's name)",
    Realm.ORDERS: "orders and fills (match: a text in the symbol, as BTC/USDT:USDT)",
    Realm.VENUE: "the exchange (match: a text in the symbol, or the network's id)",
}
_USAGE = """\
faults of the simulated exchanges: --fault KIND,venue=VENUE[,key=value]...
  --fault silence,venue=binance,segment=linear,at_s=30,for_s=5
  --fault gap,venue=bybit,match=orderbook.50,amount=20

keys:
  venue     binance or bybit; always needed
  segment   spot or linear; all when left away
  at_s      seconds from the start of the exchanges to the fault's begin
  for_s     how long (default: below); 0: once, or `count` times
  count     the most times that it strikes
  match     strikes only what has this text
  amount    how much (default and unit: below)
"""
_WIDTH = 80
_FOOT = "* never drawn by a schedule: an account does not come back from it by itself\n"


def faults_from_lines(lines: Iterable[str]) -> list[Fault]:
    """The faults that `--fault` and `simulator.faults` order.

    Raises:
        SettingsError: If a line is none; one line that a terminal may show.
    """
    try:
        return [fault_from_text(line) for line in lines]
    except SettingsError as error:
        raise SettingsError(f"--fault: {clip(inert(str(error)), 600)} (see --fault list)") from None


def catalogue_table() -> str:
    """Every fault with how long it lasts and its amount, for a terminal of 80 columns."""
    parts = [_USAGE]
    for realm, heading in _HEADINGS.items():
        rows = [_row(kind, info) for kind, info in CATALOGUE.items() if info.realm is realm]
        parts.append("\n".join([heading, *rows, ""]))
    return "\n".join([*parts, _FOOT])


def _row(kind: FaultKind, info: FaultInfo) -> str:
    lasts = f"{info.for_s:g} s" if info.for_s else "once"
    amount = "" if info.amount is None else f" [amount {info.amount:g} {info.unit}]"
    only = "" if len(info.venues) > 1 else f" ({info.venues[0]} only)"
    return textwrap.fill(
        info.summary + only + amount,
        width=_WIDTH,
        initial_indent=f"  {kind + ('' if info.scheduled else '*'):<20} {lasts:>5}  ",
        subsequent_indent=" " * 30,
    )


def catalogue_json() -> list[dict[str, Any]]:
    """The same for programs; `for_s` and `amount` hold unless an order says otherwise."""
    return [
        {
            "fault": kind.value,
            "summary": info.summary,
            "realm": info.realm.value,
            "for_s": info.for_s,
            "amount": info.amount,
            "unit": info.unit,
            "venues": list(info.venues),
            "scheduled": info.scheduled,
        }
        for kind, info in CATALOGUE.items()
    ]
