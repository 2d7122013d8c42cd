"""What a running server costs: publishing, draining, starting, and memory."""

import time

from rig.machine import ROOT, Failed, Process, free_port, say
from rig.report import median, median_ratio
from rig.rows import fill_backlog, publish_all, published_in_time
from rig.tributary import BINARY, FILE_KEY, Client, Serving, answers, providers

PUSHED, STARLING_COPIES = 1_000, 300
TOKEN = "the-token-of-the-bench"
PAGE = 100


def publish(postgres, template, rows, rounds, report):
    """A backlog by a server from its start on, and by statements in a row. Leaves the database `published`."""
    database, ways, left = "published", {"running server": [], "publish() in a row by psql": []}, []
    for turn in range(rounds):
        say(f"publish: round {turn + 1} of {rounds}")
        names = list(ways) if turn % 2 == 0 else list(ways)[::-1]
        for name in names:
            postgres.create(database, template)
            fill_backlog(postgres, database, rows)
            postgres.psql(database, "vacuum (analyze) changes", "analyze transactions", "checkpoint")
            begun = time.monotonic()
            if name == "running server":
                server = Serving(postgres.url(database), wait=False)
                server.process.wait_until(lambda: published_in_time(postgres, database, rows), seconds=3600)
                ways[name].append(rows / (time.monotonic() - begun))
                left.append(queue_left(postgres, database))
                server.stop()
            else:
                publish_all(postgres, database, rows)
                ways[name].append(rows / (time.monotonic() - begun))
    by_psql = ways["publish() in a row by psql"]
    for name, speeds in ways.items():
        report.add(f"publish a backlog: {name}", "rows/s", rows, median(speeds),
                   f"{median_ratio(speeds, by_psql):.2f} × psql")
    report.add("queue of changes, 5 s after a backlog", "MiB", rows, median(left))
    postgres.psql(database, "vacuum (analyze)", "checkpoint")


def queue_left(postgres, database):
    """MiB that the files of the queue take, 5 seconds after it was empty at the latest."""
    size = "select pg_total_relation_size('changes')"
    for _ in range(10):
        if int(postgres.psql(database, size)) < 1 << 20:
            break
        time.sleep(0.5)
    return int(postgres.psql(database, size)) / (1 << 20)


def drain_all(client, watermark=""):
    """From the first entry, or what is later than a watermark, to the last by the loop of Formance's connector: it keeps one watermark, asks from the
    whole second of it, drops what is not later, and stores 100 rows at a time. Gives rows and requests."""
    taken, requests = 0, 0
    while True:
        start = f"&updatedAtFrom={watermark[:19]}Z" if watermark else ""
        batch, page, is_short = [], 1, False
        while len(batch) < PAGE and not is_short:
            rows = client.rows(f"page={page}&pageSize={PAGE}&sort=updatedAt:asc{start}")
            requests, page, is_short = requests + 1, page + 1, len(rows) < PAGE
            batch += [row for row in rows if row["updatedAt"] > watermark]
        has_more = len(batch) > PAGE or not is_short
        # what is beyond the first 100 is asked for again
        batch = batch[:PAGE]
        taken += len(batch)
        if not has_more:
            return taken, requests
        watermark = batch[-1]["updatedAt"]


def drain(postgres, rows, report):
    """Idle memory, the drain beside the same bodies by COPY, and the memory that it took."""
    begun = time.monotonic()
    postgres.psql("published", "copy (select body from feed where provider = 'acme' and resource = 'transactions' "
                               "order by position) to stdout")
    copied = time.monotonic() - begun
    server = Serving(postgres.url("published"))
    # two ticks of the publisher
    time.sleep(2)
    idle, _ = server.process.memory()
    client = Client(server.port, FILE_KEY)
    begun = time.monotonic()
    taken, requests = drain_all(client)
    seconds = time.monotonic() - begun
    _, highest = server.process.memory()
    client.close()
    server.stop()
    if taken != rows:
        raise Failed(f"{taken} rows were drained instead of {rows}")
    report.add("drain by the connector's loop", "rows/s", rows, rows / seconds,
               f"{copied / seconds:.2f} × COPY of the bodies, {requests * 100 / rows:.2f} requests per 100 rows")
    report.add("memory idle, one provider", "MiB", rows, idle)
    report.add("memory highest, drained", "MiB", rows, highest)


def start(postgres, rows, rounds, report):
    """From the start of the process to the first full page of a feed that is there."""
    seconds = []
    for _ in range(rounds):
        server = Serving(postgres.url("published"), path=f"/transactions?pageSize={PAGE}")
        seconds.append(server.seconds)
        server.stop()
    report.add("start to the first page", "ms", rows, median(seconds) * 1000)


def many_providers(postgres, template, report):
    """A server of very many providers: until it is ready, and its memory then and after ten seconds of work."""
    standin_port = free_port()
    standin = Process("standin", [BINARY, "standin", "starling", "--listen", f"127.0.0.1:{standin_port}", "--accounts",
                                  1, "--items", 10, "--changes-per-second", 0], env={"STARLING_TOKEN": TOKEN})
    standin.wait_until(lambda: answers(standin_port, "/api/v2/accounts", TOKEN))
    starling = (ROOT / "providers" / "starling.yaml").read_text()
    if starling.count("\nprovider: starling\n") != 1:
        raise Failed("providers/starling.yaml names its provider otherwise: see benches/own/serving.py")
    kinds = {
        f"{PUSHED:,} pushed providers": (PUSHED, {
            f"p{n}.yaml": f"provider: p{n}\npush: all\n" for n in range(PUSHED)}),
        f"{STARLING_COPIES} copies of Starling's file": (STARLING_COPIES, {
            f"s{n}.yaml": starling.replace("\nprovider: starling\n", f"\nprovider: s{n}\n")
            for n in range(STARLING_COPIES)}),
    }
    for name, (count, files) in kinds.items():
        say(name)
        postgres.create("many", template)
        server = Serving(postgres.url("many"), folder=providers("many", files), env={
            "STARLING_TOKEN": TOKEN, "STARLING_URL": f"http://127.0.0.1:{standin_port}"})
        ready, _ = server.process.memory()
        time.sleep(10)
        _, highest = server.process.memory()
        server.stop()
        report.add(f"{name}: start to ready", "ms", count, server.seconds * 1000)
        report.add(f"{name}: memory when ready", "MiB", count, ready)
        report.add(f"{name}: memory highest in 10 s", "MiB", count, highest)
    standin.stop()
    postgres.drop("many")
