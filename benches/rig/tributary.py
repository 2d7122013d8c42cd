"""Tributary as it is measured: the program that was built before, on the run's PostgreSQL."""

import http.client
import json
import os
import time
from pathlib import Path

from .machine import ROOT, WORK, Failed, Process, free_port, run

BINARY = Path(os.environ.get("TRIBUTARY") or ROOT / "target" / "release" / "tributary").resolve()
# A key that the provider's file names; of 16 characters at least. It opens a scratch database.
FILE_KEY = "a-key-of-the-bench-alone"
ACME = """provider: acme
push: all
callers: { requests: 1000000/s }
keys:
  - { scope: connector, key: "${BENCH_KEY}" }
"""


def require_binary():
    if not BINARY.exists():
        raise Failed(f"{BINARY} is not there: run `cargo build --release --locked`, or name another (TRIBUTARY=…)")


def environment(database_url):
    return {"DATABASE_URL": database_url, "BENCH_KEY": FILE_KEY, "TRIBUTARY_LOG": "warn"}


def providers(name, files):
    """A folder with these provider files, by name."""
    folder = WORK / "providers" / name
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    for file, text in files.items():
        (folder / file).write_text(text)
    return folder


def acme():
    return providers("acme", {"acme.yaml": ACME})


def migrate(database_url):
    run("migrate", [BINARY, "migrate"], cwd=WORK, env=environment(database_url))


def new_key(database_url, scope, provider="acme", folder=None):
    name = f"{scope}-{time.time_ns()}"
    return run("keys", [BINARY, "keys", "create", "--provider", provider, "--name", name, "--scope", scope,
                        "--providers", folder or acme()],
               cwd=WORK, env=environment(database_url)).strip()


class Client:
    """One connection of HTTP, kept open."""

    def __init__(self, port, key):
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=600)
        self.headers = {"Authorization": f"Bearer {key}"}

    def ask(self, method, path, body=None, content_type="application/json"):
        """Gives (status, body)."""
        headers = {**self.headers, "Content-Type": content_type} if body is not None else self.headers
        self.connection.request(method, path, body, headers)
        answer = self.connection.getresponse()
        return answer.status, answer.read()

    def rows(self, query):
        """The rows of a page of transactions."""
        status, body = self.ask("GET", f"/transactions?{query}")
        if status != 200:
            raise Failed(f"GET /transactions?{query} was answered {status}: {body[:200]!r}")
        return json.loads(body)

    def close(self):
        self.connection.close()


def answers(port, path="/readyz", key=""):
    """Whether a server answers 200 already."""
    client = Client(port, key)
    try:
        return client.ask("GET", path)[0] == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        client.close()


class Serving:
    """`tributary serve`, started; `seconds` is how long it took until `path` was answered."""

    def __init__(self, database_url, folder=None, path="/readyz", env=None, wait=True):
        self.port, self.operator_port = free_port(), free_port()
        begun = time.monotonic()
        self.process = Process(
            "tributary",
            [BINARY, "serve", "--listen", f"127.0.0.1:{self.port}", "--operator-listen", f"127.0.0.1:{self.operator_port}",
             "--providers", folder or acme(),
             "--database-connections", "8", "--lame-duck", "0s"],
            cwd=WORK, env={**environment(database_url), **(env or {})})
        if wait:
            self.process.wait_until(lambda: answers(self.port, path, FILE_KEY), seconds=600, every=0.005)
        self.seconds = time.monotonic() - begun

    def stop(self):
        self.process.stop()
