"""What `deploy/` promises, as far as it can be seen without Docker: the files are parsed, the scripts are run."""

import os
import re
import shutil
import socket
import stat
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import SecretStr

from bot.settings import Settings
from bot.storage.mongo.uri import MongoTarget

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
PINNED = re.compile(r"[\w./-]+:\d+\.\d+\.\d+(-[\w.-]+)?")


def dockerfile(word: str) -> list[str]:
    lines = (DEPLOY / "Dockerfile").read_text().splitlines()
    return [line.split(maxsplit=1)[1] for line in lines if line.startswith(f"{word} ")]


@pytest.mark.parametrize("name", SERVICES)
def test_a_container_may_do_little(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "cap_add" not in service
    assert "privileged" not in service
    assert service["security_opt"] == ["no-new-privileges:true"]
    user, group = service["user"].split(":")
    assert int(user) > 0
    assert int(group) > 0
    assert not [volume for volume in service["volumes"] if "docker.sock" in volume]


@pytest.mark.parametrize("name", SERVICES)
def test_images_are_pinned_and_healthy_means_that_somebody_answers(name: str) -> None:
    service = SERVICES[name]
    assert PINNED.fullmatch(service["image"])
    assert service["healthcheck"]["test"][0] == "CMD"
    assert service["restart"] == "unless-stopped"


def test_nothing_is_published_beyond_this_machine() -> None:
    published = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert published == ["127.0.0.1:27017:27017"]
    assert not any("network_mode" in service for service in SERVICES.values())


def test_mongodb_asks_for_a_password_that_stands_in_no_file_here() -> None:
    mongo = SERVICES["mongo"]
    assert "--auth" in mongo["command"]
    assert "--networkMessageCompressors=disabled" in mongo["command"]
    version = tuple(int(part) for part in mongo["image"].rpartition(":")[2].split("."))
    assert version >= (8, 0, 17)  # CVE-2025-14847
    words = [word for service in SERVICES.values() for word in service.get("environment", {}).items()]
    assert all(name.endswith("_FILE") for name, _ in words if "PASSWORD" in name)
    assert set(COMPOSE["secrets"]) == {"mongo_root_password", "mongo_bot_password"}
    assert (DEPLOY / ".gitignore").read_text().split() == ["secrets/"]


def test_the_bot_waits_for_the_database_and_keeps_its_data() -> None:
    bot = SERVICES["bot"]
    assert bot["depends_on"] == {"mongo": {"condition": "service_healthy"}}
    assert bot["volumes"] == ["bot-data:/data"]
    assert set(COMPOSE["volumes"]) == {"mongo-data", "mongo-config", "bot-data"}
    assert "--real-money" not in bot["command"]


def test_the_image_is_locked_and_not_root() -> None:
    (base,) = dockerfile("FROM")
    assert PINNED.fullmatch(base)
    assert dockerfile("USER") == [SERVICES["bot"]["user"]]
    (install,) = [line for line in dockerfile("RUN") if "pip" in line]
    assert "--require-hashes --only-binary :all: -r requirements.txt" in install


def test_the_image_has_everything_that_runs_and_nothing_else() -> None:
    copied = {source for line in dockerfile("COPY") for source in line.split()[:-1]}
    ignore = (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines()
    assert {line[1:] for line in ignore if line.startswith("!")} == copied
    assert "*" in ignore
    assert all((ROOT / source).exists() for source in copied)
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert copied >= {"main.py", "settings.yaml", *settings["tool"]["importlinter"]["root_packages"]}


def test_the_image_holds_what_it_imports(tmp_path: Path) -> None:
    copied = {source for line in dockerfile("COPY") for source in line.split()[:-1]}
    for source in copied:
        target = tmp_path / source
        target.parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / source).is_dir():
            shutil.copytree(ROOT / source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(ROOT / source, target)
    modes = [f"modes.{path.stem}" for path in (ROOT / "modes").glob("*.py") if path.stem != "__init__"]
    command = [sys.executable, "-B", "-c", f"import main, {', '.join(modes)}"]
    environment = {"PATH": os.environ["PATH"]}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_passwords_are_made_once(tmp_path: Path) -> None:
    script = shutil.copy2(DEPLOY / "make-secrets", tmp_path)
    made = []
    for _ in range(2):
        subprocess.run([script], check=True, capture_output=True)
        made.append([(tmp_path / "secrets" / name).read_text() for name in COMPOSE["secrets"]])
    assert made[0] == made[1]
    assert all(re.fullmatch("[A-Za-z0-9]{40}", password) for password in made[0])
    assert len(set(made[0])) == 2
    assert stat.S_IMODE((tmp_path / "secrets").stat().st_mode) == 0o700


def test_the_password_reaches_the_bot_through_the_environment_alone(tmp_path: Path) -> None:
    start = (DEPLOY / "start").read_text().replace("/run/secrets/", f"{tmp_path}/")
    (tmp_path / "start").write_text(start)
    (tmp_path / "mongo_bot_password").write_text("canary42")
    (tmp_path / "python").write_text('#!/bin/sh\necho "$MONGODB_URI"\necho "$@" >&2\n')
    for name in ("start", "python"):
        (tmp_path / name).chmod(0o700)
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run(
        [tmp_path / "start", "--headless"], env=environment, capture_output=True, text=True, check=True
    )
    target = MongoTarget.of(SecretStr(done.stdout.strip()))
    assert (target.name, target.database) == ("mongo:27017/crypto_pipe", "crypto_pipe")
    assert "canary42" in done.stdout
    assert done.stderr.split() == ["main.py", "--headless"]


def test_the_user_of_the_bot_may_write_its_databases() -> None:
    script = (DEPLOY / "mongo-init" / "10-users.js").read_text()
    markets = Settings.model_json_schema()["properties"]["market"]["enum"]
    named = set(re.findall(r"'(crypto_pipe\w*)'", script))
    assert named >= {"crypto_pipe", *(f"crypto_pipe_{market}" for market in markets if market != "live")}
    assert re.findall(r"role: '(\w+)'", script) == ["readWrite"]


def test_health_is_an_engine_that_answers(tmp_path: Path) -> None:
    path = tmp_path / "engine.sock"
    command = [sys.executable, str(DEPLOY / "health.py"), str(path)]
    assert subprocess.run(command, check=False).returncode == 1
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        assert subprocess.run(command, check=False).returncode == 0
    assert subprocess.run(command, check=False).returncode == 1
    assert SERVICES["bot"]["healthcheck"]["test"][1:] == ["python", "deploy/health.py", "/data/run/engine.sock"]
