"""`--mode kill`: a durable HALT flag, then every cancel, then what is still open and held.

It needs neither the engine nor the journal, MongoDB, the UI or settings that hold, and loads no client library: with
any of them dead, hanging or broken it does the same. It closes no position unless `--flatten` asks for it.
"""

import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

from bot.clock import Clock, SystemClock
from bot.errors import BotError, ExitCode
from bot.risk.halt_flag import FLAG, raise_flag, way_out, who_asks
from exchanges.binance.emergency import BinanceEmergency
from exchanges.bybit.emergency import BybitEmergency
from exchanges.common.requests.emergency import Account, Emergency
from exchanges.kraken.emergency import KrakenEmergency
from modes.kill_accounts import OUTSIDE, configured_accounts, remembered_accounts
from modes.kill_venue import Outcome, Silencer
from modes.kill_words import KillWords, quick_market

SETTINGS_FILE = Path(__file__).resolve().parents[1] / "settings.yaml"
_FLAG_WAIT_S = 0.5
"""A disk that hangs may not keep a single order alive for longer."""
_SEEN_S = 0.6
"""An engine looks for the flag four times a second; what it sent before is at the venue by then."""
_ABANDON = "reconciliation.pairs=abandon"
_VENUES: dict[str, Callable[[Account, Clock], Emergency]] = {
    "binance": BinanceEmergency,
    "bybit": BybitEmergency,
    "kraken": KrakenEmergency,
}


def kill(words: KillWords) -> int:
    """Do it; returns the exit code: 5 where a venue has not confirmed, 6 where the flag is not durable, else 0."""
    # A connection to this machine that breaks right after the word was given takes the terminal away, and not the word.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    clock = SystemClock()
    started_ns = clock.monotonic_ns()
    flag = _Flag(words.data_dir, clock)
    flag.start()
    flag.join(_FLAG_WAIT_S)
    accounts, troubles = remembered_accounts(words.data_dir)
    outcomes = _silenced(accounts, clock, started_ns, flatten=words.flatten)
    if not any(account.market in OUTSIDE for account in accounts):
        outcomes += _configured(words, troubles, clock)
    flag.join(_FLAG_WAIT_S)
    code = _code(outcomes, troubles, flag)
    if words.json:
        _say(json.dumps({"started_monotonic_ns": started_ns} | _told(outcomes, troubles, flag, code), default=str))
    else:
        _say("\n".join(_lines(words, outcomes, troubles, flag)))
    return code


def _say(text: str) -> None:
    """Nobody may read it, or the disk be full that it goes to: how it went is in the exit code all the same."""
    try:
        print(text, flush=True)
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # else it fails once more at the end


class _Flag(threading.Thread):
    """Writes the flag, since a disk may hang."""

    def __init__(self, data_dir: Path, clock: Clock) -> None:
        super().__init__(daemon=True)
        self._data_dir = data_dir
        self._clock = clock
        self.trouble = "the disk has not taken it yet"
        self.path = data_dir / FLAG
        self.is_alone = False
        """Whether its directory was made for it: perhaps another one was meant."""

    def run(self) -> None:
        try:
            self.is_alone = not self._data_dir.exists()
            raise_flag(self._data_dir, "--mode kill", who_asks(), self._clock.now_ns())
            self.trouble = ""
        except OSError as error:
            self.trouble = error.strerror or type(error).__name__


def _configured(words: KillWords, troubles: list[str], clock: Clock) -> list[Outcome]:
    """Where no run has left a trace of real accounts, a lost directory perhaps, but the settings name such a market."""
    if quick_market(words.asked, os.environ, SETTINGS_FILE) not in OUTSIDE:
        return []
    accounts, more = configured_accounts(words.asked, SETTINGS_FILE)
    troubles += more
    return _silenced(accounts, clock, clock.monotonic_ns(), flatten=words.flatten)


def _silenced(accounts: Sequence[Account], clock: Clock, started_ns: int, *, flatten: bool) -> list[Outcome]:
    settled_ns = clock.monotonic_ns() + round(_SEEN_S * 1e9)
    outcomes, threads = [], []
    for account in accounts:
        refused = Outcome(account.venue, account.market)
        outcomes.append(refused)
        if not account.key:
            refused.trouble = "no key is known here: cancel on the venue's own page"
            continue
        try:
            silencer = Silencer(_VENUES[account.venue](account, clock), clock, started_ns, settled_ns)
        except (BotError, KeyError) as error:
            refused.trouble = str(error)
            continue
        outcomes[-1] = silencer.outcome
        threads.append(threading.Thread(target=silencer.run, kwargs={"flatten": flatten}, daemon=True))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes


def _code(outcomes: Sequence[Outcome], troubles: Sequence[str], flag: _Flag) -> ExitCode:
    if troubles or not all(one.is_silent or one.is_gone for one in outcomes):
        return ExitCode.VENUE
    return ExitCode.STORAGE if flag.trouble else ExitCode.OK


def _told(outcomes: Sequence[Outcome], troubles: Sequence[str], flag: _Flag, code: ExitCode) -> dict[str, object]:
    return {
        "flag": str(flag.path),
        "flag_durable": not flag.trouble,
        "flag_trouble": flag.trouble,
        "venues": [asdict(one) for one in outcomes],
        "troubles": list(troubles),
        "exit_code": int(code),
    }


def _lines(words: KillWords, outcomes: Sequence[Outcome], troubles: Sequence[str], flag: _Flag) -> list[str]:
    if flag.trouble:
        lines = [f"NOT DURABLE: {flag.path}: {flag.trouble}; stop the engine's process yourself"]
    else:
        lines = [f"HALTED: {flag.path} is on the disk; nothing is opened beside it, also after a restart"]
    if flag.is_alone:
        lines.append(
            f"{words.data_dir} was made now: a bot on another directory trades on; name that one with --data-dir"
        )
    lines += [f"NOT CONFIRMED: {trouble}" for trouble in troubles]
    for one in outcomes:
        lines += _account_lines(one)
    if not outcomes and not troubles:
        lines.append("no run on this directory has sent orders to a venue: paper orders end with their run")
    lines.append(f"once you have looked: {way_out(words.data_dir)}")
    if any(one.closed for one in outcomes):
        lines.append("pairs of the journal know nothing of what was closed: start once with --set " + _ABANDON)
    return lines


def _account_lines(one: Outcome) -> list[str]:
    name = f"{one.venue} ({one.market})"
    if one.is_gone:
        return [f"{name}: these exchanges have ended, and every order with them"]
    sent = (
        ""
        if one.cancels_sent_s is None
        else f"{one.cancels} cancels, the first round within {one.cancels_sent_s:.2f} s; "
    )
    if one.is_silent:
        lines = [f"{name}: {sent}no order is open (confirmed after {one.silent_s:.2f} s)"]
    else:
        lines = [f"NOT CONFIRMED: {name}: {sent}{one.trouble or 'orders are still open'}"]
        lines += [f"  open: {order.segment} {order.symbol} {order.client_order_id}" for order in one.open_orders or ()]
    if one.positions is None:
        return [*lines, "  positions are not known"]
    lines += [f"  closed {position.quantity:+f} {position.symbol} ({position.segment})" for position in one.closed]
    held = [f"  holds {position.quantity:+f} {position.symbol} ({position.segment})" for position in one.positions]
    return lines + (held or ["  no derivative is held; coins in wallets stay where they are"])
