"""The address of the database, and that its password is told to nobody."""

import pytest
from pydantic import SecretStr
from pymongo.errors import BulkWriteError, ConfigurationError, OperationFailure, ServerSelectionTimeoutError

from bot.errors import ExitCode, SettingsError
from bot.storage.mongo.uri import MongoTarget, connect, has_password, refuse_password, told

PASSWORD = "c4n@ry/p:w%"
WRITTEN = "c4n%40ry%2Fp%3Aw%25"
URI = f"mongodb://trader:{WRITTEN}@Db1.example:27018,db2.example/market?replicaSet=rs0&authSource=admin"


def test_a_target_is_named_without_user_and_password() -> None:
    target = MongoTarget.of(SecretStr(URI))
    assert target.database == "market"
    assert target.name == "db1.example:27018,db2.example/market"
    assert "c4n" not in f"{target!r} {target}"


@pytest.mark.parametrize(
    ("uri", "database", "expected"),
    [
        ("mongodb://localhost", None, "crypto_pipe"),
        ("mongodb://localhost/", None, "crypto_pipe"),
        ("mongodb://localhost/?w=1", None, "crypto_pipe"),
        ("mongodb://localhost/a", "b", "b"),
        ("mongodb+srv://cluster.example/a", None, "a"),
    ],
)
def test_the_database(uri: str, database: str | None, expected: str) -> None:
    assert MongoTarget.of(SecretStr(uri), database).database == expected


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "postgres://u:c4nary@h/d",
        f"mongodb://trader:{PASSWORD}@host/db",
        "mongodb://trader:c4nary@/db",
        "mongodb://trader:c4nary@host:99999999/db",
        "mongodb://trader:c4nary@host/a$b",
        "mongodb://trader:c4nary@host/db?w=c4nary&c4nary",
    ],
)
def test_a_wrong_address_is_refused_without_repeating_it(uri: str) -> None:
    with pytest.raises(SettingsError) as raised:
        MongoTarget.of(SecretStr(uri))
    error: BaseException | None = raised.value
    assert raised.value.exit_code is ExitCode.SETTINGS
    while error is not None:
        assert "c4n" not in str(error)
        assert error.__suppress_context__ or error.__context__ is None
        error = error.__cause__


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        (URI, True),
        (f"mongodb://u:{PASSWORD}@h/db", True),
        ("mongodb+srv://u:p@h", True),
        ("u:p@h", True),
        ("mongodb://h/?tlsCertificateKeyFilePassword=p", True),
        ("mongodb://h/?authMechanismProperties=AWS_SESSION_TOKEN:p", True),
        ("mongodb://u@h/?authMechanism=MONGODB-X509", False),
        ("mongodb://127.0.0.1:27017/db", False),
    ],
)
def test_a_password_is_seen(uri: str, expected: bool) -> None:
    assert has_password(uri) is expected


def test_a_password_in_the_settings_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"settings\.yaml:12") as raised:
        refuse_password(URI, "settings.yaml:12")
    assert "c4n" not in str(raised.value)
    refuse_password("mongodb://127.0.0.1/db", "settings.yaml:12")


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (OperationFailure(f"bad {PASSWORD}", 18), "authentication failed"),
        (OperationFailure("x", 13), "not authorised"),
        (OperationFailure("x", 91, {"errmsg": "going \x1b[2J down"}), "91: going [2J down"),
        (ServerSelectionTimeoutError(f"{URI}: connection refused"), "cannot be reached"),
        (ConfigurationError(f"{PASSWORD} {WRITTEN} {URI}"), "ConfigurationError: ******** ******** ********"),
        (BulkWriteError({"writeErrors": [{"code": 121, "errmsg": "no", "op": {"x": "y"}}]}), "write refused: 121 no"),
    ],
)
def test_errors_are_told_in_a_line_that_is_safe_to_show(error: Exception, expected: str) -> None:
    text = told(error, MongoTarget.of(SecretStr(URI)))  # type: ignore[arg-type]
    assert text == f"db1.example:27018,db2.example/market: {expected}"


async def test_writes_wait_for_a_majority_whatever_the_address_says() -> None:
    client = connect(MongoTarget.of(SecretStr("mongodb://127.0.0.1:1/db?w=0&journal=false&socketTimeoutMS=0")))
    try:
        concern = client.write_concern
        assert (concern.document["w"], concern.document["j"]) == ("majority", True)
        assert concern.document["wtimeout"] == 27_000
        assert client.options.pool_options.socket_timeout == 30.0
        assert client.options.server_selection_timeout == 5.0
    finally:
        await client.close()
