-- What cannot be served, and what can be mapped again.

-- Records that no page may hold. The raw bytes are kept as they came (they may not even be
-- text), so that a record can be replayed after a fix.
create table quarantine (
  id bigint generated always as identity constraint quarantine_pkey primary key,
  provider text not null,
  resource text not null constraint quarantine_resource_known
    check (resource in ('accounts', 'balances', 'beneficiaries', 'transactions')),
  -- raw and parent are encrypted with the key of this id; without one they are as they came
  key_id text,
  raw bytea not null,
  reason text not null,
  attempts integer not null default 1,
  first_seen timestamptz not null default clock_timestamp(),
  last_seen timestamptz not null default clock_timestamp(),
  -- where a record came from that its manifest could not map: with these it can be mapped again.
  -- Null for what was pushed in
  stream text,
  partition text,
  parent bytea,
  asked_at text,
  identity bytea,
  vanished boolean not null default false,
  -- sha256 of the record as it came, and of its identity: encrypted, the same record is never the
  -- same bytes
  raw_digest bytea not null constraint quarantine_digest_sha256 check (octet_length(raw_digest) = 32),
  constraint quarantine_record_key unique (provider, resource, raw_digest),
  constraint quarantine_origin_whole check (num_nulls(stream, partition, parent, asked_at) in (0, 4))
);
create index quarantine_provider_idx on quarantine (provider, resource, id);
-- what came lately is looked for again and again
create index quarantine_first_seen_idx on quarantine (provider, first_seen);

-- Records as the provider sent them, where its manifest says keep_raw: each state once, in the
-- order in which they last came, with what the mapping saw besides.
create table raw_records (
  position bigint generated always as identity,
  provider text not null,
  stream text not null,
  partition text not null,
  digest bytea not null constraint raw_records_digest_sha256 check (octet_length(digest) = 32),
  -- record and parent are encrypted with the key of this id; without one they are as they came
  key_id text,
  record bytea not null,
  parent bytea not null,
  -- $now: when the request was sent that got the record
  asked_at text not null,
  -- $identity, of a record that has no lasting id of its own: records that are equal differ by it
  identity bytea,
  -- whether it was pending and is not listed any more: what it becomes is cancelled
  vanished boolean not null default false,
  -- the ids of the records that it became; of balances, that of their account
  became text[] not null default '{}',
  kept_at timestamptz not null default clock_timestamp(),
  constraint raw_records_pkey primary key (provider, stream, position),
  constraint raw_records_state_key unique (provider, stream, partition, digest)
);
create index raw_records_kept_at_idx on raw_records (provider, kept_at);
-- from a record to what it came from. The pending list takes what a batch adds; it is short, so that no batch waits
-- for long while it is worked off
create index raw_records_became_idx on raw_records using gin (became) with (gin_pending_list_limit = 256);
