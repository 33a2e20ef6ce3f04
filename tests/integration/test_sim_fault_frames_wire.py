"""Faults of stream frames as a raw client sees them, at both venues."""

import asyncio
import contextlib
import itertools
import json
from collections.abc import AsyncIterator, Callable, Iterable
from decimal import Decimal
from typing import Any

import aiohttp
import pytest

from exchanges.simulator.binance.outlet import Outlet
from exchanges.simulator.faults.catalogue import FaultKind
from exchanges.simulator.faults.frame_codec import TEXT, encoded
from exchanges.simulator.faults.frame_tamper import FrameTamper
from exchanges.simulator.faults.values import Fault
from tests.integration.sim_binance_server import signed, signed_params
from tests.integration.sim_fault_frames_rig import (
    BINANCE,
    BYBIT,
    LINES,
    PATIENCE_S,
    SPOT,
    Line,
    Rig,
    Socket,
    is_data,
    rig,
)

each_line = pytest.mark.parametrize("line", LINES, ids=["binance.linear", "binance.spot", "bybit.linear"])


@pytest.fixture
async def here() -> AsyncIterator[Rig]:
    async with rig() as one:
        yield one


def body(frame: dict[str, Any]) -> dict[str, Any]:
    return frame["data"]


def is_ticker(text: str) -> bool:
    return "bookTicker" in text or '"orderbook.1.' in text


def best(frame: dict[str, Any]) -> tuple[str, str]:
    """Best bid and ask of a ticker or of a whole book."""
    data = body(frame)
    bids, asks = data.get("b", data.get("bids")), data.get("a", data.get("asks"))
    return (bids, asks) if isinstance(bids, str) else (bids[0][0], asks[0][0])


async def nothing_comes(socket: Socket, here: Rig, number: int, frames: int) -> None:
    """Nothing is read while so many frames are swallowed."""
    before = here.struck(number)
    reading = asyncio.create_task(socket.raw.receive())
    await here.until(lambda: here.struck(number) >= before + frames)
    assert not reading.done(), reading.result()
    reading.cancel()
    await asyncio.gather(reading, return_exceptions=True)


@each_line
async def test_silence_swallows_data_acknowledgements_and_pongs_and_then_ends(here: Rig, line: Line) -> None:
    async with here.listening(line) as socket:
        await socket.data()
        number = here.order(FaultKind.SILENCE, line)
        # What was on its way before it began still comes.
        before = here.struck(number)
        await here.until(lambda: here.struck(number) > before)
        while True:
            try:
                await asyncio.wait_for(socket.raw.receive(), 0.05)
            except TimeoutError:
                break
        await socket.raw.ping(b"are you there")
        await socket.ask()
        await nothing_comes(socket, here, number, 5)
        async with here.listening(line) as late:
            await late.raw.ping(b"and now")
            await late.ask()
            await nothing_comes(late, here, number, 5)
            here.end(number)
            await late.data()
            await late.raw.ping(b"back")
            async with asyncio.timeout(PATIENCE_S):
                while (message := await late.next()).type is not aiohttp.WSMsgType.PONG:
                    pass
            assert message.data == b"back"
            await late.acknowledged()
        await socket.acknowledged()


@each_line
async def test_no_data_lets_acknowledgements_pass(here: Rig, line: Line) -> None:
    number = here.order(FaultKind.NO_DATA, line)
    async with here.listening(line) as socket:
        await here.until(lambda: here.struck(number) > 5)
        await socket.ask()
        text = await socket.text()
        if line.venue == "bybit":
            assert json.loads(text)["op"] == "subscribe"
            text = await socket.text()
        assert line.ack in text
        here.end(number)
        await socket.data()


async def test_silence_of_one_stream_leaves_the_other(here: Rig) -> None:
    number = here.order(FaultKind.SILENCE, BINANCE, match="bookTicker")
    async with here.listening(BINANCE) as socket:
        streams = {json.loads(await socket.text(is_data))["stream"] for _ in range(5)}
        assert streams == {"btcusdt@depth@100ms"}
        assert here.struck(number)


@each_line
async def test_a_cut_is_1006_and_new_connections_are_served(here: Rig, line: Line) -> None:
    async with here.listening(line) as socket, here.listening(line) as other:
        await socket.data()
        await other.data()
        number = here.order(FaultKind.CUT, line)
        assert await socket.ended() == await other.ended() == 1006
        assert here.struck(number) == 2
        async with here.listening(line) as late:
            await late.data()


@each_line
async def test_a_cut_that_lasts_cuts_new_connections_too(here: Rig, line: Line) -> None:
    number = here.order(FaultKind.CUT, line, for_s=60, count=3)
    for _ in range(3):
        try:
            async with here.http.ws_connect(here.address.ws_url + line.path) as socket:
                await socket.receive(timeout=60)
                assert socket.close_code == 1006
        except aiohttp.ClientConnectionError:
            pass  # the connection was gone before the client was done with its handshake
    assert here.struck(number) == 3
    async with here.listening(line) as late:
        await late.data()


async def test_a_cut_strikes_the_channel_and_the_segment_that_it_names(here: Rig) -> None:
    async with (
        here.listening(BINANCE) as public,
        here.listening(BINANCE, "/ws-fapi/v1") as api,
        here.listening(SPOT) as spot,
        here.listening(BYBIT) as bybit,
    ):
        here.order(FaultKind.CUT, BINANCE, match="ws-api")
        assert await api.ended() == 1006
        for one in (public, spot, bybit):
            await one.acknowledged()


@pytest.mark.parametrize(
    ("line", "path", "says"),
    [
        (BINANCE, "", None),
        (SPOT, "", {"e": "serverShutdown"}),
        (SPOT, "/ws-api/v3", {"event": {"e": "serverShutdown"}}),
        (BYBIT, "", None),
        (BYBIT, "/v5/private", None),
        (BYBIT, "/v5/trade", None),
    ],
)
async def test_the_cut_of_the_day_is_a_close_frame(here: Rig, line: Line, path: str, says: Any) -> None:
    async with here.listening(line, path) as socket:
        if not path:
            await socket.data()
        else:
            await here.until(lambda: here.server.status()["connections"][line.venue])
        here.order(FaultKind.DAY_CUT, line)
        texts = []
        while (message := await socket.next()).type is aiohttp.WSMsgType.TEXT:
            texts.append(message.data)
        assert (message.type, message.data) == (aiohttp.WSMsgType.CLOSE, 1000)
        notice = [json.loads(text) for text in texts if "serverShutdown" in text]
        for one in notice:
            assert one.pop("E", None) or one["event"].pop("E")
        assert notice == ([says] if says else [])


async def chain(socket: Socket, frames: int) -> list[tuple[int, int]]:
    """(what a change of depth says it follows, what it is) of so many frames."""
    found = []
    while len(found) < frames:
        frame = await socket.data(lambda text: "depth@" in text or "orderbook.50" in text)
        data = body(frame)
        if frame.get("type") != "snapshot":
            found.append((data["pu"] if "pu" in data else data["u"] - 1, data["u"]))
    return found


def unchained(frames: list[tuple[int, int]]) -> int:
    return sum(before[1] != follows for before, (follows, _) in itertools.pairwise(frames))


@pytest.mark.parametrize("line", [BINANCE, BYBIT], ids=["binance", "bybit"])
@pytest.mark.parametrize(("kind", "breaks"), [(FaultKind.GAP, 1), (FaultKind.DUPLICATE, 1), (FaultKind.REORDER, 3)])
async def test_sequences_break_where_the_fault_says(here: Rig, line: Line, kind: FaultKind, breaks: int) -> None:
    async with here.listening(line) as socket:
        await chain(socket, 2)
        # Once, at the third frame; nothing in the other stream is counted.
        match = "depth@" if line is BINANCE else "orderbook.50"
        number = here.order(kind, line, match=match, for_s=60, amount=3, count=1)
        frames = await chain(socket, 8)
        assert here.struck(number) == 1
        assert unchained(frames) == breaks
        if kind is FaultKind.REORDER:
            assert sorted(frames) != frames
            assert unchained(sorted(frames)) == 0
        elif kind is FaultKind.DUPLICATE:
            assert len(set(frames)) == len(frames) - 1


@each_line
async def test_books_cross_on_the_grid_and_uncross_after(here: Rig, line: Line) -> None:
    async with here.listening(line) as socket:
        bid, ask = best(await socket.data(is_ticker))
        digits = Decimal(bid).as_tuple().exponent
        assert Decimal(bid) < Decimal(ask)
        number = here.order(FaultKind.CROSSED, line, match="bookTicker" if line.venue == "binance" else "orderbook.1.")
        await here.until(lambda: here.struck(number))
        crossed = await socket.data(lambda text: is_ticker(text) and _is_crossed(text))
        bid, ask = best(crossed)
        for price in (bid, ask):
            assert Decimal(price).as_tuple().exponent == digits
            assert Decimal(price) % Decimal("0.01" if line is SPOT else "0.1") == 0
        here.end(number)
        await socket.data(lambda text: is_ticker(text) and not _is_crossed(text))


def _is_crossed(text: str) -> bool:
    bid, ask = best(json.loads(text))
    return Decimal(bid) > Decimal(ask)


async def test_partial_depth_crosses_in_order(here: Rig) -> None:
    here.order(FaultKind.CROSSED, SPOT)
    async with here.listening(SPOT) as socket:
        data = body(await socket.data(lambda text: "depth20" in text))
    bids, asks = ([Decimal(price) for price, _ in data[side]] for side in ("bids", "asks"))
    assert bids[0] > asks[0]
    assert bids == sorted(bids, reverse=True)
    assert asks == sorted(asks)
    assert len(bids) == len(asks) == 20


class Client:
    """A book rebuilt from changes, by price text."""

    def __init__(self) -> None:
        self.sides: dict[str, dict[str, str]] = {"b": {}, "a": {}}

    def apply(self, data: dict[str, Any]) -> None:
        for name, side in self.sides.items():
            for price, quantity in data[name]:
                if Decimal(quantity):
                    side[price] = quantity
                else:
                    side.pop(price, None)

    @property
    def is_crossed(self) -> bool:
        return max(map(Decimal, self.sides["b"])) >= min(map(Decimal, self.sides["a"]))


async def follow(socket: Socket, client: Client, is_far: Callable[[dict[str, Any]], bool]) -> int:
    """Keep the book until a frame is far enough; its update id."""
    while True:
        frame = await socket.data(lambda text: "orderbook.50" in text)
        client.apply(body(frame))
        if is_far(body(frame)):
            return int(body(frame)["u"])


async def test_a_book_of_changes_crosses_and_is_the_true_one_after(here: Rig) -> None:
    async with here.listening(BYBIT) as liar, here.listening(BYBIT) as witness:
        told, true = Client(), Client()
        await follow(witness, true, lambda _: True)
        number = here.order(FaultKind.CROSSED, BYBIT, match="orderbook.50", for_s=60)
        await follow(liar, told, lambda _: told.is_crossed)
        here.end(number)
        await here.until(lambda: not any(tamper._pipe.tamper for tamper in tampers(here, BYBIT)))
        # Only now does the client read on: what it is sent at the end puts everything right.
        last = await follow(liar, told, lambda _: not told.is_crossed)
        await follow(witness, true, lambda data: data["u"] >= last)
        assert told.sides == true.sides


def tampers(here: Rig, line: Line) -> Iterable[FrameTamper]:
    server = here.server
    sockets = server._bybit_server._sockets if line.venue == "bybit" else server._binance_server.sockets
    return sockets._faults._tampers.values()


@each_line
@pytest.mark.parametrize(("kind", "said"), [(FaultKind.NOT_A_NUMBER, "NaN"), (FaultKind.EMPTY_FIELD, "")])
async def test_figures_are_spoiled_and_ids_are_not(here: Rig, line: Line, kind: FaultKind, said: str) -> None:
    number = here.order(kind, line, count=4, for_s=60)
    async with here.listening(line) as socket:
        frame = await socket.data(is_ticker)
        data = body(frame)
        assert best(frame) == (said, said)
        assert data["s"] == "BTCUSDT"
        assert isinstance(data["u"], int)
        bid, _ = best(await socket.data(lambda text: is_ticker(text) and f'"{said}"' not in text))
        assert Decimal(bid) > 0
        assert here.struck(number) == 4


@each_line
async def test_truncated_payloads_are_whole_frames(here: Rig, line: Line) -> None:
    async with here.listening(line) as socket:
        await socket.data()
        here.order(FaultKind.TRUNCATED, line, count=3, for_s=60)
        halves = []
        while len(halves) < 3:
            text = await socket.text()
            try:
                json.loads(text)
            except ValueError:
                halves.append(text)
        await socket.data()
        assert all(text.startswith(('{"stream":"btc', '{"topic":"orderbook')) for text in halves)


@each_line
async def test_an_oversized_frame_arrives_whole_and_the_stream_goes_on(here: Rig, line: Line) -> None:
    async with here.listening(line) as socket:
        await socket.data()
        number = here.order(FaultKind.OVERSIZED, line, amount=9)
        text = await socket.text(lambda text: len(text) > 1_000_000)
        assert len(text) == 9_000_000
        assert "OVERSIZED" in json.dumps(json.loads(text))[:200]
        assert here.struck(number) == 1
        await socket.data()
        await socket.acknowledged()


@pytest.mark.parametrize("line", [BINANCE, BYBIT], ids=["binance", "bybit"])
async def test_what_comes_behind_an_oversized_frame_is_not_over_the_bound(here: Rig, line: Line) -> None:
    async with here.listening(line) as socket:
        await socket.data()
        (tamper,) = tampers(here, line)
        pipe = tamper._pipe
        here.order(FaultKind.OVERSIZED, line, amount=30)
        # At once, before anything of it can have been read.
        frame = encoded(TEXT, b'{"behind":1}')
        pipe.push(frame) if isinstance(pipe, Outlet) else pipe.send(frame)
        await socket.text(lambda text: len(text) == 30_000_000)
        await socket.text(lambda text: "behind" in text)
        await here.until(lambda: not pipe._forced_bytes)


async def test_private_events_are_data_and_answers_are_not(here: Rig) -> None:
    class Sim:
        key, secret = here.address.credentials
        exchange = here.server.binance
        http = here.address.url

    async with (
        here.listening(SPOT, "/ws-api/v3") as api,
        here.http.ws_connect(here.address.ws_url + "/ws-api/v3") as control,
    ):
        await api.raw.send_json({"id": 1, "method": "userDataStream.subscribe.signature",
                                 "params": signed_params(Sim, )})  # fmt: skip
        assert json.loads(await api.text())["status"] == 200
        here.order(FaultKind.DUPLICATE, SPOT, match='"x":"NEW"', amount=1, for_s=60)
        here.order(FaultKind.NO_DATA, SPOT, match="outboundAccountPosition", for_s=60)
        order = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "0.01"}
        assert (await signed(Sim, here.http, "POST", "/api/v3/order", **order))[0] == 200
        events = [json.loads(await api.text())["event"] for _ in range(3)]
        assert [event["x"] for event in events] == ["NEW", "NEW", "TRADE"]
        assert events[0] == events[1]
        await control.send_json({"id": 2, "method": "ping"})
        assert (await control.receive_json(timeout=60))["result"] == {}


EVERYTHING = {
    "/public/stream?streams=": "btcusdt@bookTicker/!bookTicker/btcusdt@depth/ethusdt@depth5@100ms/btcusdt@depth@0ms",
    "/public/ws/": "btcusdt@bookTicker/btcusdt@depth@100ms/btcusdt@depth20@100ms",
    "/market/stream?streams=": "btcusdt@aggTrade/!markPrice@arr@1s/btcusdt@kline_1m/!ticker@arr/!miniTicker@arr",
    "/stream?streams=": "btcusdt@trade/btcusdt@bookTicker/btcusdt@depth@100ms/btcusdt@depth10@100ms/btcusdt@ticker",
    "/ws/": "ethusdt@trade/ethusdt@depth5/ethusdt@depth@100ms",
}
TOPICS = ["orderbook.1", "orderbook.50", "orderbook.200", "publicTrade", "tickers", "kline.1"]
_IN_TURN = (FaultKind.GAP, FaultKind.DUPLICATE, FaultKind.REORDER)
AT_ONCE = (FaultKind.CROSSED, FaultKind.NOT_A_NUMBER, FaultKind.EMPTY_FIELD, *_IN_TURN)


@pytest.mark.parametrize("venue", ["binance", "bybit"])
async def test_every_stream_bears_every_fault_at_once(here: Rig, venue: str) -> None:
    line = BYBIT if venue == "bybit" else BINANCE
    async with contextlib.AsyncExitStack() as stack:
        sockets = []
        for path, streams in EVERYTHING.items() if venue == "binance" else ():
            sockets.append(await stack.enter_async_context(here.listening(line, path + streams)))
        for category in ("linear", "spot") if venue == "bybit" else ():
            socket = await stack.enter_async_context(here.listening(line, f"/v5/public/{category}"))
            await socket.raw.send_json({"op": "subscribe", "args": [f"{topic}.BTCUSDT" for topic in TOPICS]})
            sockets.append(socket)
        # What says NaN is no figure that could be left empty: that fault has its turn after so many.
        more = {FaultKind.NOT_A_NUMBER: {"count": 60}} | {kind: {"amount": 3} for kind in _IN_TURN}
        every = [Fault(fault=kind, venue=venue, for_s=60, **more.get(kind, {})) for kind in AT_ONCE]
        numbers = [here.server.faults.order(fault) for fault in every]
        for socket in sockets:
            for _ in range(20):
                assert json.loads(await socket.text())
        await here.until(lambda: all(here.struck(number) for number in numbers))
        here.server.faults.end_all()
        for socket in sockets:
            await socket.data(lambda text: '"NaN"' not in text and '""' not in text)


async def test_no_fault_leaves_no_trace(here: Rig) -> None:
    outlets = here.server._binance_server.sockets._open
    async with here.listening(BINANCE) as socket, here.listening(BYBIT) as bybit:
        await socket.data()
        await bybit.data()
        (outlet,) = outlets
        assert outlet.tamper is None
        number = here.order(FaultKind.GAP, BINANCE)
        assert outlet.tamper is not None
        here.end(number)
        assert outlet.tamper is None
        here.order(FaultKind.GAP, SPOT)
        here.order(FaultKind.GAP, BYBIT)
        assert outlet.tamper is None, "what strikes elsewhere costs nothing here"
        here.server.faults.end_all()
    await here.until(lambda: not outlets)
