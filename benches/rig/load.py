"""Load: wrk over HTTP and pgbench on the plain rows, of the same questions in the same order."""

import json
import re
import shutil
from dataclasses import dataclass

from .machine import ROOT, WORK, Failed, need, run

POLLS = ROOT / "benches" / "peers" / "pages" / "polls.lua"
PAGES_SQL = ROOT / "benches" / "peers" / "pages" / "pages.sql"


@dataclass(frozen=True)
class Question:
    """A page that is asked for again and again."""

    name: str
    # `updatedAtFrom` is a whole second from the first to the last of these, by a seed
    first: int
    last: int
    page: int
    connections: int


@dataclass(frozen=True)
class Load:
    """What one turn came to."""

    per_second: float
    p50_ms: float
    p99_ms: float


def wrk(port, key, question, seconds, seed):
    need("wrk", "Debian: wrk")
    output = run("wrk", ["wrk", "-t", 1, "-c", question.connections, "-d", f"{seconds}s", "--timeout", "60s",
                         "-s", POLLS, f"http://127.0.0.1:{port}", "--",
                         seed, question.first, question.last, question.page],
                 env={"API_KEY": key}, timeout=seconds + 120)
    lines = [line for line in output.splitlines() if line.startswith("{")]
    if not lines:
        raise Failed(f"wrk told nothing: {output[-300:]}")
    told = json.loads(lines[-1])
    if told["errors"] or not told["requests"]:
        raise Failed(f"{question.name}: {told['errors']} of {told['requests']} requests failed")
    return Load(told["requests"] / told["seconds"], told["p50_us"] / 1000, told["p99_us"] / 1000)


def pgbench(url, question, seconds, seed):
    times, per_second = timed(url, PAGES_SQL, seconds, [
        "-c", question.connections, f"--random-seed={seed}", "-D", f"first={question.first}",
        "-D", f"last={question.last}", "-D", f"skip={(question.page - 1) * 100}"])
    return Load(per_second, times[len(times) // 2] / 1000, times[len(times) * 99 // 100] / 1000)


def latency(url, script, seconds):
    """The median time of a script of pgbench over one connection, µs."""
    file = WORK / "script.sql"
    file.write_text(script)
    times, _ = timed(url, file, seconds, ["--random-seed=1"])
    return times[len(times) // 2]


def timed(url, file, seconds, options):
    """Runs a script again and again; gives its times in order, in µs, and how often it ran in a second."""
    need("pgbench", "Debian: postgresql-contrib")
    folder = WORK / "pgbench"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    output = run("pgbench", ["pgbench", "-n", "-M", "prepared", "-j", 1, "-T", seconds, "-l", *options, "-f", file, url],
                 cwd=folder, timeout=seconds + 120)
    times = sorted(int(line.split()[2]) for log in folder.iterdir() for line in log.read_text().splitlines())
    per_second = re.search(r"^tps = ([0-9.]+)", output, re.MULTILINE)
    if not times or not per_second:
        raise Failed(f"pgbench ended no query in {seconds} s")
    return times, float(per_second[1])
