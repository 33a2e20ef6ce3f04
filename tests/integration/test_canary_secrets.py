"""Secrets appear nowhere: a whole life of the product with canaries for keys, and every byte that it left behind."""

import asyncio
import base64
import gzip
import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
import traceback
import zlib
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import pytest
from pydantic import SecretStr

from bot import masking
from bot.clock import SystemClock
from bot.control.address import is_answered
from bot.engine.run import SOCKET
from bot.errors import BotError, ExitCode
from bot.masking import MASK, Masker
from exchanges.binance.endpoints import LINEAR
from exchanges.binance.signed_rest import SignedRest
from exchanges.bybit.signed_rest import SignedRest as BybitRest
from exchanges.common.requests.api_keys import ApiKeys
from exchanges.common.requests.venue_http import VenueHttp
from tests.integration.live_rig import BUG, PATIENCE_S, REPO, Exchanges, exchanges

EAGER = [
    word
    for setting in ("warmup_s=1", "min_net_edge_bps=-40", "exit_edge_bps=1000", "cooldown_s=0.1")
    for word in ("--set", f"arbitrage.{setting}")
]
REAL = ["--real-money", "--set", "real_money=true"]
OTHERS = {
    "CRYPTO_PIPE_BYBIT_TESTNET_KEY": "canary-of-another-system-1",
    "CRYPTO_PIPE_BYBIT_TESTNET_SECRET": "canary-of-another-system-2",
    "CRYPTO_PIPE_SIMULATOR_PASSWORD": "canary-of-a-password-3",
    "MONGODB_URI": "mongodb://canary-user-4:canary-password-5@127.0.0.1:1/bot?serverSelectionTimeoutMS=200",
    "CRYPTO_PIPE_HEARTBEAT_URL": "http://127.0.0.1:1/canary-of-a-heartbeat-6",
}
"""What else of secrets stands in the environment of a bot."""
NOWHERE = "http://127.0.0.1:1"
SIGNED = b"signature=" + b"ab" * 8
LISTENED = b"Lk7Lk7"


@dataclass
class Life:
    here: Exchanges
    home: Path
    said: list[tuple[str, bytes]] = field(default_factory=list)
    codes: dict[str, int] = field(default_factory=dict)

    @property
    def canaries(self) -> list[bytes]:
        plain = [self.here.key, self.here.secret, *(value for value in OTHERS.values() if "://" not in value)]
        parts = ["canary-user-4", "canary-password-5", "canary-of-a-heartbeat-6"]
        forms = [form for value in (*plain, *parts) for form in (value, quote(value, safe=""))]
        coded = [base64.b64encode(value.encode()).decode().rstrip("=") for value in plain]
        return [form.encode() for form in {*forms, *coded}] + [SIGNED, LISTENED]

    def run(self, name: str, *words: str, child: bool = True, **environment: str) -> None:
        with self.begun(name, *words, child=child, **environment) as process:
            self.ended(name, process)

    def begun(self, name: str, *words: str, child: bool = True, **environment: str) -> "subprocess.Popen[bytes]":
        # Three bots on one account at once: none of them may see the lock of another.
        state = {"XDG_STATE_HOME": str(self.home / f"state of {name}")}
        program = "tests/integration/live_child.py" if child else "main.py"
        return subprocess.Popen(
            [sys.executable, "-X", "faulthandler", str(REPO / program), *words],
            cwd=self.home, env={**self.here.environment(), **OTHERS, **state, **environment},
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    def ended(self, name: str, process: "subprocess.Popen[bytes]") -> None:
        out, err = process.communicate(timeout=PATIENCE_S)
        self.codes[name] = process.returncode
        self.said += [(f"stdout of {name}", out), (f"stderr of {name}", err)]

    def look_at(self, name: str, *words: str) -> None:
        """A terminal UI, with the same secrets in its environment: every byte that it draws, until it is ended."""
        master, slave = pty.openpty()
        environment = {**self.here.environment(), **OTHERS, "TERM": "xterm-256color", "COLUMNS": "180", "LINES": "60"}
        with subprocess.Popen(
            [sys.executable, str(REPO / "main.py"), *words],
            cwd=self.home, env=environment, stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
        ) as process:  # fmt: skip
            os.close(slave)
            drawn, deadline = b"", time.monotonic() + PATIENCE_S
            with suppress(OSError):  # nobody holds the other end any more: the UI has ended
                while time.monotonic() < deadline:
                    if select.select([master], [], [], 0.1)[0]:
                        drawn += os.read(master, 65_536)
                    if b"REAL MONEY" in drawn and b"binance" in drawn:
                        process.terminate()
            process.kill()
            os.close(master)
            self.codes[name] = process.wait(PATIENCE_S)
        self.said.append((f"stdout of {name}", drawn))

    def text(self, name: str) -> str:
        return b"".join(said for where, said in self.said if where.endswith(f" of {name}")).decode(errors="replace")

    def leaks(self) -> list[str]:
        found = [(where, content) for where, content in self.said]
        for path in (path for path in self.home.rglob("*") if path.is_file()):
            found += [(str(path), content) for content in _layers(path.read_bytes())]
            found.append((f"name of {path}", str(path).encode()))
        return [f"{where}: {canary!r}" for where, content in found for canary in self.canaries if canary in content]


def _layers(content: bytes) -> Iterator[bytes]:
    """The bytes, and what they are when they are unpacked."""
    yield content
    with suppress(OSError, EOFError, zlib.error):
        yield gzip.decompress(content)


def until_answered(process: "subprocess.Popen[bytes]", socket: Path) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not is_answered(socket):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.fixture(scope="module")
def life(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Life]:
    with exchanges() as here:
        life = Life(here, tmp_path_factory.mktemp("canary"))
        data, crashed, aborted = (life.home / name for name in ("data", "crashed", "aborted"))
        more = [*REAL, "--set", "log.json_file=json.log"]
        trades = [*EAGER, "--record-raw", "raw"]  # one of them alone: they share an account, and its positions
        with (
            life.begun("trading", *here.words(data), *more, *trades, "--for", "10s", "--json") as trading,
            life.begun("bug", *here.words(crashed), *more, "--for", "60s", **{BUG: "1"}) as bug,
            life.begun("abort", *here.words(aborted), *REAL, "--for", "120s") as aborting,
        ):
            until_answered(trading, data / SOCKET)
            life.run("status", "--mode", "status", *here.words(data), child=False)
            until_answered(aborting, aborted / SOCKET)
            life.look_at("screen", "--mode", "attach", *here.words(aborted))
            aborting.send_signal(signal.SIGABRT)
            for name, process in {"trading": trading, "bug": bug, "abort": aborting}.items():
                life.ended(name, process)
        life.run("doctor", "--mode", "doctor", "--json", *here.words(data), *REAL)
        life.run("post-mortem", "--mode", "post-mortem", "--data-dir", str(data), "--json", child=False)
        for what, where in {"orders": data, "events": crashed}.items():
            words = ("--mode", "query", "--what", what, "--data-dir", str(where), "--format", "json")
            life.run(f"query {what}", *words, child=False)
        life.run("backup", "--mode", "backup", "--data-dir", str(data), "--to", str(life.home / "backup"), child=False)
        yield life


def test_the_whole_product_ran(life: Life) -> None:
    """Where nothing was said there is nothing to find."""
    assert life.codes["trading"] == ExitCode.OK, life.text("trading")
    assert life.codes["bug"] == ExitCode.BUG, life.text("bug")
    assert life.codes["abort"] == -signal.SIGABRT
    assert "Current thread" in life.text("abort")
    assert life.codes["doctor"] == ExitCode.OK, life.text("doctor")
    assert life.codes["backup"] == ExitCode.OK, life.text("backup")
    assert "client_order_id" in life.text("query orders")
    assert "REAL MONEY" in life.text("status")
    assert "REAL MONEY" in life.text("screen")
    assert any((life.home / "raw").iterdir())
    assert (life.home / "json.log").stat().st_size > 0
    assert any(path.is_file() for path in (life.home / "backup").rglob("*"))
    assert not list(life.home.rglob("core*"))


def test_no_canary_is_in_anything_that_was_said_or_written(life: Life) -> None:
    assert life.leaks() == []


def test_the_bug_was_told_with_masks_in_the_place_of_secrets(life: Life) -> None:
    url = f"https://api.binance.com/api/v3/order?timestamp=1&signature={MASK}"
    assert f"no answer from {url} with {MASK} and {MASK}" in life.text("bug")
    events = [json.loads(line) for line in life.text("query events").splitlines() if line.startswith("{")]
    assert any(f"about to fail: {MASK} " in json.dumps(event) for event in events)


def test_the_search_finds_what_is_there(life: Life, tmp_path: Path) -> None:
    for content in (life.here.secret.encode(), gzip.compress(b"x" + life.here.key.encode() + b"y")):
        (tmp_path / "file").write_bytes(content)
        assert len(Life(life.here, tmp_path).leaks()) == 1


def test_files_of_a_run_are_this_users_alone(life: Life) -> None:
    loose = [path for path in (life.home / "data").rglob("*") if path.stat().st_mode & 0o077]
    assert loose == []


@pytest.mark.parametrize("key", ["canary-key-with/slash+plus", 'canary"quote-7', "canary%2Fkey-8"])
def test_a_secret_is_masked_in_the_forms_that_it_takes(key: str) -> None:
    masker = Masker()
    masker.remember(key)
    masker.remember_for_now("listen-key-that-passes")
    for text in (key, f"x{quote(key, safe='')}y", json.dumps({"why": key}), f"{key}{key}", "a listen-key-that-passes"):
        assert MASK in masker.masked(text)
        assert key not in masker.masked(text)
    assert masker.masked("nothing secret: 50000.1 BTC/USDT") == "nothing secret: 50000.1 BTC/USDT"


def test_a_comma_in_a_password_parts_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(masking, "KNOWN", Masker())
    environ = {
        "ONE": "mongodb://user:canary,of,a,password@host/bot",
        "TWO": "json://canary-of-one/,json://canary-of-two/",
    }
    masking.remember_environment(environ, environ)

    told = masking.masked("refused: canary,of,a,password; json://canary-of-one/ is away; so is json://canary-of-two/")

    assert "canary" not in told


@pytest.mark.parametrize(
    "text",
    [
        "GET /fapi/v1/order?symbol=BTCUSDT&signature=0123456789abcdef0123456789abcdef",
        "X-MBX-APIKEY: abcdef0123456789",
        "{'X-BAPI-SIGN': '0123456789abcdef'}", '{"listenKey":"abcdef0123456789"}', "?listenKey=abcdef0123456789&x=1",
        '{\\"apiKey\\": \\"abcdef0123456789\\"}', "API-Sign: kqVx+/abcdef0123456789==",
    ],
)  # fmt: skip
def test_what_looks_like_a_signature_or_a_key_is_masked_though_nobody_knows_it(text: str) -> None:
    shown = Masker().masked(text)
    assert "abcdef0123456789" not in shown
    assert MASK in shown


async def of_binance(keys: ApiKeys, http: VenueHttp, url: str) -> None:
    await SignedRest(LINEAR, url, keys, http, SystemClock()).cancel("/v1/order", {"symbol": "X"})


async def of_bybit(keys: ApiKeys, http: VenueHttp, url: str) -> None:
    await BybitRest(url, keys, http, SystemClock()).cancel({"symbol": "X"})


@pytest.mark.parametrize("ask", [of_binance, of_bybit])
async def test_a_network_error_of_a_signed_request_holds_nothing_of_it(
    ask: Callable[[ApiKeys, VenueHttp, str], Awaitable[None]],
) -> None:
    """With every exception that caused it, as a traceback shows them, and before anything is masked."""
    keys = ApiKeys(key=SecretStr("canary-key-of-an-error"), secret=SecretStr("canary-secret-of-an-error"))
    http = VenueHttp("binance")
    http.open()
    try:
        with pytest.raises(BotError) as raised:
            await ask(keys, http, NOWHERE)
    finally:
        await http.close()
    shown = "".join(traceback.format_exception(raised.value))
    assert "canary-" not in shown
    assert "signature=" not in shown


KEY, SECRET = "canary-key-of-a-package", "canary-secret-of-a-package"


async def of_python_binance() -> None:
    from exchanges.binance.library import AsyncClient

    client = AsyncClient(KEY, SECRET)
    client.FUTURES_URL = f"{NOWHERE}/fapi"
    try:
        await client.futures_account()
    finally:
        await client.close_connection()


async def of_pybit() -> None:
    from pybit.unified_trading import HTTP

    client = HTTP(api_key=KEY, api_secret=SECRET, max_retries=1, retry_delay=0, timeout=1)
    client.endpoint = NOWHERE
    await asyncio.to_thread(client.get_wallet_balance, accountType="UNIFIED")


async def of_ccxt() -> None:
    from exchanges.ccxt.library import exchange_class

    client = exchange_class("binanceusdm")({"apiKey": KEY, "secret": SECRET, "timeout": 2000})
    client.urls["api"] = dict.fromkeys(client.urls["api"], f"{NOWHERE}/fapi/v1")
    try:
        await client.fapiPrivateGetAccount()
    finally:
        await client.close()


@pytest.mark.parametrize(("ask", "repeats_the_url"), [(of_python_binance, False), (of_pybit, False), (of_ccxt, True)])
async def test_what_the_client_packages_say_of_a_failure_is_masked(
    ask: Callable[[], Awaitable[None]], repeats_the_url: bool
) -> None:
    with pytest.raises(Exception) as raised:
        await ask()
    said = "".join(traceback.format_exception(raised.value)) + repr(vars(raised.value))
    assert ("signature=" in said) is repeats_the_url
    masker = Masker()
    for secret in (KEY, SECRET):
        masker.remember(secret)
    shown = masker.masked(said)
    assert KEY not in shown
    assert SECRET not in shown
    assert not re.search(r"signature=[0-9a-f]", shown)


def test_the_client_packages_are_never_given_a_key() -> None:
    """python-binance and pybit ask what is public; what is signed is signed by us."""
    made = [
        line.strip()
        for path in (REPO / "exchanges").rglob("*.py")
        for line in path.read_text().splitlines()
        if re.search(r"(?<![\w.])(AsyncClient|HTTP)\(", line)
    ]
    assert len(made) == 2, made
    assert not [line for line in made if "key" in line.lower()]


def test_a_process_that_holds_keys_leaves_no_picture_of_its_memory() -> None:
    shown = subprocess.run(
        [sys.executable, "-c", "from modes.hardening import harden, hide_memory; import os, resource, ctypes\n"
         "harden(); hide_memory(); print(resource.getrlimit(resource.RLIMIT_CORE), oct(os.umask(0)),"
         " ctypes.CDLL(None).prctl(3, 0, 0, 0, 0) if os.uname().sysname == 'Linux' else 0)"],
        cwd=REPO, env=dict(os.environ), capture_output=True, text=True, timeout=PATIENCE_S, check=True,
    )  # fmt: skip
    assert shown.stdout == "(0, 0) 0o77 0\n"
