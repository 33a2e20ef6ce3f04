"""Every alarm that the code can raise stands in the runbook, word for word."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
RUNBOOK = ROOT / "docs" / "runbook.md"
NO_RUN = {
    "modes/backup.py", "modes/restore.py", "modes/import_history.py", "modes/scan.py", "modes/scan_print.py",
}  # fmt: skip
"""Commands that end by themselves: what they say is their answer, to whoever typed them."""
LOGS = {"event", "_event", "log", "_log", "_tell"}
HALTS = {"halt", "_on_halt"}
ELSEWHERE = {
    "bot/engine/pauses.py": {"__init__"},
    "bot/execution/chain_transfers.py": {"adopt", "in_words"},
    "bot/execution/pair_orders.py": {"less_than_a_lot"},
    "bot/risk/kill_switch.py": {"look"},
    "bot/storage/journal.py": {"_try_to_write"},
}
"""Functions, by file, that put words together which others tell: all of them are alarms."""
ALARMS = {"on_alarm", "_on_alarm"}
LEAST = 8
"""Letters that tell a line from others."""


def pieces(node: ast.expr) -> list[str]:
    """The words of a text that stand fast."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return [node.value]
    if isinstance(node, ast.JoinedStr):
        return [str(part.value) for part in node.values if isinstance(part, ast.Constant)]
    if isinstance(node, ast.IfExp):
        return [*pieces(node.body), *pieces(node.orelse)]
    return []


def alarms(tree: ast.AST) -> Iterator[tuple[int, list[str]]]:
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        name = getattr(call.func, "attr", getattr(call.func, "id", ""))
        first = call.args[0] if call.args else None
        is_error = isinstance(first, ast.Constant) and first.value == "error"
        if (name in LOGS and is_error) or name in ALARMS:
            yield call.lineno, pieces(call.args[1])
        elif name in HALTS and first is not None:
            yield call.lineno, pieces(first)


def put_together(tree: ast.AST, functions: set[str]) -> Iterator[tuple[int, list[str]]]:
    """All that is said in them, which is what has a blank in it and is no comment."""
    for made in (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name in functions):
        comments = {node.value for node in ast.walk(made) if isinstance(node, ast.Expr)}
        for node in ast.walk(made):
            if isinstance(node, (ast.Constant, ast.JoinedStr)) and node not in comments:
                yield node.lineno, [word for word in pieces(node) if " " in word.strip(" :;,()'")]


def every_alarm() -> Iterator[tuple[str, str]]:
    """Where it is, and the longest of its words that stand fast."""
    for folder in ("bot", "modes", "exchanges"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            place = path.relative_to(ROOT).as_posix()
            if place in NO_RUN or place.startswith("exchanges/simulator/"):
                continue
            tree = ast.parse(path.read_text())
            for line, words in (*alarms(tree), *put_together(tree, ELSEWHERE.get(place, set()))):
                longest = max((word.strip(" :;,()'") for word in words), key=len, default="")
                if len(longest) >= LEAST:
                    yield f"{place}:{line}", longest


def test_every_alarm_stands_in_the_runbook() -> None:
    spans = " ".join(re.findall(r"`([^`]+)`", RUNBOOK.read_text()))
    found = list(every_alarm())
    assert len(found) > 40, "the alarms are looked for where they are"
    missing = [f"{place}: {words}" for place, words in found if words not in spans]
    assert missing == []
