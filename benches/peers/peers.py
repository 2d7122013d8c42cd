"""The servers by hand: installed below target/bench-peers, and started."""

import os
import shutil
import subprocess
import sys

from rig.machine import ROOT, WORK, Process, Skip, free_port, need, run
from rig.tributary import FILE_KEY, answers

PAGES = ROOT / "benches" / "peers" / "pages"


def python_with(name, requirements):
    """The Python of a virtual environment that has these packages."""
    folder = WORK / "venv" / name
    probe = subprocess.run([sys.executable, "-c", "import ensurepip, venv"], stderr=subprocess.DEVNULL)
    if probe.returncode:
        raise Skip("Python's venv is not installed (Debian: python3-venv)")
    if not (folder / "bin" / "pip").exists():
        run("venv", [sys.executable, "-m", "venv", folder])
    run(f"pip-{name}", [folder / "bin" / "pip", "install", "-q", "--disable-pip-version-check",
                        "--cache-dir", WORK / "pip", "-r", requirements])
    return folder / "bin" / "python"


def fastify():
    node, npm = need("node", "Debian: nodejs"), need("npm", "Debian: npm")
    folder = WORK / "fastify"
    folder.mkdir(exist_ok=True)
    for file in ("package.json", "package-lock.json", "server.js"):
        shutil.copy(PAGES / "fastify" / file, folder)
    run("npm", [npm, "ci", "--ignore-scripts"], cwd=folder, env={"npm_config_cache": str(WORK / "npm")})
    return [node, "server.js"], folder


def fastapi():
    python = python_with("fastapi", PAGES / "fastapi" / "requirements.txt")
    folder = WORK / "fastapi"
    folder.mkdir(exist_ok=True)
    shutil.copy(PAGES / "fastapi" / "server.py", folder)
    return [python, "-m", "uvicorn", "server:app", "--host", "127.0.0.1", "--port", "{port}", "--no-access-log"], folder


def go():
    compiler = need("go", "https://go.dev/dl")
    caches = {"GOCACHE": str(WORK / "go" / "build"), "GOMODCACHE": str(WORK / "go" / "mod"),
              # what is below target can be deleted as usual
              "GOFLAGS": "-mod=readonly -modcacherw", "GOTOOLCHAIN": "local"}
    run("go", [compiler, "build", "-o", WORK / "go" / "pages", "."], cwd=PAGES / "go", env=caches)
    return [WORK / "go" / "pages"], WORK / "go"


# name: how it is installed; gives its command and the folder that it runs in
PEERS = {"Fastify + pg": fastify, "FastAPI + asyncpg": fastapi, "Go net/http + pgx": go}


class Peer:
    """A server by hand, started; `seconds` is how long it took until the first page was answered."""

    key = FILE_KEY

    def __init__(self, name, installed, database_url):
        command, folder = installed
        self.port = free_port()
        self.process = Process(
            name.split()[0].lower(), [str(part).format(port=self.port) for part in command], cwd=folder,
            env={"DATABASE_URL": database_url, "API_KEY": self.key, "PORT": str(self.port),
                 "NODE_ENV": "production", "PYTHONDONTWRITEBYTECODE": "1", **quiet()})
        self.process.wait_until(lambda: answers(self.port, "/transactions?page=1&pageSize=1", self.key), every=0.005)

    def stop(self):
        self.process.stop()


def quiet():
    """Nothing that the machine's own settings would add."""
    return {name: "" for name in ("NODE_OPTIONS", "PYTHONPATH", "GOGC", "GOMEMLIMIT") if name in os.environ}
