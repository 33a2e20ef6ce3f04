from urllib.request import Request, urlopen

import pytest
from pymongo import MongoClient

pytestmark = pytest.mark.services


def test_the_database_server_writes_durably(mongodb_uri: str, database_name: str) -> None:
    with MongoClient(mongodb_uri, w="majority", journal=True) as client:
        assert client[database_name]["probe"].insert_one({"_id": 1}).acknowledged


def test_the_s3_server_answers(s3_endpoint: str) -> None:
    with urlopen(Request(f"{s3_endpoint}/", method="GET"), timeout=60) as answer:
        assert answer.status == 200
