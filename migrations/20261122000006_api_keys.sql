-- Bearer keys: only their digests. A key of 256 random bits needs no slow hash.
create table api_keys (
  id uuid constraint api_keys_pkey primary key,
  provider text not null constraint api_keys_provider_named check (provider <> ''),
  scope text not null constraint api_keys_scope_known check (scope in ('connector', 'ingest', 'admin')),
  digest bytea not null constraint api_keys_digest_key unique
    constraint api_keys_digest_sha256 check (octet_length(digest) = 32),
  created_at timestamptz not null default clock_timestamp(),
  revoked_at timestamptz
);
