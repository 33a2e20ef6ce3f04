"""`?`: the keys, and the words of the screen in one sentence each."""

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

from bot.tui.pairs import Pairs

KEYS = {
    "1 … 7": "go to a panel; ↑ ↓ move in it, enter shows a whole row",
    "b": "break-even: what each size of a route needs, on the whole screen; again: back",
    "z": "zoom the panel, and back",
    "p": "pause the display only; the engine goes on",
    "h": "hold: take no new pairs (REDUCING); again: trade on",
    "s": "stop trading: pause, close or halt, everything or the route under the cursor",
    "q, Ctrl-C": "leave: detach, or stop the engine in order",
    "?": "this page",
}

GLOSSARY = {
    "TOB": "top of book: the best bid and the best ask with their sizes.",
    "bid / ask": "what somebody pays now / asks for now. You sell at the bid and buy at the ask.",
    "spread": "ask minus bid, in bps of the middle between them.",
    "bps": "basis points: hundredths of a percent. 10 bps of 1,000 USDT are 1 USDT.",
    "route": "a way to earn a price difference: what to buy, what to sell, how long to hold, how to come back.",
    "leg": "one of the trades of a route. A pair with one leg filled is not hedged.",
    "gross edge": "sell price over buy price, now, before any cost.",
    "needed edge": "the gross edge at which the route breaks even: every fee, slippage and funding to the very end.",
    "net edge": "gross minus needed. Above zero it earns.",
    "missing": "what the offer for a size falls short of the least net edge; below zero it is enough.",
    "would trade at": "the lowest fee tiers at which the size would be taken at the prices of now.",
    "best": "the highest gross edge that was seen of the route in this run: each second, and whenever it came near.",
    "ASSUMED": "a cost in the figure is a setting of yours and not what the venue said.",
    "hedge": "the opposite position that makes the price itself not matter.",
    "basis": "the price of a perpetual minus that of the spot.",
    "perpetual": "a future without an end; funding keeps it near the spot.",
    "funding": "what longs pay shorts (or shorts longs, when negative) every few hours.",
    "convergence": "buy the cheaper perpetual, sell the dearer, close both when they meet.",
    "cash and carry": "buy spot, sell the perpetual above it, earn the basis and the funding.",
    "realised": "profit of closed pairs, after fees and funding.",
    "unrealised": "what open pairs would bring if they were closed now. Not earned yet.",
    "feed": "a venue's segment, with a clock and a connection of its own: binance.linear.",
    "age": "time since a quote or a frame was received.",
    "clock": "the venue's clock minus ours.",
    "refused": "a quote that the gate does not let through, or a route that a limit stops.",
    "bad": "frames that could not be read; skipped and kept for a look.",
    "job": "what is done by a timetable beside trading: minute rows, backup, the day's report.",
    "missed": "turns of a job that passed without a run, because the machine slept or the run before took too long.",
    "behind": "age of the oldest record that waits for MongoDB; it is safe on this machine's disk.",
    "ACTIVE": "the engine takes new pairs.",
    "REDUCING": "no new pairs; open ones are brought to their end.",
    "HALTED": "nothing but cancelling and reducing risk; ends with --mode resume --halt and a restart.",
    "paused": "a person wants nothing new, of everything or of a route; a restart does not end it.",
    "recorded market": "what an exchange really sent, played again; nothing is traded anywhere.",
    "simulated market": "exchanges that this program makes itself, reached over the wire. Its prices are invented.",
    "calm": "the simulated day that is like a measured one; what it earns stands beside every other day.",
    "testnet market": "the exchanges' own test systems; orders are sent there, for test money.",
    "REAL MONEY": "orders are sent to the real exchanges, with your keys.",
    "paper money": "orders meet real quotes in this program. No profit shown is real.",
}


class HelpScreen(ModalScreen[None]):
    """Scrolls; escape, `?` and `q` close it."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,question_mark,q", "dismiss", "Close")]

    def compose(self) -> ComposeResult:
        """One box."""
        with VerticalScroll(id="help", classes="dialog") as box:
            box.border_title = "Help"
            box.border_subtitle = "↑ ↓ scroll · Esc close"
            yield Static("KEYS", classes="heading")
            yield Pairs(KEYS.items())
            yield Static("WORDS", classes="heading")
            yield Pairs(GLOSSARY.items())

    def on_mount(self) -> None:
        """So that the arrow keys scroll at once."""
        self.query_one("#help").focus()
