"""Which MongoDB, and how to speak to it; its password stands in no message."""

import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote_plus, unquote_plus

from bson.codec_options import CodecOptions
from pydantic import SecretStr
from pymongo import AsyncMongoClient
from pymongo.errors import BulkWriteError, OperationFailure, PyMongoError, ServerSelectionTimeoutError
from pymongo.uri_parser import parse_uri

from bot.errors import SettingsError
from bot.text import clip, inert

DEFAULT_DATABASE = "crypto_pipe"
HOW = "write mongodb://HOST:PORT/DATABASE, with special characters of user and password percent-encoded"

Document = dict[str, Any]
Client = AsyncMongoClient[Document]

_SHAPE = re.compile(r"^mongodb(\+srv)?://(?P<rest>.+)$", re.DOTALL)
_SECRET_OPTION = re.compile(r"(?i)[?&;](password|tlsCertificateKeyFilePassword|authMechanismProperties)=")
_DATABASE = re.compile(r"^[^/\\. \"$*<>:|?\x00]{1,63}$")
_AUTHENTICATION = {13: "not authorised", 18: "authentication failed", 8000: "authentication failed"}
_MASK = "********"
_TEXT_LIMIT = 300


@dataclass(frozen=True, slots=True)
class MongoTarget:
    """A database on a server, or on a set of them."""

    uri: SecretStr
    database: str

    @classmethod
    def of(cls, uri: SecretStr, database: str | None = None) -> "MongoTarget":
        """The target that a URI names; `database` wins over the one in the URI, `crypto_pipe` stands for none.

        Raises:
            SettingsError: If it is not a MongoDB URI, or the database's name is none; without any part of the URI.
        """
        text = uri.get_secret_value().strip()
        authority, _, path = _rest(text).partition("/")
        name = database or unquote_plus(path.partition("?")[0]) or DEFAULT_DATABASE
        if not authority.rpartition("@")[2]:
            raise SettingsError(f"the MongoDB URI names no host: {HOW}")
        if not _DATABASE.fullmatch(name):
            raise SettingsError("the MongoDB database's name is empty, too long, or has one of / \\ . \" $ * < > : | ?")
        _check(text)
        return cls(SecretStr(text), name)

    @property
    def name(self) -> str:
        """`host:port/database`, without user, password and options: for messages, and what a cursor belongs to."""
        authority = _rest(self.uri.get_secret_value()).partition("/")[0].partition("?")[0]
        return inert(f"{authority.rpartition('@')[2].lower()}/{self.database}")


def refuse_password(uri: str, where: str) -> None:
    """Check a URI that stands where other people may read it, as settings.yaml.

    Raises:
        SettingsError: If it carries a password; the message names `where` and not one character of it.
    """
    if has_password(uri):
        raise SettingsError(
            f"{where}: this MongoDB URI has a password, and passwords never stand in settings.yaml or on the command "
            "line; give the whole URI as MONGODB_URI in the environment, and change the password if others saw it"
        )


def has_password(uri: str) -> bool:
    """Whether a password, or an option that holds one, stands in it. In doubt: yes."""
    found = _SHAPE.match(uri.strip())
    # Up to the last @, whatever stands before it: an unescaped slash in a password must not hide it.
    user = (found["rest"] if found else uri).rpartition("@")[0]
    return ":" in user or _SECRET_OPTION.search(uri) is not None


def connect(target: MongoTarget, *, answer_within_s: float = 30.0, find_within_s: float = 5.0) -> Client:
    """A client whose writes are acknowledged by a majority's journals; it connects at its first use.

    Args:
        target: Where.
        answer_within_s: What is not answered by then has failed.
        find_within_s: No server found by then: the target is away.
    """
    return AsyncMongoClient(
        target.uri.get_secret_value(),
        appname="crypto-pipe",
        w="majority",
        journal=True,
        wTimeoutMS=int(answer_within_s * 900),  # the server gives up before we do, and says so
        socketTimeoutMS=int(answer_within_s * 1000),
        connectTimeoutMS=int(find_within_s * 1000),
        serverSelectionTimeoutMS=int(find_within_s * 1000),
        maxPoolSize=4,
        compressors=[],  # CVE-2025-14847 is in the server's zlib
    )


def options() -> CodecOptions[Document]:
    """How documents come back: times as aware UTC datetimes."""
    return CodecOptions(document_class=dict, tz_aware=True)


def told(error: PyMongoError, target: MongoTarget) -> str:
    """One line about what went wrong, safe to show: no password, no document, no control byte."""
    text = inert(_reason(error))
    for secret in _secrets(target):
        text = text.replace(secret, _MASK)
    return f"{target.name}: {clip(text, _TEXT_LIMIT)}"


def _reason(error: PyMongoError) -> str:
    if isinstance(error, BulkWriteError):  # its own text holds the documents
        failed = [*error.details.get("writeErrors", ()), *error.details.get("writeConcernErrors", ())]
        return f"write refused: {failed[0].get('code')} {failed[0].get('errmsg', '')}" if failed else "write refused"
    if isinstance(error, OperationFailure):
        words = _AUTHENTICATION.get(error.code or 0)
        return words or f"{error.code}: {(error.details or {}).get('errmsg', 'refused')}"
    if isinstance(error, ServerSelectionTimeoutError):
        return "cannot be reached"
    return f"{type(error).__name__}: {error}"


def _rest(uri: str) -> str:
    found = _SHAPE.match(uri)
    if found is None:
        raise SettingsError(f"this is not a MongoDB URI: {HOW}")
    return found["rest"]


def _check(uri: str) -> None:
    if uri.startswith("mongodb+srv:"):
        return  # reading one asks the name server: that is for the time when it is used
    try:
        parse_uri(uri)
    except (PyMongoError, ValueError):
        # What the library says may quote the URI, password and all.
        raise SettingsError(f"this is not a MongoDB URI: {HOW}") from None


def _secrets(target: MongoTarget) -> list[str]:
    rest = _rest(target.uri.get_secret_value())
    password = rest.rpartition("@")[0].partition(":")[2]
    forms = {target.uri.get_secret_value(), password, unquote_plus(password), quote_plus(unquote_plus(password))}
    return sorted((form for form in forms if form), key=len, reverse=True)
