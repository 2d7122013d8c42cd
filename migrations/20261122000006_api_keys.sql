-- Bearer keys: only their digests. A key of 256 random bits needs no slow hash.
create table api_keys (
  id uuid constraint api_keys_pkey primary key,
  provider text not null constraint api_keys_provider_named check (provider <> ''),
  name text not null constraint api_keys_name_plain check (name ~ '^[a-z0-9][a-z0-9._-]{0,62}$'),
  scope text not null constraint api_keys_scope_known
    check (scope in ('connector', 'read', 'pay', 'ingest')),
  digest bytea not null constraint api_keys_digest_key unique
    constraint api_keys_digest_sha256 check (octet_length(digest) = 32),
  created_at timestamptz not null default clock_timestamp(),
  -- it opens nothing from then on
  expires_at timestamptz,
  -- to about a minute
  last_used_at timestamptz,
  -- the key of the same name that took its place, while it goes on for a while
  replaced_by uuid constraint api_keys_replaced_by_fkey references api_keys (id) deferrable initially deferred,
  revoked_at timestamptz
);
-- a name is that of one key, and those that it replaced
create unique index api_keys_provider_name_idx on api_keys (provider, name)
  where replaced_by is null and revoked_at is null;
