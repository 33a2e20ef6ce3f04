"""No module needs one that needs it, not even for a type: what is apart can be read apart."""

import ast
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("bot", "exchanges", "modes", "postmortem", "strategies")
BOTH_WAYS = ("bot.engine.slot", "bot.engine.route_state")
"""A route knows its instruments, and an instrument the routes to ask when it moves: on the way of every quote, where a
look into a table in between would have to be paid for."""


def names() -> dict[str, Path]:
    files = (path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
    return {".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path for path in files}


def wanted(tree: ast.Module) -> Iterator[str]:
    """What it imports as it is loaded, or for its types; not what a function loads when it is called."""
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.ImportFrom) and node.module is not None:
            yield from (f"{node.module}.{name.name}" for name in node.names)
            yield node.module
        elif isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            waiting.extend(ast.iter_child_nodes(node))


def graph(modules: Mapping[str, Path]) -> dict[str, set[str]]:
    found = {}
    for name, path in modules.items():
        wants = {one for one in wanted(ast.parse(path.read_text(encoding="utf-8"))) if one in modules}
        found[name] = wants - {name}
    return found


def test_there_is_no_circle_of_imports_but_one() -> None:
    known = graph(names())
    assert len(known) > 300
    here, there = BOTH_WAYS
    assert there in known[here]
    assert here in known[there]
    known[here].remove(there)
    try:
        tuple(TopologicalSorter(known).static_order())
    except CycleError as error:
        pytest.fail(" needs ".join(reversed(error.args[1])))
