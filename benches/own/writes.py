"""What tracking costs a writer: COPY with keys, checks and indexes alone is the most that the table takes."""

import json
import queue
import threading
import time

from rig.machine import WORK, Failed, say
from rig.report import median, median_ratio
from rig.rows import COLUMNS, made
from rig.tributary import Client, Serving, new_key

WRITERS = 4
# what one call of the push API takes at most
CALL = 10_000
COPY_BARE = "COPY, keys and indexes, no triggers"
COPY_TRACKED, INSERT_TRACKED = "COPY, tracked", "INSERT … SELECT, tracked"
PUSH = f"push API, {WRITERS} writers"


def bodies(numbers, later=0):
    """The same transactions as made() makes, or with another amount `later`, as bodies of calls of the push API."""
    calls = []
    for first in range(0, len(numbers), CALL):
        calls.append(json.dumps([{
            "id": f"tx_{n:09}", "type": ("PAYIN", "PAYOUT")[n % 2],
            "status": ("SUCCEEDED", "PENDING", "FAILED")[n % 3], "currency": "EUR/2",
            "amount": str(n * 37 % 1_000_000 + later), "sourceAccountID": f"acc_{n % 100}",
            "destinationAccountID": f"ben_{n % 1000}",
            "createdAt": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(1_735_689_600 + n)),
            "metadata": {"reference": f"invoice {n}", "counterpartyName": f"Customer {n % 5000}"},
        } for n in numbers[first:first + CALL]]).encode())
    return calls


def push(port, key, calls):
    """Four writers send all calls; gives the seconds that it took."""
    waiting, wrong = queue.SimpleQueue(), []
    for call in calls:
        waiting.put(call)

    def write():
        client = Client(port, key)
        try:
            while True:
                status, body = client.ask("POST", "/ingest/transactions?backfill=true", waiting.get_nowait())
                if status != 200 or json.loads(body)["quarantined"]:
                    wrong.append(f"{status}: {body[:300]!r}")
                    return
        except queue.Empty:
            pass
        except OSError as error:
            wrong.append(str(error))
        finally:
            client.close()

    writers = [threading.Thread(target=write) for _ in range(WRITERS)]
    begun = time.monotonic()
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    if wrong:
        raise Failed(f"a push was not taken: {wrong[0]}")
    return time.monotonic() - begun


def timed_psql(postgres, database, command):
    begun = time.monotonic()
    postgres.psql(database, command)
    return time.monotonic() - begun


def measure(postgres, template, rows, rounds, report):
    """Each way in turn, into empty tables, in another order each round."""
    file = WORK / "transactions.csv"
    columns = " ".join(COLUMNS.split())
    postgres.psql(template, f"\\copy ({' '.join(made(1, rows).split())}) to '{file}' with (format csv)")
    calls = bodies(range(1, rows + 1))
    database = "writes"
    into = f"\\copy {{}} ({columns}) from '{file}' with (format csv)"
    insert = f"insert into transactions ({columns}) select {columns} from made"
    seconds = {name: [] for name in (COPY_BARE, COPY_TRACKED, INSERT_TRACKED, PUSH)}

    def pushed():
        server = Serving(postgres.url(database))
        try:
            return push(server.port, new_key(postgres.url(database), "ingest"), calls)
        finally:
            server.stop()

    ways = {
        COPY_BARE: lambda: timed_psql(postgres, database, into.format("bare")),
        COPY_TRACKED: lambda: timed_psql(postgres, database, into.format("transactions")),
        INSERT_TRACKED: lambda: timed_psql(postgres, database, insert),
        PUSH: pushed,
    }
    names = list(ways)
    for turn in range(rounds):
        say(f"writes: round {turn + 1} of {rounds}")
        shift = turn % len(names)
        for name in names[shift:] + names[:shift]:
            postgres.create(database, template)
            postgres.psql(database, "create table bare (like transactions including all)")
            if name == INSERT_TRACKED:
                postgres.psql(database, "create unlogged table made (like transactions including defaults)",
                              into.format("made"))
            postgres.psql(database, "checkpoint")
            seconds[name].append(ways[name]())
            require_all(postgres, database, "bare" if name == COPY_BARE else "transactions", rows)
    postgres.drop(database)
    file.unlink()
    speeds = {name: [rows / one for one in taken] for name, taken in seconds.items()}
    for name, speed in speeds.items():
        ratio = f"{median_ratio(speed, speeds[COPY_BARE]):.2f} × COPY without triggers"
        report.add(f"write: {name}", "rows/s", rows, median(speed), ratio)


def require_all(postgres, database, name, rows):
    there = int(postgres.psql(database, f"select count(*) from {name}"))
    if there != rows:
        raise Failed(f"{there} rows are in {name} instead of {rows}")
