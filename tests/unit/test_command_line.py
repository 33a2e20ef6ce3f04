"""The command line: what it understands, what it refuses and in which words, and help that fits a terminal."""

import re
import shlex
import tomllib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.command_line import MODES, parse, parse_duration
from bot.command_values import parse_recording
from bot.domain.instrument import Feed, Segment
from bot.errors import ExitCode, SettingsError
from bot.version import VERSION

SPOT = ("--recording", "binance.spot=a.gz")


def refusal(*argv: str) -> str:
    with pytest.raises(SettingsError) as caught:
        parse(argv)
    assert caught.value.exit_code == ExitCode.SETTINGS
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_nothing_given_leaves_all_to_the_settings() -> None:
    arguments = parse([])
    assert arguments.mode == "action"
    assert arguments.flags() == {
        "strategy": None,
        "market": None,
        "data_dir": None,
        "recorded": {"speed": None},
        "simulator": {"scenario": None, "seed": None, "faults": None, "host": None},
    }
    wishes = (arguments.headless, arguments.real_money, arguments.recording, arguments.set)
    assert wishes == (False, False, (), ())


def test_everything_that_belongs_to_a_recorded_run() -> None:
    arguments = parse(
        shlex.split(
            "--strategy arbitrage --mode action --market recorded --recording binance.spot=a=b.gz --recording "
            "binance.linear=c.gz --recording binance.spot=d.gz --speed 10x --for 1h30m --json --set a.b=c=d --set e=f "
            "--settings s.yaml --data-dir d --record-raw r"
        )
    )
    spot, linear = Feed(venue="binance", segment=Segment.SPOT), Feed(venue="binance", segment=Segment.LINEAR)
    assert arguments.recording == ((spot, Path("a=b.gz")), (linear, Path("c.gz")), (spot, Path("d.gz")))
    assert arguments.set == ("a.b=c=d", "e=f")
    assert (arguments.for_s, arguments.headless) == (5400.0, True)
    assert (arguments.settings, arguments.record_raw) == (Path("s.yaml"), Path("r"))
    assert arguments.flags() == {
        "strategy": "arbitrage",
        "market": "recorded",
        "data_dir": Path("d"),
        "recorded": {"speed": "10x"},
        "simulator": {"scenario": None, "seed": None, "faults": None, "host": None},
    }


def test_the_home_that_a_shell_leaves_in_a_recording_is_found() -> None:
    assert parse_recording("binance.spot=~/a.gz").path == Path.home() / "a.gz"


def test_a_recording_implies_its_market() -> None:
    assert parse(SPOT).flags()["market"] == "recorded"


@pytest.mark.parametrize(
    ("since", "wanted_s"),
    [
        ("24h", 1_000_000 - 86_400),
        ("1970-01-02", 86_400),
        ("1970-01-02T00:00:01Z", 86_401),
        ("1970-01-01T03:00+02:00", 3600),
    ],
)
def test_since_is_a_time_in_utc(since: str, wanted_s: int) -> None:
    arguments = parse(["--mode", "post-mortem", "--since", since])
    assert arguments.since_ns(1_000_000 * 10**9) == wanted_s * 10**9


def test_since_is_kept_as_given() -> None:
    assert parse(["--mode", "post-mortem", "--since", "90m"]).since == timedelta(minutes=90)
    wanted = round(datetime(2024, 8, 8, 13, tzinfo=UTC).timestamp()) * 10**9
    assert parse(["--mode", "post-mortem", "--since", "2024-08-08T13:00"]).since == wanted
    assert parse(["--mode", "post-mortem"]).since_ns(1) is None


def test_a_moment_is_kept_to_the_nanosecond() -> None:
    arguments = parse(["--mode", "query", "--at", "2024-08-08T13:00:00.123456789Z", "--until", "1723122000.5"])
    assert arguments.at_ns(0) == 1_723_122_000_123_456_789
    assert arguments.until_ns(0) == 1_723_122_000_500_000_000
    assert parse(["--mode", "query", "--at", "5m"]).at_ns(10**12) == 10**12 - 300 * 10**9


def test_everything_that_belongs_to_an_import() -> None:
    arguments = parse(
        shlex.split(
            "--mode import --source binance.linear --kind aggTrades,bookTicker --kind fundingRate "
            "--instrument BTC/USDT:USDT --since 2024-01-01 --until 2024-01-02"
        )
    )
    assert arguments.kind == ("aggTrades", "bookTicker", "fundingRate")
    assert (arguments.source, arguments.instrument) == ("binance.linear", ("BTC/USDT:USDT",))
    files = parse(shlex.split("--mode import --file a.zip b.zip --source bybit.spot --file c.zip"))
    assert files.file == (Path("a.zip"), Path("b.zip"), Path("c.zip"))


def test_backups_go_to_a_place_and_come_from_it() -> None:
    assert parse(["--mode", "backup", "--to", "s3://b/p"]).to == "s3://b/p"
    restore = parse(["--mode", "restore", "--from", "s3://b/p", "--backup-id", "X"])
    assert (restore.place, restore.backup_id) == ("s3://b/p", "X")
    assert parse(["--mode", "backup", "--list"]).list_backups


def test_every_mode_is_run_by_the_program() -> None:
    import main

    assert set(main._MODES) == {mode.name for mode in MODES}


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (("--sped", "max"), "unknown option --sped; did you mean --speed?"),
        (("--head",), "unknown option --head; did you mean --headless?"),
        (("--frobnicate",), "unknown option --frobnicate (see"),
        (("--recordings", "x"), "unknown option --recordings; did you mean --recording?"),
        (
            ("postmortem",),
            "an argument belongs to no option (quote values that hold blanks); did you mean --mode post-m",
        ),
        (
            ("--mode", "postmortem"),
            "; did you mean post-mortem?",
        ),
        (("--market", "lvie"), "--market: must be one of recorded, simulated, live, testnet; did you mean live?"),
        (("--speed", "2x"), "--speed: must be one of max, 1x, 10x"),
        (("--recording", "a.gz"), "--recording: write FEED=PATH, for example binance.spot=spot.gz"),
        (("--recording", "binance.spot="), "--recording: write FEED=PATH"),
        (("--recording", "binance=a.gz"), "--recording: write FEED=PATH"),
        (("--recording", "binance.linaer=a.gz"), "one of spot, linear, inverse; did you mean linear?"),
        (("--for", "30"), "--for: write a number and its unit"),
        (("--for", "0s"), "--for: must be above zero"),
        (("--for",), "--for: expected one argument"),
        (("--json=yes",), "--json: takes no value"),
        (("--set", "a"), "--set: write KEY=VALUE"),
        (("--set", "=a"), "--set: write KEY=VALUE"),
        (("--data-dir", ""), "--data-dir: must not be empty"),
        (("--mode", "post-mortem", "--since", "yesterday"), "--since: write a duration (24h) or a UTC time"),
        (("--mode", "post-mortem", "--since", "24x"), "--since: write a duration (24h) or a UTC time"),
        (("--mode", "post-mortem", "--since", "9999-12-31T23:59-10:00"), "--since: write a duration"),
        ((*SPOT, "--market", "live"), "--recording plays recorded time and --market live is now"),
        (("--speed", "1x", "--market", "live"), "--speed plays recorded time and --market live is now"),
        (("--real-money", "--market", "recorded"), "--real-money cannot trade recorded prices; use --market live"),
        (("--real-money", *SPOT), "--real-money cannot trade recorded prices"),
        (
            ("--mode", "post-mortem", *SPOT),
            "--recording belongs to --mode action or backtest, not to --mode post-mortem",
        ),
        (
            ("--mode", "attach", "--for", "1s"),
            "--for belongs to --mode action, backtest, record, simulate or scan, not to --mo",
        ),
        (("--mode", "attach", "--headless"), "--headless belongs to --mode action"),
        (("--mode", "attach", "--json"), "--json gives data and --mode attach a screen"),
        (("--mode", "post-mortem", "--real-money"), "--real-money belongs to --mode action"),
        (("--run", "x"), "--run belongs to --mode post-mortem, query or backtest, not to --mode action"),
        (("--since", "1h"), "--since belongs to --mode post-mortem"),
        (("--until", "1h"), "--until belongs to --mode export, query, import or backtest, not to --mode action"),
        (("--mode", "import", "--at", "1h"), "--at belongs to --mode query, not to --mode import"),
        (("--mode", "backup", "--from", "x"), "--from belongs to --mode restore, not to --mode backup"),
        (("--mode", "restore", "--list"), "--list belongs to --mode backup, not to --mode restore"),
        (("--mode", "query", "--what", "qoute"), "did you mean quote?"),
        (("--mode", "query", "--at", "1850-01-01"), "must lie in the years 1970 to 2262"),
        (("--mode", "query", "--limit", "-1"), "--limit: must be a number of rows; 0 shows all"),
        (("--mode", "import", "--kind", "a,,b"), "--kind: must not be empty"),
        (("--show-config", "--json-schema"), "each print one thing"),
    ],
)
def test_a_wrong_wish_is_one_line_that_says_what_to_do(argv: tuple[str, ...], message: str) -> None:
    assert message in refusal(*argv)


@given(st.text(min_size=1, max_size=20))
def test_a_stray_value_is_not_repeated(text: str) -> None:
    canary = f"kanari {text}"
    for argv in ((canary,), ("--set", canary), ("--json=" + canary,), ("--mode", canary), ("--sett=" + canary,)):
        if not (argv[0] == "--set" and "=" in canary):
            assert "kanari" not in refusal(*argv)


def test_arguments_do_not_print_their_overrides() -> None:
    assert "canary" not in repr(parse(["--set", "a=canary"]))


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("500ms", 0.5), ("30s", 30), ("10m", 600), ("2h", 7200), ("1d", 86400), ("1h30m", 5400), ("0.1s", 0.1)],
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "5", "s", "-5s", "5 s", "5S", "5s5", "inf", "nans", "1e3s", "4000d", "٣s", "0ms", "." * 50]
)
def test_no_durations(text: str) -> None:
    with pytest.raises(ValueError, match=r"write a number|above zero"):
        parse_duration(text)


@given(
    st.integers(1, 10**6), st.sampled_from(["ms", "s", "m"]), st.integers(1, 10**4), st.sampled_from(["s", "m", "h"])
)
def test_a_duration_is_the_sum_of_its_parts(first: int, unit: str, second: int, other: str) -> None:
    whole = parse_duration(f"{first}{unit}{second}{other}")
    assert whole == pytest.approx(parse_duration(f"{first}{unit}") + parse_duration(f"{second}{other}"))


@pytest.fixture
def help_text(capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as caught:
        parse(["--help"])
    assert caught.value.code == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    return printed.out


def test_help_starts_with_examples_and_fits_80_columns(help_text: str) -> None:
    assert help_text.startswith("examples:\n")
    assert max(map(len, help_text.splitlines())) <= 80


def test_help_groups_the_modes(help_text: str) -> None:
    places = [help_text.index(f"\n{group}:\n") for group in ("trade", "look", "data", "safety")]
    assert places == sorted(places)
    for mode in MODES:
        group = help_text.index(f"\n{mode.group}:\n")
        assert re.search(rf"\n    --mode {mode.name} +{re.escape(mode.help)}", help_text[group:]), mode


def test_help_tells_every_exit_code(help_text: str) -> None:
    for code in ExitCode:
        assert re.search(rf"\n +{code.value}  \w", help_text), code


def test_the_examples_are_understood(help_text: str) -> None:
    examples = help_text.partition("usage:")[0].replace("\\\n", "")
    commands = re.findall(r"^  python main\.py *(.*)$", examples, re.MULTILINE)
    assert len(commands) == 8
    for command in commands:
        parse(command.split())


def test_the_version_is_the_projects(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        parse(["--version"])
    assert caught.value.code == 0
    assert capsys.readouterr().out == f"crypto-pipe {VERSION}\n"
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    assert project["version"] == VERSION
