-- Who looks at the console: operators with a key each, and the sessions that they open with it. Of keys, links and
-- sessions there are only digests: each is 256 random bits, so that they need no slow hash.

create table operators (
  id uuid constraint operators_pkey primary key,
  name text not null constraint operators_name_plain check (name ~ '^[a-z0-9][a-z0-9._-]{0,62}$'),
  role text not null constraint operators_role_known check (role in ('viewer', 'operator', 'approver', 'admin')),
  digest bytea not null constraint operators_digest_key unique
    constraint operators_digest_sha256 check (octet_length(digest) = 32),
  created_at timestamptz not null default clock_timestamp(),
  -- neither the key nor a session opens anything from then on
  expires_at timestamptz,
  -- when a session was last opened
  last_used_at timestamptz,
  revoked_at timestamptz
);
create unique index operators_name_idx on operators (name) where revoked_at is null;

-- Links that open one session, once: the row goes with its use.
create table operator_links (
  digest bytea constraint operator_links_pkey primary key
    constraint operator_links_digest_sha256 check (octet_length(digest) = 32),
  operator_id uuid not null constraint operator_links_operator_fkey references operators (id),
  expires_at timestamptz not null
);

create table operator_sessions (
  digest bytea constraint operator_sessions_pkey primary key
    constraint operator_sessions_digest_sha256 check (octet_length(digest) = 32),
  operator_id uuid not null constraint operator_sessions_operator_fkey references operators (id),
  opened_at timestamptz not null default clock_timestamp(),
  -- to about a minute; a page that refreshes itself does not count
  used_at timestamptz not null default clock_timestamp(),
  -- it ends then, however much it is used
  ends_at timestamptz not null,
  constraint operator_sessions_ends_later check (ends_at > opened_at)
);
create index operator_sessions_ends_at_idx on operator_sessions (ends_at);
