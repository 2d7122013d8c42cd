-- What ran, from where it goes on, and what was refused.

create table sync_runs (
  id uuid constraint sync_runs_pkey primary key,
  provider text not null,
  started_at timestamptz not null default clock_timestamp(),
  finished_at timestamptz,
  status text not null default 'running' constraint sync_runs_status_known
    check (status in ('running', 'succeeded', 'failed', 'interrupted')),
  requests bigint not null default 0,
  created bigint not null default 0,
  updated bigint not null default 0,
  unchanged bigint not null default 0,
  quarantined bigint not null default 0,
  error text,
  constraint sync_runs_finished_or_running check ((finished_at is null) = (status = 'running'))
);
create index sync_runs_provider_idx on sync_runs (provider, started_at desc);

-- One cursor per partition of a stream (an account, a category); moved in the transaction
-- that writes the rows it stands for.
create table sync_cursors (
  provider text not null,
  stream text not null,
  partition text not null,
  cursor jsonb not null,
  updated_at timestamptz not null default clock_timestamp(),
  constraint sync_cursors_pkey primary key (provider, stream, partition)
);

-- Records that no page may hold. The raw bytes are kept as they came (they may not even be
-- text), so that a record can be replayed after a fix.
create table quarantine (
  id bigint generated always as identity constraint quarantine_pkey primary key,
  provider text not null,
  resource text not null constraint quarantine_resource_known
    check (resource in ('accounts', 'balances', 'beneficiaries', 'transactions')),
  raw bytea not null,
  raw_digest bytea not null generated always as (sha256(raw)) stored,
  reason text not null,
  attempts integer not null default 1,
  first_seen timestamptz not null default clock_timestamp(),
  last_seen timestamptz not null default clock_timestamp(),
  constraint quarantine_record_key unique (provider, resource, raw_digest)
);
