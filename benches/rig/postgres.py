"""A PostgreSQL for one run, from the server programs that are installed, on loopback."""

import os
import pwd
import re
import shutil
import signal
import subprocess
from pathlib import Path

from .machine import WORK, Process, Skip, free_port, need, run

# As the private PostgreSQL of Tributary has them, but with the cache of a small server of one's own.
SETTINGS = {
    "shared_buffers": "512MB", "max_wal_size": "4GB", "jit": "off", "max_connections": "100",
    # as on any disk of today: by the default of 4, a page far away reads and sorts the whole table
    "random_page_cost": "1.1", "timezone": "UTC", "lc_messages": "C", "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
}


def binaries():
    """The folder of initdb and postgres, of the highest version that is there (15 or later)."""
    named = os.environ.get("TRIBUTARY_PG_BIN")
    places = [Path(named)] if named else sorted(
        Path("/usr/lib/postgresql").glob("*/bin"), key=lambda place: int(place.parent.name), reverse=True)
    if not named and shutil.which("initdb"):
        places.append(Path(shutil.which("initdb")).parent)
    for place in places:
        if (place / "initdb").exists():
            version = subprocess.check_output([place / "postgres", "--version"], text=True)
            if int(re.search(r"\) (\d+)", version)[1]) >= 15:
                return place
    raise Skip("no PostgreSQL server of 15 or later is installed (Debian: postgresql)")


def server_user():
    """PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise Skip("root cannot run PostgreSQL, and there is no user postgres or nobody")


class Postgres:
    """A server with fresh data; trusts this machine, and ends with the run."""

    def __init__(self):
        place, user = binaries(), server_user()
        need("psql", "Debian: postgresql-client")
        home = WORK / "postgres"
        shutil.rmtree(home, ignore_errors=True)
        home.mkdir(parents=True)
        if user:
            os.chown(home, user.pw_uid, user.pw_gid)
        self.port = free_port()
        data = home / "data"
        run("initdb", [place / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8",
                       "--locale=C", "--no-sync"], cwd=home, user=user)
        options = [part for name, value in SETTINGS.items() for part in ("-c", f"{name}={value}")]
        # SIGINT is PostgreSQL's fast shutdown
        self.process = Process("postgres", [place / "postgres", "-D", data, "-p", self.port, *options],
                               cwd=home, user=user, end=signal.SIGINT)
        self.process.wait_until(lambda: subprocess.run(
            [place / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port)]).returncode == 0)

    def url(self, database):
        # some clients want a password, though none is looked at
        return f"postgres://postgres:unused@127.0.0.1:{self.port}/{database}"

    def psql(self, database, *commands):
        """Runs each command in a transaction of its own, and gives what the last ones print."""
        wanted = [part for command in commands for part in ("-c", command)]
        return run("psql", ["psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", *wanted,
                            self.url(database)], timeout=3600).strip()

    def watched(self, database, query, every=0.05):
        """What a query of one value gives, again and again, for as long as it is taken."""
        psql = Process("psql", ["psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-f", "-", self.url(database)],
                       stdin=f"{query}\n\\watch {every}\n", stdout=subprocess.PIPE)
        try:
            for line in psql.popen.stdout:
                if line.strip():
                    yield line.decode().strip()
        finally:
            psql.stop()

    def create(self, database, template="template1"):
        self.psql("postgres", f"drop database if exists {database}",
                  f"create database {database} template {template}")

    def drop(self, database):
        self.psql("postgres", f"drop database if exists {database} with (force)")
