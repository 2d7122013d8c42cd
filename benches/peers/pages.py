"""The same pages by Tributary, by hand in three languages, and as plain SQL: asked for in turns."""

from datetime import datetime, timezone

from rig.load import Question, pgbench, wrk
from rig.machine import Failed, Skip, need, say
from rig.report import median, median_ratio, number, table
from rig.rows import fill_by_hand, fill_feed
from rig.tributary import FILE_KEY, Client, Serving, migrate, new_key

from peers import PEERS, Peer

PGBENCH = "pgbench: its rows, no HTTP"
TRIBUTARY = "Tributary"
TRIBUTARY_STORED = "Tributary, key in the database"
COMPARED = {"pgbench": PGBENCH, "Fastify": "Fastify + pg", "Go": "Go net/http + pgx"}


def stamp(second):
    """RFC 3339, as the connector sends it."""
    return datetime.fromtimestamp(second, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def install(skipped):
    """What is needed of what is there; the rest is told."""
    installed = {}
    for name, how in PEERS.items():
        try:
            say(f"{name}: install")
            installed[name] = how()
        except Skip as missing:
            skipped.append(f"{name}: {missing}")
    return installed


def questions(rows, first, last, newest):
    far = rows // 100
    return [
        Question("page 1, from any second", first, last - 1, 1, 8),
        Question("poll at the end", newest, newest, 1, 8),
        Question(f"page {far:,}", first, first, far, 1),
    ]


def check_same(servers, asked):
    """Whoever answers something else is not measured against. Gives how many pages were compared."""
    clients = {name: Client(port, key) for name, (port, key, _) in servers.items()}
    compared = 0
    for question in asked:
        step = max(1, (question.last - question.first) // 9)
        for second in range(question.first, question.last + 1, step):
            query = f"updatedAtFrom={stamp(second)}&page={question.page}&pageSize=100&sort=updatedAt:asc"
            answers = {name: client.rows(query) for name, client in clients.items()}
            expected = answers[TRIBUTARY]
            if not expected:
                raise Failed(f"no rows for {query}: what is measured would be nothing")
            for name, rows in answers.items():
                if rows != expected:
                    raise Failed(f"{name} answers {query} with other rows than Tributary ({len(rows)} and "
                                 f"{len(expected)}); nothing is measured")
            compared += 1
    for client in clients.values():
        client.close()
    for name, (port, _, _) in servers.items():
        status, _ = Client(port, "not-the-key-of-the-bench").ask("GET", "/transactions")
        if status != 401:
            raise Failed(f"{name} answers {status} to a wrong key instead of 401")
    return compared


def measure(postgres, rows, rounds, seconds, skipped):
    """Gives the table."""
    need("wrk", "Debian: wrk")
    installed = install(skipped)
    database = "pages"
    postgres.create(database)
    url = postgres.url(database)
    migrate(url)
    say(f"{rows:,} rows are written and published")
    first, last, newest = fill_feed(postgres, database, rows)
    fill_by_hand(postgres, database)
    stored = new_key(url, "connector")
    ours = Serving(url, path="/transactions?pageSize=1")
    servers = {TRIBUTARY: (ours.port, FILE_KEY, ours.process), TRIBUTARY_STORED: (ours.port, stored, ours.process)}
    running = [ours]
    for name, how in installed.items():
        peer = Peer(name, how, url)
        running.append(peer)
        servers[name] = (peer.port, peer.key, peer.process)
    idle = {name: process.memory()[0] for name, (_, _, process) in servers.items()}
    asked = questions(rows, first, last, newest)
    say(f"all answer {check_same(servers, asked)} pages alike")
    lines = []
    for question in asked:
        loads = take_turns(question, servers, url, rounds, seconds, skipped)
        lines += rows_of(question, loads, servers, idle)
    for server in running:
        server.stop()
    head = ["question", "server", "requests/s", "p50 ms", "p99 ms", *(f"× {name}" for name in COMPARED),
            "MiB idle", "MiB now", "MiB highest"]
    return table(head, lines)


def take_turns(question, servers, url, rounds, seconds, skipped):
    """Loads each in turn, in another order each round. Gives the loads of each by name."""
    turns = {name: lambda seconds, seed, port=port, key=key: wrk(port, key, question, seconds, seed)
             for name, (port, key, _) in servers.items()}
    try:
        need("pgbench", "Debian: postgresql-contrib")
        turns[PGBENCH] = lambda seconds, seed: pgbench(url, question, seconds, seed)
    except Skip as missing:
        if (reason := f"pgbench: {missing}") not in skipped:
            skipped.append(reason)
    names = list(turns)
    for name in names:
        turns[name](1, 1)
    loads = {name: [] for name in names}
    for number_of_round in range(rounds):
        say(f"{question.name}: round {number_of_round + 1} of {rounds}")
        shift = number_of_round % len(names)
        for name in names[shift:] + names[:shift]:
            loads[name].append(turns[name](seconds, number_of_round + 2))
    return loads


def rows_of(question, loads, servers, idle):
    """The lines of one question: medians over the rounds, ratios within them."""
    lines = []
    rates = {name: [load.per_second for load in taken] for name, taken in loads.items()}
    for name, taken in loads.items():
        ratios = [f"{median_ratio(rates[name], rates[other]):.2f}" if other in rates else "–"
                  for other in COMPARED.values()]
        memory = ["–"] * 3
        if name in servers:
            now, highest = servers[name][2].memory()
            memory = [number(idle[name]), number(now), number(highest)]
        lines.append([question.name, name, number(median(rates[name])),
                      number(median([load.p50_ms for load in taken])),
                      number(median([load.p99_ms for load in taken])), *ratios, *memory])
    return lines
