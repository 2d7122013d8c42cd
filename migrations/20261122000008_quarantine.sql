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
  -- the reason without what varies, and a digest of it with provider, resource and stream: rows that have it in common
  -- are here for the same fault. The program makes both when it writes the reason
  fault text not null,
  fault_group text not null constraint quarantine_fault_group_digest check (fault_group ~ '^[0-9a-f]{16}$'),
  -- sha256 of the record as it came, and of its identity: encrypted, the same record is never the
  -- same bytes
  raw_digest bytea not null constraint quarantine_digest_sha256 check (octet_length(raw_digest) = 32),
  constraint quarantine_record_key unique (provider, resource, raw_digest),
  constraint quarantine_origin_whole check (num_nulls(stream, partition, parent, asked_at) in (0, 4))
);
create index quarantine_provider_idx on quarantine (provider, resource, id);
-- what came lately is looked for again and again
create index quarantine_first_seen_idx on quarantine (provider, first_seen);
-- all that a screen of groups counts, so that it does not read the records; and a group, from the oldest on
create index quarantine_fault_group_idx on quarantine (fault_group, id) include (provider, resource, first_seen, last_seen);

-- Who had records of the quarantine replayed or discarded, and how far that has come. Each batch adds to it in its own
-- transaction, so that it never says more or less than what was done.
create table quarantine_actions (
  id bigint generated always as identity constraint quarantine_actions_pkey primary key,
  action text not null constraint quarantine_actions_action_known check (action in ('replay', 'discard')),
  -- of what: of all providers where there is none
  provider text,
  fault_group text,
  -- who, in the audit of operators
  audit_id bigint not null,
  why text constraint quarantine_actions_why_short check (length(why) <= 500),
  -- how many records there were when it began
  total bigint not null,
  freed bigint not null default 0,
  stayed bigint not null default 0,
  discarded bigint not null default 0,
  started_at timestamptz not null default clock_timestamp(),
  moved_at timestamptz not null default clock_timestamp(),
  ended_at timestamptz,
  constraint quarantine_actions_discard_explained check (action <> 'discard' or coalesce(why, '') ~ '[^[:space:]]')
);
create index quarantine_actions_fault_group_idx on quarantine_actions (fault_group, id);

-- What was discarded: which record it was, without anything of what it held. A fault may quote it, so that its group has
-- to do.
create table quarantine_discards (
  quarantine_id bigint not null constraint quarantine_discards_pkey primary key,
  action_id bigint not null constraint quarantine_discards_action_id_fkey references quarantine_actions,
  provider text not null,
  resource text not null,
  stream text,
  raw_digest bytea not null,
  fault_group text not null,
  attempts integer not null,
  first_seen timestamptz not null,
  discarded_at timestamptz not null default clock_timestamp()
);
create index quarantine_discards_action_id_idx on quarantine_discards (action_id, quarantine_id);

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
