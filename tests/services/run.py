"""Runs the tests that need servers: takes the ones that the environment names, and starts the others.

MONGODB_URI    a server with MongoDB's protocol; else `services/mongodb/serve` of the shared folder starts one
S3_ENDPOINT    a server with S3's; else a local one is started out of `.venv-s3`
"""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SHARED = Path(os.environ.get("CRYPTO_PIPE_SHARED", ROOT.parent / "shared"))
WAIT_S = 60


def main(arguments: list[str]) -> int:
    environment = {**os.environ, "CRYPTO_PIPE_REQUIRE_SERVICES": "1", "MONGODB_URI": mongodb_uri()}
    with s3_endpoint() as endpoint:
        environment["S3_ENDPOINT"] = endpoint
        # Two workers: the hour without a server and the kills take most of the time, and wait most of it.
        spread = ["-n", "2", "--dist", "loadfile"]
        command = [sys.executable, "-m", "pytest", "-m", "services", *spread, *(arguments or ["tests/services"])]
        return subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode


def mongodb_uri() -> str:
    if os.environ.get("MONGODB_URI"):
        return os.environ["MONGODB_URI"]
    serve = SHARED / "services" / "mongodb" / "serve"
    if not serve.exists():
        sys.exit(f"{serve} is not there: set MONGODB_URI to a server that tests may write to")
    print("starting a MongoDB-protocol server (the first time takes about a minute)", file=sys.stderr)
    return subprocess.run([str(serve), "up"], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


@contextmanager
def s3_endpoint() -> Iterator[str]:
    if os.environ.get("S3_ENDPOINT"):
        yield os.environ["S3_ENDPOINT"]
        return
    server = ROOT / ".venv-s3" / "bin" / "moto_server"
    if not server.exists():
        sys.exit(f"{server} is not there: make test-services installs it, or set S3_ENDPOINT")
    port = free_port()
    process = subprocess.Popen(
        [str(server), "-H", "127.0.0.1", "-p", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        wait_for(port, process)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + WAIT_S
    while process.poll() is None and time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    sys.exit("the S3 server did not come up")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
