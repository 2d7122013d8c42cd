-- Records of a provider that may still change, for APIs that do not tell of changes: they are
-- asked for again, one by one, or found missing. Written in the transaction of their page.
create table sync_open_records (
  provider text not null,
  stream text not null,
  partition text not null,
  key text not null,
  record bytea not null,
  canonical bytea not null,
  at timestamptz,
  first_seen timestamptz not null,
  checked_at timestamptz not null,
  constraint sync_open_records_pkey primary key (provider, stream, partition, key)
);
