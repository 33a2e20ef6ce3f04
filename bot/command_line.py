"""The command line: what may be asked for, which wishes exclude each other, and help that starts with examples."""

import argparse
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal, NamedTuple, NoReturn, get_args

from bot.command_options import BELONGS_TO, Sort, add_memory, add_questions, add_scan, one_of, path, told
from bot.command_values import (
    Recording,
    not_blank,
    parse_duration,
    parse_override,
    parse_port,
    parse_recording,
    parse_seed,
)
from bot.errors import ExitCode, SettingsError
from bot.settings import RecordedSettings, Settings
from bot.suggestion import did_you_mean
from bot.version import VERSION

__all__ = ["MARKETS", "MODES", "SPEEDS", "Arguments", "Mode", "Recording", "parse", "parse_duration"]

PROGRAM = "python main.py"
WIDTH = 80


class Mode(NamedTuple):
    """Something the program can be asked to do."""

    name: str
    group: Literal["trade", "look", "data", "safety"]
    help: str


MODES = (
    Mode("action", "trade", "watch the market, decide and trade (the default)"),
    Mode("backtest", "trade", "the same over a market of the past, as fast as it goes"),
    Mode("post-mortem", "look", "explain what earlier runs earned and lost, and why"),
    Mode("attach", "look", "open the screen of a run that is going on"),
    Mode("status", "look", "what a run that is going on says of itself, once"),
    Mode("scan", "look", "rank what two venues list both; no keys needed"),
    Mode("query", "look", "what the market was, and what was done, at any moment"),
    Mode("record", "data", "keep what the venues say, without any decision"),
    Mode("import", "data", "read the exchanges' own history into the archive"),
    Mode("export", "data", "write rows of the archive into a plain file"),
    Mode("backup", "data", "copy the data directory to another place, checked"),
    Mode("restore", "data", "make an empty data directory of a backup"),
    Mode("simulate", "data", "serve simulated exchanges to any client, on loopback"),
    Mode("doctor", "safety", "every check of a start; what to do about each"),
    Mode("kill", "safety", "halt for good, cancel every order, say what is held"),
    Mode("pause", "safety", "take nothing new, or nothing on one --route"),
    Mode("resume", "safety", "trade again; with --halt: after a kill, once you looked"),
    Mode("flatten", "safety", "close what is open, or one --route, and pause"),
)
MARKETS: tuple[str, ...] = get_args(Settings.model_fields["market"].annotation)
SPEEDS: tuple[str, ...] = get_args(RecordedSettings.model_fields["speed"].annotation)

_GROUPS = {
    "trade": "act on differences of price; paper money unless four locks are open",
    "look": "read what is happening and what has happened",
    "data": "where quotes come from and where records go",
    "safety": "see the settings before they count; real money",
}
_EXAMPLES = """\
examples:
  python main.py
      watch and trade as settings.yaml says, with paper money
  python main.py --market live --for 10m
      the live market for ten minutes, with paper money
  python main.py --recording binance.spot=spot.gz --recording \\
      binance.linear=perp.gz --headless --json
      play recorded markets as fast as they go; one JSON object on stdout
  python main.py --mode simulate --port 8100
      simulated exchanges for your own client; the first line says where
  python main.py --mode post-mortem --since 24h
      what the last day earned and lost, and why
  python main.py --mode query --what book --at 5m \\
      --instrument binance:BTC/USDT:USDT
      the order book as it was five minutes ago
  python main.py --mode scan --market live --sort carry --for 1m
      what two exchanges list both, ranked; no keys needed
  python main.py --set risk.max_open_pairs=1 --show-config
      what the settings are, and where each of them comes from
"""
_EXIT_CODES = {
    ExitCode.OK: "done",
    ExitCode.SETTINGS: "settings or usage wrong, or an input file missing or incomplete",
    ExitCode.PREFLIGHT: "a check before the start failed",
    ExitCode.RISK_HALT: "halted by a risk limit",
    ExitCode.VENUE: "a venue could not be used, or refused us",
    ExitCode.STORAGE: "journal, archive or a backup could not be written or read",
    ExitCode.BUG: "a bug of ours",
    ExitCode.INTERRUPTED: "interrupted with Ctrl-C",
}
_BELONGS_TO: dict[str, tuple[str, ...]] = {
    "recording": ("action", "backtest"),
    "speed": ("action",),
    "for_s": ("action", "backtest", "record", "simulate", "scan"),
    "headless": ("action",),
    "record_raw": ("action",),
    "real_money": ("action", "doctor"),
    "shadow": ("action",),
    "port": ("simulate",),
    "scenario": ("simulate", "action", "doctor", "record", "scan"),
    "seed": ("simulate", "action", "doctor", "record", "scan"),
    "fault": ("simulate", "action", "doctor", "record", "scan"),
    "host": ("simulate",),
    "flatten": ("kill",),
    "route": ("pause", "resume", "flatten"),
    "halt": ("resume",),
    **BELONGS_TO,
}


@dataclass(frozen=True)
class Arguments:
    """What the command line asks for; None: not given, the settings decide."""

    strategy: str | None
    mode: str
    market: str | None
    recording: tuple[Recording, ...]
    speed: str | None
    for_s: float | None
    """Stop after this many seconds of the market's time."""
    headless: bool
    """No screen; `--json` implies it."""
    json: bool
    set: tuple[str, ...] = field(repr=False)
    settings: Path | None
    """None: the settings.yaml beside main.py, which may be missing."""
    data_dir: Path | None
    record_raw: Path | None
    port: int | None
    """Of the simulated exchanges; None takes a free one."""
    scenario: str | None
    seed: int | None
    fault: tuple[str, ...]
    """Orders of faults, or `list` to be shown which there are."""
    host: str | None
    run: str | None
    since: timedelta | int | None
    """How long ago, or UTC ns; here and below."""
    until: timedelta | int | None
    at: timedelta | int | None
    channel: str | None
    instrument: tuple[str, ...]
    to: str | None
    """A path, or the URL of backups."""
    place: str | None
    """`--from`: directory or URL of backups."""
    backup_id: str | None
    list_backups: bool
    verify: bool
    source: str | None
    """Of an import a feed; of a query `archive` or `mongo`."""
    kind: tuple[str, ...]
    file: tuple[Path, ...]
    what: str | None
    limit: int | None
    """Rows; 0: all."""
    format: str | None
    sort: Sort | None
    """What a scan is ranked by; None: edge."""
    tier: str | None
    """Of a scan's fees; None: the account's."""
    show_config: bool
    json_schema: bool
    real_money: bool
    """One of four locks; it opens nothing alone."""
    shadow: bool = False
    """Real orders of minimum size beside paper ones."""
    flatten: bool = False
    """Of a kill: close every derivative position too, at the market."""
    route: str | None = None
    """Of pause, resume and flatten; None: everything."""
    halt: bool = False
    """Of resume: take away the flag of a kill."""
    parent: int | None = None
    """Stop when this process is gone."""
    linger_s: float = 0.0
    """How long the control socket tells the summary after the end, until somebody has read it."""

    def flags(self) -> dict[str, Any]:
        """The dedicated flags as settings, for `load_settings(cli=...)`; None means not given."""
        market = self.market or ("recorded" if self.recording else None)
        return {
            "strategy": self.strategy,
            "market": market,
            "data_dir": self.data_dir,
            "recorded": {"speed": self.speed},
            "simulator": {
                "scenario": self.scenario,
                "seed": self.seed,
                "faults": list(self.fault) or None,
                "host": self.host,
            },
        }

    def since_ns(self, now_ns: int) -> int | None:
        """`--since` as UTC ns since the epoch; None where it was not given."""
        return _moment_ns(self.since, now_ns)

    def until_ns(self, now_ns: int) -> int | None:
        """`--until` likewise."""
        return _moment_ns(self.until, now_ns)

    def at_ns(self, now_ns: int) -> int | None:
        """`--at` likewise."""
        return _moment_ns(self.at, now_ns)


def _moment_ns(moment: timedelta | int | None, now_ns: int) -> int | None:
    if isinstance(moment, timedelta):
        return now_ns - moment // timedelta(microseconds=1) * 1000
    return moment


_REPEATED = ("recording", "set", "fault", "instrument", "kind", "file")


def parse(argv: Sequence[str]) -> Arguments:
    """Read the arguments (without the program's name).

    Raises:
        SettingsError: One line that says what to do.
        SystemExit: With 0, after `--help` or `--version`.
    """
    parser = _parser()
    found, left = parser.parse_known_args(argv)
    if left:
        parser.error(_unknown(left[0], parser))
    _refuse_contradictions(found, parser)
    found.headless = found.headless or found.json
    repeated = {name: tuple(getattr(found, name)) for name in _REPEATED}
    return Arguments(**vars(found) | repeated)


class _Parser(argparse.ArgumentParser):
    """argparse whose errors are ours, and whose help starts with examples."""

    def error(self, message: str) -> NoReturn:
        # argparse repeats the value that an option without one was given.
        message = re.sub(r"(?s)ignored explicit argument.*", "takes no value", message)
        raise SettingsError(f"{message.removeprefix('argument ')} (see {PROGRAM} --help)")

    def format_help(self) -> str:
        return f"{_EXAMPLES}\n{super().format_help()}"


def _formatter(prog: str) -> argparse.HelpFormatter:
    return argparse.RawDescriptionHelpFormatter(prog, max_help_position=22, width=WIDTH)


def _parser() -> _Parser:
    parser = _Parser(
        prog=PROGRAM,
        usage=f"{PROGRAM} [--strategy NAME] [--mode MODE] [options]",
        formatter_class=_formatter,
        allow_abbrev=False,
        add_help=False,
        epilog=_epilog(),
    )
    groups = {name: parser.add_argument_group(name, _described(name)) for name in _GROUPS}
    _add_trade(groups["trade"])
    _add_look(groups["look"])
    _add_data(groups["data"])
    _add_safety(groups["safety"])
    return parser


def _add_trade(group: Any) -> None:
    group.add_argument("--strategy", metavar="NAME", help="which strategy decides (default: arbitrage)")
    group.add_argument(
        "--mode",
        metavar="MODE",
        default="action",
        type=one_of([mode.name for mode in MODES]),
        help="what to do: " + ", ".join(mode.name for mode in MODES) + " (default: action)",
    )
    group.add_argument("--for", dest="for_s", metavar="TIME", type=told(parse_duration), help="stop after 30s, 10m, 2h")
    group.add_argument("--headless", action="store_true", help="no screen, though stdout is a terminal")


def _add_look(group: Any) -> None:
    group.add_argument("--json", action="store_true", help="data for programs on stdout; no screen")
    add_questions(group)
    add_scan(group)
    group.add_argument("--version", action="version", version=f"crypto-pipe {VERSION}", help="print it and stop")
    group.add_argument("-h", "--help", action="help", help="print this and stop")


def _add_data(group: Any) -> None:
    group.add_argument("--market", metavar="NAME", type=one_of(MARKETS), help=" or ".join(MARKETS))
    group.add_argument(
        "--recording",
        metavar="FEED=PATH",
        action="append",
        default=[],
        type=told(parse_recording),
        help="play this file (repeatable; files of one feed in the given order); implies --market recorded",
    )
    group.add_argument(
        "--speed", metavar="SPEED", type=one_of(SPEEDS), help=f"of recorded time: {', '.join(SPEEDS)} (default: max)"
    )
    group.add_argument("--record-raw", metavar="DIR", type=told(path), help="keep every raw frame in files in DIR")
    group.add_argument(
        "--port",
        metavar="N",
        type=told(parse_port),
        default=0,
        help="of the simulated exchanges (default: a free one)",
    )
    group.add_argument("--scenario", metavar="NAME", help="simulated day: calm, lively, crash or chaos")
    group.add_argument("--seed", metavar="N", type=told(parse_seed), help="of the simulated day (default: 1)")
    group.add_argument(
        "--fault",
        metavar="KIND,...",
        action="append",
        default=[],
        type=told(not_blank),
        help="what goes wrong at the simulated exchanges (repeatable); `list` shows what can",
    )
    group.add_argument("--host", metavar="IP", type=told(not_blank), help="to listen on (default: 127.0.0.1)")
    add_memory(group)
    group.add_argument("--data-dir", metavar="DIR", type=told(path), help="journal and logs (default: data)")


def _add_safety(group: Any) -> None:
    group.add_argument(
        "--set",
        metavar="KEY=VALUE",
        action="append",
        default=[],
        type=told(parse_override),
        help="one setting (repeatable)",
    )
    group.add_argument(
        "--settings", metavar="PATH", type=told(path), help="settings file (default: settings.yaml beside main.py)"
    )
    group.add_argument("--route", metavar="ID", type=told(not_blank), help="of pause, resume, flatten; all without it")
    group.add_argument("--halt", action="store_true", help="with --mode resume: show a kill's flag and take it away")
    group.add_argument("--flatten", action="store_true", help="with --mode kill: close every position at the market")
    group.add_argument("--with-parent", dest="parent", type=int, help=argparse.SUPPRESS)
    group.add_argument("--linger", dest="linger_s", type=float, default=0.0, help=argparse.SUPPRESS)
    group.add_argument("--show-config", action="store_true", help="print the merged settings, secrets masked, and stop")
    group.add_argument("--json-schema", action="store_true", help="print the schema of settings.yaml and stop")
    group.add_argument(
        "--real-money",
        action="store_true",
        help="one of four locks; the others: --market live, real_money in the settings, API keys (docs/going-live.md)",
    )
    group.add_argument(
        "--shadow",
        action="store_true",
        help="trade paper, and beside each order a real one of minimum size (docs/shadow.md)",
    )


def _described(group: str) -> str:
    modes = [f"  --mode {mode.name:<12} {mode.help}" for mode in MODES if mode.group == group]
    return "\n".join([_GROUPS[group], *modes])


def _epilog() -> str:
    codes = [f"  {code.value:>3}  {meaning}" for code, meaning in _EXIT_CODES.items()]
    return "\n".join(["exit codes:", *codes, "", "Messages go to stderr, data to stdout."])


def _unknown(argument: str, parser: _Parser) -> str:
    """What to say about an argument that belongs nowhere; only what looks like an option is repeated."""
    name = argument.partition("=")[0]
    if re.fullmatch(r"--?[A-Za-z][A-Za-z0-9-]{0,30}", name):
        known = [
            option.removeprefix("--")
            for option, action in parser._option_string_actions.items()
            if option.startswith("--") and action.help != argparse.SUPPRESS
        ]
        # Without the dashes: they are alike in every option, and would make any two look near.
        return f"unknown option {name}{did_you_mean(name.lstrip('-'), known, '--')}"
    meant = did_you_mean(name, [mode.name for mode in MODES], "--mode ")
    return "an argument belongs to no option (quote values that hold blanks)" + meant


def _refuse_contradictions(found: argparse.Namespace, parser: _Parser) -> None:
    for name, modes in _BELONGS_TO.items():
        if getattr(found, name) not in (None, False, []) and found.mode not in modes:
            parser.error(f"{_option(name)} belongs to --mode {_either(modes)}, not to --mode {found.mode}")
    if found.mode == "attach" and found.json:
        parser.error("--json gives data and --mode attach a screen; leave one of them out")
    if found.market in ("live", "simulated", "testnet") and (found.recording or found.speed):
        played = "--recording" if found.recording else "--speed"
        parser.error(f"{played} plays recorded time and --market {found.market} is now; leave one of them out")
    if found.real_money and (found.market == "recorded" or found.recording):
        parser.error("--real-money cannot trade recorded prices; use --market live")
    if found.shadow and (found.market == "recorded" or found.recording):
        parser.error("--shadow sends real orders, and nobody takes them at recorded prices; use another --market")
    if found.halt and found.route:
        parser.error("--halt is of everything; leave --route away")
    if found.show_config and found.json_schema:
        parser.error("--show-config and --json-schema each print one thing and stop; leave one of them out")


def _either(modes: Sequence[str]) -> str:
    return ", ".join(modes[:-1]) + " or " + modes[-1] if len(modes) > 1 else modes[0]


_SPELT = {"for_s": "--for", "place": "--from", "list_backups": "--list"}


def _option(name: str) -> str:
    return _SPELT.get(name) or "--" + name.replace("_", "-")
