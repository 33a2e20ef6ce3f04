"""`python -m benchmarks`: every figure that the bot promises, on this machine, beside its peers."""

import argparse
import json
import sys
from collections.abc import Sequence

from benchmarks.groups import GROUPS, measured
from benchmarks.table import show


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print; 0 when every target that could be measured is met, 1 when one is not, 2 for usage."""
    arguments = _arguments(argv)
    if arguments.list:
        for name, (_, _, words) in GROUPS.items():
            print(f"{name:15} {words}")
        return 0
    rows = [row for name in arguments.only or GROUPS for row in measured(name, arguments.rounds)]
    if arguments.json:
        print(json.dumps([row.model_dump() for row in rows], indent=2))
    else:
        show(rows)
    return 1 if any(row.met is False for row in rows) else 0


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measures the bot against its targets and its peers. Takes about nine minutes on a quiet machine; "
        "what else runs there stands in the noise columns. Exit 1: a target is not met.",
    )
    parser.add_argument(
        "--only", action="append", choices=sorted(GROUPS), metavar="NAME", help="repeatable; see --list"
    )
    parser.add_argument("--list", action="store_true", help="name what can be measured")
    parser.add_argument("--rounds", type=_at_least_one, default=7, help="of each figure, ours and the peer's in turn")
    parser.add_argument("--json", action="store_true", help="a list of rows on stdout instead of the table")
    return parser.parse_args(argv)


def _at_least_one(text: str) -> int:
    rounds = int(text)
    if rounds < 1:
        raise ValueError
    return rounds


if __name__ == "__main__":
    sys.exit(main())
