"""How cost grows: the same questions of a feed of ROWS entries, of one of GROWTH times as many, and of ROWS entries
of 1,000 providers. What does not depend on what is there has a ratio near 1."""

import random
import time

from rig.load import Question, latency, wrk
from rig.machine import say, setting
from rig.report import median
from rig.rows import BATCH, PER_SECOND, insert, publish_once, require_published
from rig.tributary import Client, Serving, acme, new_key, providers
from serving import drain_all
from writes import CALL, bodies, push

PROVIDERS = 1_000
# rows that are written, published, drained at once
PIECE = 100_000
TURNS, SECONDS = 3, 3
DATABASE = "growth"


class OneProvider:
    """The feed of one provider."""

    name = "acme"

    def __init__(self, rows, there=0):
        self.rows, self.there, self.called = rows, there, f"{rows:,}"
        # the last of a million is far as well, and there at every size
        self.far_page = 10_000 if rows > 1_000_000 else rows // 100

    def folder(self):
        return acme()

    def fill(self, postgres):
        """Writes and publishes history, a piece at a time, as a service that always ran would have."""
        for first in range(self.there + 1, self.rows + 1, PIECE):
            last = min(first + PIECE, self.rows + 1) - 1
            postgres.psql(DATABASE, insert(first, last), *[publish_once()] * -(-PIECE // BATCH), "vacuum changes")
            if last % (10 * PIECE) == 0:
                say(f"growth: {last:,} of {self.rows:,}")
        require_published(postgres, DATABASE, self.rows)

    def random_record(self):
        """The number of a record, in pgbench's words."""
        return f"\\set n random(1, {self.rows})"

    def calls(self):
        """Changes of records from all over the table, the same in each run, as calls of the push API."""
        numbers = random.Random(7).sample(range(1, self.rows + 1), min(PIECE, self.rows))
        return [bodies(numbers[first:first + CALL], later=1)[0] for first in range(0, len(numbers), CALL)]

    def publish(self, postgres, rows):
        """Writes and publishes records beyond those that are there; gives the seconds of the publication."""
        postgres.psql(DATABASE, insert(self.rows + 1, self.rows + rows))
        begun = time.monotonic()
        postgres.psql(DATABASE, *[publish_once()] * -(-rows // BATCH))
        return time.monotonic() - begun


class ThousandProviders:
    """As many rows, of which each provider has every thousandth; one of them is asked."""

    name = "p0"

    def __init__(self, rows):
        self.rows, self.called, self.own = rows, f"{rows:,} of {PROVIDERS:,} providers", rows // PROVIDERS
        self.far_page = max(self.own // 100, 1)

    def folder(self):
        return providers("thousand", {
            f"p{n}.yaml": f"provider: p{n}\npush: all\ncallers: {{ requests: 1000000/s }}\n" for n in range(PROVIDERS)})

    def fill(self, postgres):
        for first in range(1, self.rows + 1, PIECE):
            self.publish(postgres, PIECE, first)
        postgres.psql(DATABASE, "vacuum changes")

    def random_record(self):
        return f"\\set part random(1, {self.own})\n\\set n :part * {PROVIDERS}"

    def calls(self):
        own = [n * PROVIDERS for n in range(1, self.own + 1)]
        return [bodies(own, later=call)[0] for call in range(1, max(PIECE // self.own, 1) + 1)]

    def publish(self, postgres, rows, first=None):
        first = first or self.rows + 1
        postgres.psql(DATABASE, insert(first, first + rows - 1).replace("'acme'", f"'p' || n % {PROVIDERS}"))
        begun = time.monotonic()
        postgres.psql(DATABASE, f"""select count(publish('p' || n, 'transactions', {PER_SECOND}, {BATCH},
            interval '1 hour')) from generate_series(0, {PROVIDERS - 1}) n""")
        return time.monotonic() - begun


def at_entry(postgres, name, from_last):
    """When the entry was published that has so many behind it."""
    return postgres.psql(DATABASE, f"""select to_char(published_at, 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') from feed
        where provider = '{name}' and resource = 'transactions' and position = (select last_position - {from_last}
          from feeds where provider = '{name}' and resource = 'transactions')""")


def seconds_of(postgres, name):
    """The whole seconds of 1970 in which a feed begins and ends."""
    told = postgres.psql(DATABASE, f"""select floor(extract(epoch from min(published_at)))::bigint || ' ' ||
        floor(extract(epoch from max(published_at)))::bigint from feed
        where provider = '{name}' and resource = 'transactions'""")
    return tuple(int(part) for part in told.split())


def pages(postgres, feed, port, key):
    """p50 of the answers to one connection, µs."""
    first, last = seconds_of(postgres, feed.name)
    questions = (Question("page from any second, µs", first, last, 1, 1),
                 Question("poll at the end, µs", last, last, 1, 1),
                 Question("a far page, µs", first, first, feed.far_page, 1))
    return {question.name: median([wrk(port, key, question, SECONDS, turn).p50_ms * 1000 for turn in range(TURNS)])
            for question in questions}


def story(postgres, feed):
    """All versions of one record, by the statement alone."""
    return latency(postgres.url(DATABASE), f"""{feed.random_record()}
select position, published_at, body from feed where provider = '{feed.name}' and resource = 'transactions'
  and id = 'tx_' || lpad(:n::text, 9, '0') order by position;
""", SECONDS)


def measure_one(postgres, feed):
    """What each thing costs, by name: the larger, the dearer."""
    postgres.psql(DATABASE, "vacuum (analyze)", "checkpoint")
    url, folder = postgres.url(DATABASE), feed.folder()
    server = Serving(url, folder=folder)
    reads, writes = (new_key(url, scope, feed.name, folder) for scope in ("connector", "ingest"))
    told = pages(postgres, feed, server.port, reads)
    told["all versions of one record, by SQL, µs"] = story(postgres, feed)
    last = min(PIECE, feed.far_page * 100 - 1)
    client, begun = Client(server.port, reads), time.monotonic()
    taken, _ = drain_all(client, at_entry(postgres, feed.name, last))
    told["drain of what is last, µs a row"] = (time.monotonic() - begun) * 1e6 / taken
    client.close()
    calls = feed.calls()
    told["change by the push API, µs a row"] = push(server.port, writes, calls) * 1e6 / PIECE
    server.process.wait_until(lambda: postgres.psql(DATABASE, "select count(*) from changes") == "0", every=0.2)
    told["memory of the server at its highest, MiB"] = server.process.memory()[1]
    server.stop()
    told["publish, µs a row"] = feed.publish(postgres, PIECE) * 1e6 / PIECE
    return told


def measure(postgres, template, rows, report):
    """Prints a table: each size, and its ratio to the first."""
    sizes = [OneProvider(rows), OneProvider(rows * setting("GROWTH", 20), there=rows + PIECE), ThousandProviders(rows)]
    told = {}
    for feed in sizes:
        if not getattr(feed, "there", 0):
            postgres.create(DATABASE, template)
        say(f"growth: {feed.called}")
        feed.fill(postgres)
        told[feed.called] = measure_one(postgres, feed)
        for name, value in told[feed.called].items():
            report.add(f"growth, {feed.called}: {name}", "", feed.rows, value,
                       f"{value / told[sizes[0].called][name]:.2f} × {sizes[0].called}")
    postgres.drop(DATABASE)
