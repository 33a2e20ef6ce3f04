"""docs/routes.md shows the cases that were worked out by hand, digit by digit."""

import re
from pathlib import Path

from tests.unit.test_pricing_by_hand import CASES

ROUTES = Path(__file__).parents[2] / "docs" / "routes.md"
EXAMPLE = re.compile(r"```text\n(?P<name>.+)\n\n(?P<rows>(?:.+\n)+)```")
KINDS = {"Convergence", "Cash and carry", "Inventory", "Transfer", "Triangular"}


def test_every_example_is_a_case_worked_out_by_hand() -> None:
    text = ROUTES.read_text()
    cases = {case.name: case for case in CASES}
    shown = {found["name"]: found["rows"] for found in EXAMPLE.finditer(text)}
    assert len(shown) >= len(KINDS)
    assert set(re.findall(r"^### (.+)$", text, re.MULTILINE)) >= KINDS
    for name, rows in shown.items():
        case = cases[name]
        figures = dict(re.split(r"\s{2,}", row) for row in rows.splitlines())
        assert figures == {"gross edge": case.gross, **case.costs, "net edge": case.net}


def test_every_cost_that_a_case_names_is_explained() -> None:
    text = ROUTES.read_text()
    table = text[text.index("## Costs by name") : text.index("## What refuses a route")]
    told = {
        word.split()[0] for row in table.splitlines() if row.startswith("| `") for word in _quoted(row.split("|")[1])
    }
    names = {name for case in CASES for name in case.costs}
    assert {name for name in names if name.split()[0] not in told} == set()


def _quoted(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)
