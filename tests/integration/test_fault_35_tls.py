"""Fault 35: who cannot prove who it is is told nothing, and nothing in the code says otherwise."""

import ast
import asyncio
import contextlib
import random
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from pydantic import SecretStr

from bot.clock import SystemClock
from bot.domain.instrument import Feed
from bot.errors import VenueError, VenueUnavailable
from bot.settings import ConnectionSettings, EndpointSettings, Settings
from exchanges.binance.metadata import connected
from exchanges.binance.signed_rest import SignedRest
from exchanges.binance.trade_socket import BinanceTrade
from exchanges.bybit.metadata import BybitRest
from exchanges.common.account.trade_link import TradeLink, dial
from exchanges.common.market.connection import StreamPlan, SupervisedConnection
from exchanges.common.requests.api_keys import ApiKeys
from exchanges.common.requests.public_http import PublicHttp
from exchanges.common.requests.venue_http import VenueHttp

ROOT = Path(__file__).resolve().parents[2]
LINEAR = Feed.parse("binance.linear")


class Server:
    """Says TLS with a certificate that nobody has signed but itself, and notes what it is told."""

    def __init__(self) -> None:
        self.port = 0
        self.heard = b""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.heard += await reader.read(1000)
        writer.close()


def certificate(directory: Path, days: int) -> tuple[Path, Path]:
    """A certificate of its own for this machine and its key; its time is over where `days` is negative."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)  # noqa: TID251 - a certificate's validity is by the real clock
    names = x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(IPv4Address("127.0.0.1"))])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=30))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(names, critical=False)
        .sign(key, hashes.SHA256())
    )
    encoding, no_password = serialization.Encoding.PEM, serialization.NoEncryption()
    shown, kept = directory / "certificate.pem", directory / "key.pem"
    shown.write_bytes(made.public_bytes(encoding))
    kept.write_bytes(key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, no_password))
    return shown, kept


@contextlib.asynccontextmanager
async def self_signed(directory: Path, days: int) -> AsyncIterator[Server]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate(directory, days))
    here = Server()
    asyncio.get_running_loop().set_exception_handler(lambda loop, told: None)  # handshakes that clients break off
    server = await asyncio.start_server(here.serve, "127.0.0.1", 0, ssl=context)
    here.port = server.sockets[0].getsockname()[1]
    try:
        yield here
    finally:
        server.close()


async def of_signed_requests(port: int) -> None:
    http = VenueHttp("binance")
    http.open()
    try:
        await http.request("POST", f"https://localhost:{port}/fapi/v1/order", {"X-MBX-APIKEY": "key"}, b"a=b", 30.0)
    finally:
        await http.close()


async def of_private_sockets(port: int) -> None:
    http = VenueHttp("bybit")
    http.open()
    try:
        await http.socket(f"wss://localhost:{port}/v5/private")
    finally:
        await http.close()


async def of_public_questions(port: int) -> None:
    http = PublicHttp("binance")
    try:
        await http.get(f"https://localhost:{port}/api/v3/time")
    finally:
        await http.close()


async def of_market_data(port: int) -> None:
    url = f"wss://localhost:{port}/stream"
    reader = SupervisedConnection(
        StreamPlan("binance.linear", LINEAR, url, ("btcusdt@bookTicker",), b"{", "route?"),
        settings=ConnectionSettings(first_frame_timeout_s=30.0),
        clock=SystemClock(),
        rng=random.Random(1),
        on_frame=lambda raw, ts_ns: None,
        on_batch_end=lambda ts_ns: None,
        on_state=lambda state, detail: None,
    )
    try:
        await reader.start()
    finally:
        await reader.stop()


async def of_order_sockets(port: int) -> None:
    clock = SystemClock()
    keys = ApiKeys(key=SecretStr("key"), secret=SecretStr("secret"))
    rest = SignedRest(LINEAR, f"https://localhost:{port}", keys, VenueHttp("binance"), clock)
    protocol = BinanceTrade(LINEAR, f"wss://localhost:{port}", rest, {})
    await dial(TradeLink(protocol, clock, lambda level, text: None), protocol, 30.0)


async def of_binances_client(port: int) -> None:
    endpoint = EndpointSettings(rest_url=f"https://localhost:{port}")
    async with connected(LINEAR, Settings(venues={"binance": {"linear": endpoint}})) as rest:
        await rest.server_time_ms()


async def of_bybits_client(port: int) -> None:
    with contextlib.closing(BybitRest(f"https://localhost:{port}")) as rest:
        await rest.server_time_ms()


WAYS: list[Callable[[int], Awaitable[None]]] = [
    of_signed_requests, of_private_sockets, of_order_sockets, of_public_questions, of_market_data, of_binances_client,
    of_bybits_client,
]  # fmt: skip


@pytest.mark.parametrize("days", [30, -1], ids=["self-signed", "expired"])
@pytest.mark.parametrize("ask", WAYS, ids=lambda ask: ask.__name__)
async def test_fault_35_who_shows_a_certificate_of_its_own_is_told_nothing(
    ask: Callable[[int], Awaitable[None]], days: int, tmp_path: Path
) -> None:
    async with self_signed(tmp_path, days) as server:
        with pytest.raises(VenueUnavailable):
            await ask(server.port)
        assert server.heard == b""


async def test_fault_35_a_name_that_leads_nowhere_is_a_venue_that_cannot_be_reached() -> None:
    http = PublicHttp("binance", timeout_s=30.0)
    with pytest.raises(VenueError):
        await http.get("https://venue.invalid/api/v3/time")
    await http.close()


_TRUSTING = {"CERT_NONE", "_create_unverified_context", "disable_warnings"}
_SWITCHES = {"verify", "ssl", "verify_ssl", "check_hostname", "verify_mode", "ssl_context", "aiohttp_trust_env"}


def switched_off(tree: ast.AST) -> list[int]:
    """Lines in which the proof of who is there is done without."""
    lines = []
    for node in ast.walk(tree):
        name = node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else None
        keyword = isinstance(node, ast.keyword) and node.arg in _SWITCHES and _is_off(node.value)
        assigned = isinstance(node, ast.Assign) and _is_off(node.value) and any(map(_is_switch, node.targets))
        if name in _TRUSTING or keyword or assigned:
            lines.append(getattr(node, "lineno", 0))
    return lines


def _is_off(value: ast.AST) -> bool:
    return isinstance(value, ast.Constant) and value.value is False


def _is_switch(target: ast.AST) -> bool:
    return isinstance(target, ast.Attribute) and target.attr in _SWITCHES


def test_fault_35_no_line_does_without_the_proof() -> None:
    folders = ("bot", "exchanges", "strategies", "modes", "postmortem")
    files = [ROOT / "main.py", *(file for folder in folders for file in (ROOT / folder).rglob("*.py"))]
    assert len(files) > 100
    found = {str(file): lines for file in files if (lines := switched_off(ast.parse(file.read_text())))}
    assert found == {}


@pytest.mark.parametrize(
    "line",
    ["get(url, verify=False)", "connect(url, ssl=False)", "context.check_hostname = False", "c.verify_mode = CERT_NONE",
     "ssl._create_unverified_context()"],
)  # fmt: skip
def test_fault_35_such_a_line_would_be_found(line: str) -> None:
    assert switched_off(ast.parse(line))
