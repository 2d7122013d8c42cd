"""How long each screen of the console takes at the server, with a full database."""

import http.client
import time
from urllib.parse import quote, urlencode

from rig.machine import WORK, Failed, run, say
from rig.report import median
from rig.rows import fill_backlog, publish_all
from rig.tributary import BINARY, Serving, environment

QUARANTINED, ORDERS, RUNS, TURNS = 10_000, 1_000, 1_000, 20
RECORD = "tx_000500000"


def fill(postgres, database, rows):
    """So many transactions with what they came from, and all else that an operator looks at."""
    fill_backlog(postgres, database, rows)
    publish_all(postgres, database, rows)
    postgres.psql(
        database,
        f"""insert into raw_records (provider, stream, partition, digest, record, parent, asked_at, became)
            select 'acme', 'payments', '', sha256(n::text::bytea), convert_to(format('{{"id": "tx_%s"}}', lpad(n::text, 9, '0')), 'utf8'),
              'null', '2026-01-01T00:00:00Z', array['tx_' || lpad(n::text, 9, '0')]
            from generate_series(1, {rows}) n""",
        f"""insert into quarantine (provider, resource, raw, reason, fault, fault_group, raw_digest)
            select 'acme', 'transactions', convert_to(format('{{"id": "refused_%s"}}', n), 'utf8'), format('the status "%s" is none', n),
              'the status "…" is none ' || n % 3, lpad((n % 3)::text, 16, '0'), sha256(n::text::bytea)
            from generate_series(1, {QUARANTINED}) n""",
        f"""insert into payment_orders (id, provider, kind, idempotency_key, fingerprint, asset, amount, source_account_id,
              destination_account_id, provider_key, request, state)
            select gen_random_uuid(), 'acme', 'PAYOUT', 'invoice-' || n, sha256('k'), 'EUR/2', n, 'a', 'b', 'k' || n, '{{}}', 'held'
            from generate_series(1, {ORDERS}) n""",
        f"""insert into sync_runs (id, provider, stream_group, started_at, finished_at, status)
            select gen_random_uuid(), 'acme', 'payments', now() - n * interval '1 minute', now() - n * interval '1 minute', 'succeeded'
            from generate_series(1, {RUNS}) n""",
        f"""insert into consumers (provider, resource, key, position, head_position, first_polled_at, polled_at)
            select 'acme', 'transactions', 'key:formance', {rows // 2}, {rows}, now(), now()""",
        "vacuum (analyze)", "checkpoint")


def sign_in(postgres, database, port):
    """Gives the cookie of a new operator."""
    key = run("operators", [BINARY, "operators", "create", "bench", "--role", "viewer"], cwd=WORK,
              env=environment(postgres.url(database))).strip()
    connection = http.client.HTTPConnection("127.0.0.1", port)
    connection.request("POST", "/console/sign-in", urlencode({"key": key, "next": ""}),
                       {"Content-Type": "application/x-www-form-urlencoded", "Sec-Fetch-Site": "same-origin"})
    answer = connection.getresponse()
    answer.read()
    if answer.status != 303:
        raise Failed(f"signing in was answered {answer.status}")
    return connection, answer.getheader("set-cookie").split(";")[0]


def measure(postgres, template, rows, report):
    say(f"console: {rows:,} transactions, {QUARANTINED:,} in quarantine, {ORDERS:,} orders")
    postgres.create("console", template)
    fill(postgres, "console", rows)
    order = postgres.psql("console", "select id from payment_orders limit 1").strip()
    screens = {
        "overview": "/console", "provider": "/console/providers/acme",
        "records, by a name": f"/console/records?name={RECORD}x", "quarantine": "/console/quarantine",
        "a group of the quarantine": f"/console/quarantine/groups/{'0' * 15}1",
        "a record of the quarantine": "/console/quarantine/5000",
        "payments": "/console/payments", "an order": f"/console/payments/{order}", "consumers": "/console/consumers",
        "keys": "/console/keys", "playground": "/console/playground", "audit": "/console/audit",
        "the story of a record": f"/console/record?provider=acme&resource=transactions&id={quote(RECORD)}",
    }
    server = Serving(postgres.url("console"))
    try:
        connection, cookie = sign_in(postgres, "console", server.operator_port)
        for name, path in screens.items():
            took = []
            for _ in range(TURNS):
                begun = time.monotonic()
                connection.request("GET", path, headers={"Cookie": cookie})
                answer = connection.getresponse()
                answer.read()
                took.append((time.monotonic() - begun) * 1000)
                if answer.status != 200:
                    raise Failed(f"GET {path} was answered {answer.status}")
            report.add(f"console: {name}", "ms", rows, median(took), f"at most {max(took):.0f} ms of {TURNS}")
        connection.close()
    finally:
        server.stop()
    postgres.drop("console")
