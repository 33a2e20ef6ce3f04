"""`python deploy/health.py SOCKET`: 0 while an engine answers on its control socket, else 1."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bot.control.address import is_answered

if __name__ == "__main__":
    sys.exit(0 if is_answered(Path(sys.argv[1])) else 1)
