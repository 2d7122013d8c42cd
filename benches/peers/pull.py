"""A stand-in of Mercury read into PostgreSQL by `tributary sync` and by dlt, as whole programs, in turns."""

import json
import os
import re
import shutil
import time

from rig.machine import ROOT, WORK, Failed, Process, free_port, run, say
from rig.report import median, median_ratio, number, table
from rig.tributary import BINARY, Client, answers, environment, migrate, providers

from peers import python_with

SYNC = ROOT / "benches" / "peers" / "sync"
TOKEN = "the-token-of-the-bench"
OURS, DLT = "tributary sync", "dlt rest_api"
# Mercury allows some 5 requests a second, which is all that would be measured
UNHURRIED = (r"limits: \{ pace: 5/s \}", "limits: { pace: 1000/s }")


def provider_file():
    text, changed = re.subn(*UNHURRIED, (ROOT / "providers" / "mercury.yaml").read_text())
    if changed != 1:
        raise Failed("providers/mercury.yaml has other limits: see UNHURRIED in benches/peers/pull.py")
    return providers("mercury", {"mercury.yaml": text})


class Standin:
    """Mercury's stand-in, in which nothing changes."""

    def __init__(self, items):
        self.port = free_port()
        self.process = Process("standin", [
            BINARY, "standin", "mercury", "--listen", f"127.0.0.1:{self.port}", "--items", items,
            "--changes-per-second", 0], cwd=WORK, env={"STANDIN_TOKEN": TOKEN})
        self.process.wait_until(lambda: answers(self.port, "/api/v1/accounts", TOKEN))
        self.url = f"http://127.0.0.1:{self.port}"

    def ids(self):
        """The ids of all transactions that it tells."""
        client, ids, after = Client(self.port, TOKEN), set(), ""
        while after is not None:
            start = f"&start_after={after}" if after else ""
            status, body = client.ask("GET", f"/api/v1/transactions?order=asc&limit=1000{start}")
            if status != 200:
                raise Failed(f"the stand-in answered {status}")
            page = json.loads(body)
            ids.update(one["id"] for one in page["transactions"])
            after = page["page"].get("nextPage")
        client.close()
        return ids


def timed(name, argv, env, cwd=WORK):
    """Seconds of a whole program, and the most memory that it took (MiB)."""
    begun = time.monotonic()
    process = Process(name, argv, cwd=cwd, env=env)
    _, status, usage = os.wait4(process.popen.pid, 0)
    seconds = time.monotonic() - begun
    process.popen.returncode = os.waitstatus_to_exitcode(status)
    process.stop()
    if process.popen.returncode:
        raise Failed(f"{name} ended with {process.popen.returncode}; see target/bench-peers/logs/{name}.log")
    return seconds, usage.ru_maxrss / 1024


def measure(postgres, rows, rounds):
    """Gives the table."""
    say("dlt: install")
    python = python_with("dlt", SYNC / "requirements.txt")
    folder, standin = provider_file(), Standin(rows)
    home = WORK / "dlt"
    mercury = {"MERCURY_URL": standin.url, "MERCURY_TOKEN": TOKEN}

    def by_tributary():
        url = postgres.url("by_tributary")
        return timed("sync", [BINARY, "sync", "mercury", "--providers", folder], {**environment(url), **mercury})

    def by_dlt():
        return timed("dlt", [python, SYNC / "mercury.py"], {
            **mercury, "DATABASE_URL": postgres.url("by_dlt"), "PIPELINES": str(home / "pipelines"),
            "HOME": str(home), "RUNTIME__DLTHUB_TELEMETRY": "false", "PYTHONDONTWRITEBYTECODE": "1"}, home)

    times = {(name, which): [] for name in (OURS, DLT) for which in ("first", "again")}
    memory = {OURS: 0.0, DLT: 0.0}
    for turn in range(rounds):
        say(f"sync: round {turn + 1} of {rounds}")
        for database in ("by_tributary", "by_dlt"):
            postgres.create(database)
        migrate(postgres.url("by_tributary"))
        shutil.rmtree(home, ignore_errors=True)
        home.mkdir()
        programs = [(OURS, by_tributary), (DLT, by_dlt)]
        for which in ("first", "again"):
            for name, program in programs if turn % 2 == 0 else reversed(programs):
                seconds, peak = program()
                times[name, which].append(seconds)
                memory[name] = max(memory[name], peak)
    check_same(postgres, standin)
    standin.process.stop()
    return rendered(times, memory, rows)


def check_same(postgres, standin):
    """Both hold every transaction that the stand-in tells, and no other."""
    told = standin.ids()
    kept = {
        OURS: postgres.psql("by_tributary", "select id from transactions"),
        DLT: postgres.psql("by_dlt", "select id from by_dlt.transactions"),
    }
    for name, ids in kept.items():
        ids = ids.splitlines()
        if len(ids) != len(told) or set(ids) != told:
            raise Failed(f"{name} holds {len(ids)} transactions, the stand-in tells {len(told)}: "
                         "its time tells nothing")


def rendered(times, memory, rows):
    lines = []
    for which in ("first", "again"):
        for name in (OURS, DLT):
            speeds, others = ([rows / seconds for seconds in times[one, which]] for one in (name, DLT))
            lines.append([f"{which}, {name}", f"{rows:,}", number(median(times[name, which])),
                          number(median(speeds)), f"{median_ratio(speeds, others):.2f}", number(memory[name])])
    return table(["sync", "transactions", "seconds", "transactions/s", "× dlt", "MiB highest"], lines)
