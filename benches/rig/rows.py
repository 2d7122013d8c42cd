"""The rows that are measured: made by set-based SQL, tracked by the triggers, published by publish()."""

from .machine import Failed

# What a provider's file paces a feed by, unless it says otherwise; and what `serve` publishes at once.
PER_SECOND, BATCH = 100, 5_000

COLUMNS = """provider, id, type, status, asset, amount, source_account_id, destination_account_id, created_at,
  metadata"""


def made(first, last):
    """A query for the transactions of these numbers, of some 400 bytes each as served."""
    return f"""select 'acme', 'tx_' || lpad(n::text, 9, '0'), (array['PAYIN', 'PAYOUT'])[1 + n % 2],
  (array['SUCCEEDED', 'PENDING', 'FAILED'])[1 + n % 3], 'EUR/2', (n * 37 % 1000000)::numeric,
  'acc_' || n % 100, 'ben_' || n % 1000, timestamptz '2025-01-01' + n * interval '1 second',
  jsonb_build_object('reference', 'invoice ' || n, 'counterpartyName', 'Customer ' || n % 5000)
from generate_series({first}::bigint, {last}::bigint) n"""


def insert(first, last):
    """Inserts them as history, in one transaction (of one `psql -c`)."""
    return f"begin; set local tributary.backfill = on; insert into transactions ({COLUMNS}) {made(first, last)}; commit"


def publish_once():
    return f"select (publish('acme', 'transactions', {PER_SECOND}, {BATCH}, interval '1 hour')).published"


def publish_all(postgres, database, rows):
    """Publishes a backlog of so many rows by statements in a row, of one session."""
    postgres.psql(database, *[publish_once()] * -(-rows // BATCH))
    require_published(postgres, database, rows)


# Positions are dense, so the last one is the number of entries.
PUBLISHED = """select coalesce(max(last_position), 0) from feeds
  where provider = 'acme' and resource = 'transactions'"""


def published(postgres, database):
    """How many entries the feed has."""
    return int(postgres.psql(database, PUBLISHED))


def await_published(postgres, database, rows, process):
    """Waits for so many entries, from one session (a psql for each look would take from what is measured), and in a
    transaction for each look (one that lasts would keep from being removed what is published)."""
    for line in postgres.watched(database, PUBLISHED):
        if int(line) >= rows:
            return
        if process.popen.poll() is not None:
            raise Failed(f"{process.name} ended; see its log")


def require_published(postgres, database, rows):
    there = published(postgres, database)
    if there != rows:
        raise Failed(f"{there} entries were published instead of {rows}")


def fill_backlog(postgres, database, rows):
    """Writes rows and publishes nothing."""
    step = 100_000
    postgres.psql(database, *[insert(first, min(first + step, rows + 1) - 1)
                              for first in range(1, rows + 1, step)])


def fill_feed(postgres, database, rows):
    """Writes and publishes history, and one fresh row: so the last second of the feed holds one entry, as at
    the moment after a single payment. Gives the whole seconds (of 1970) in which the history begins and ends,
    and that of the last entry."""
    fill_backlog(postgres, database, rows - 1)
    publish_all(postgres, database, rows - 1)
    postgres.psql(database, f"insert into transactions ({COLUMNS}) {made(rows, rows)}", publish_once())
    require_published(postgres, database, rows)
    postgres.psql(database, "vacuum (analyze)", "checkpoint")
    seconds = postgres.psql(database, f"""select string_agg(floor(extract(epoch from published_at))::bigint::text,
        ' ' order by position) from feed
        where provider = 'acme' and resource = 'transactions' and position in (1, {rows - 1}, {rows})""")
    return tuple(int(second) for second in seconds.split())


def fill_by_hand(postgres, database):
    """The same rows in a table as a service that is written by hand would have it: the current rows, with the
    time of their last change, and the index that its one query wants."""
    postgres.psql(database,
                  "create table transactions_by_hand (id text primary key, updated_at timestamptz not null, "
                  "body json not null)",
                  "insert into transactions_by_hand (id, updated_at, body) select id, published_at, body from feed "
                  "where provider = 'acme' and resource = 'transactions' order by position",
                  "create index on transactions_by_hand (updated_at, id)",
                  "vacuum (analyze) transactions_by_hand", "checkpoint")
