"""Servers that `make test-services` starts."""

import os
import secrets
from collections.abc import Iterator
from importlib.util import find_spec

import pytest


def told(variable: str, what: str) -> str:
    address = os.environ.get(variable, "")
    if not address and os.environ.get("CRYPTO_PIPE_REQUIRE_SERVICES"):
        pytest.fail(f"{variable} is not set, and services are required")
    if not address:
        pytest.skip(f"no {what}: make test-services starts one, or set {variable}")
    return address


@pytest.fixture(scope="session")
def archive_readers() -> None:
    """The libraries with which other people read the archive."""
    missing = [name for name in ("duckdb", "pandas", "polars") if find_spec(name) is None]
    if missing and os.environ.get("CRYPTO_PIPE_REQUIRE_SERVICES"):
        pytest.fail(f"{', '.join(missing)} not installed, and services are required")
    if missing:
        pytest.skip(f"no {', '.join(missing)}: make test-services installs them")


@pytest.fixture(scope="session")
def mongodb_uri() -> str:
    """A server of which tests may use databases whose names begin with `crypto_pipe_test_`."""
    return told("MONGODB_URI", "server with MongoDB's protocol")


@pytest.fixture(scope="session")
def s3_endpoint() -> str:
    """A server with S3's protocol that takes any credentials."""
    return told("S3_ENDPOINT", "server with S3's protocol")


@pytest.fixture
def database_name(mongodb_uri: str) -> Iterator[str]:
    """Of an empty database, dropped afterwards."""
    from pymongo import MongoClient

    name = f"crypto_pipe_test_{secrets.token_hex(4)}"
    yield name
    with MongoClient(mongodb_uri, serverSelectionTimeoutMS=20_000) as client:
        client.drop_database(name)
