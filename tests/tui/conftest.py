import importlib.util
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

# Tests are imported by path, without packages: the helper beside them has to be made importable once.
_SPEC = importlib.util.spec_from_file_location("demo_engine", Path(__file__).with_name("demo_engine.py"))
assert _SPEC is not None
assert _SPEC.loader is not None
sys.modules["demo_engine"] = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(sys.modules["demo_engine"])


@pytest.fixture
def socket_path() -> Iterator[Path]:
    # pytest's own temporary paths may be too long for a socket.
    with tempfile.TemporaryDirectory() as data_dir:
        yield Path(data_dir) / "run" / "engine.sock"
