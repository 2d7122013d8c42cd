-- Statement files of banks: the files as they came, the statements in them, and what became of those. Movements are
-- written to `transactions`, closing balances to `balances`, like those of any other provider.

-- Files by their bytes: the same ones are never taken twice.
create table statement_files (
  provider text not null,
  -- in the order in which they came
  seq bigint generated always as identity,
  sha256 bytea not null constraint statement_files_sha256 check (octet_length(sha256) = 32),
  -- as it was called where it came from, and where that was: `push`, `import`, or the place of its source
  name text not null,
  source text not null,
  size bigint not null constraint statement_files_size_positive check (size > 0),
  received_at timestamptz not null default clock_timestamp(),
  -- how often the same bytes came again, and when last
  repeats integer not null default 0,
  repeated_at timestamptz,
  -- bytes are encrypted with the key of this id; without one they are as they came. Null once they were erased
  key_id text,
  bytes bytea,
  constraint statement_files_pkey primary key (provider, sha256),
  constraint statement_files_seq_key unique (provider, seq),
  constraint statement_files_key_of_bytes check (bytes is not null or key_id is null)
);

-- Accounts of which statements came. The row is locked by whoever takes a statement of the account.
create table statement_accounts (
  provider text not null,
  -- as the bank writes it, and the currency that it is kept in
  account text not null,
  currency text not null,
  -- among the accounts
  account_id text not null,
  -- how movements are told apart: with others, the same money would get other ids
  rules text not null,
  first_at timestamptz not null default clock_timestamp(),
  -- the last day that a statement closed, and with what, in minor units
  closing_day date,
  closing numeric,
  -- what is missing as it stands: chains that break, numbers left out, and how far the bank's last balance is from all
  -- that was booked
  broken_chains integer not null default 0,
  missing_numbers integer not null default 0,
  -- the first of them, in words
  gaps text[] not null default '{}',
  off_by numeric not null default 0,
  -- since when a statement has been expected that did not come
  late_since timestamptz,
  constraint statement_accounts_pkey primary key (provider, account, currency)
);

create table statements (
  provider text not null,
  -- of one account, in the order in which they were taken
  seq bigint generated always as identity,
  sha256 bytea not null,
  -- its place in the file, from 0 on
  place integer not null,
  account text not null,
  currency text not null,
  format text not null,
  kind text not null constraint statements_kind_known check (kind in ('final', 'interim', 'notification', 'export')),
  number text,
  page text,
  -- in minor units of the currency
  opening numeric,
  closing numeric,
  closing_day date,
  entries integer not null,
  -- waiting: for its other pages; joined: published with its other pages; test: without effect, as its sender wants
  state text not null constraint statements_state_known
    check (state in ('published', 'put_aside', 'waiting', 'joined', 'test')),
  -- why it was put aside, and the sum that is missing in minor units
  reason text,
  missing numeric,
  -- when another one took its place
  settled_at timestamptz,
  -- what ids go by, of one that was published: taken in the order of seq, they give the same ids again
  facts jsonb,
  taken_at timestamptz not null default clock_timestamp(),
  constraint statements_pkey primary key (provider, seq),
  constraint statements_place_key unique (provider, sha256, place),
  constraint statements_file_fkey foreign key (provider, sha256) references statement_files (provider, sha256),
  constraint statements_published_by_facts check ((state = 'published') = (facts is not null)),
  constraint statements_put_aside_why check (state <> 'put_aside' or reason is not null)
);
create index statements_account_idx on statements (provider, account, currency, seq);
create index statements_day_idx on statements (provider, account, currency, closing_day);
-- those that somebody has to see to
create index statements_open_idx on statements (provider, seq)
  where state in ('put_aside', 'waiting') and settled_at is null;

-- What was published of statements, by the id of the transaction.
create table statement_movements (
  provider text not null,
  id text not null,
  account text not null,
  currency text not null,
  -- the statement that tells of it, and its place among the movements there
  seq bigint not null,
  place integer not null,
  state text not null constraint statement_movements_state_known check (state in ('booked', 'pending', 'cancelled')),
  -- whether a final statement has it, or only one of what is expected
  is_final boolean not null,
  -- signed, in minor units
  amount numeric not null,
  -- as first published: they never change
  created_at timestamptz not null,
  type text not null,
  related_transaction_id text,
  order_reference text,
  constraint statement_movements_pkey primary key (provider, id),
  constraint statement_movements_statement_fkey foreign key (provider, seq) references statements (provider, seq)
);
create index statement_movements_statement_idx on statement_movements (provider, seq);

-- Files as they were seen where they come from. One is read once it has been the same for as long as its provider's
-- file says; and then not again, as long as it is.
create table statement_sightings (
  provider text not null,
  path text not null,
  -- size and time of its last change, or what the store calls its state
  version text not null,
  first_seen timestamptz not null default clock_timestamp(),
  last_seen timestamptz not null default clock_timestamp(),
  -- of the bytes, once they were taken
  sha256 bytea,
  constraint statement_sightings_pkey primary key (provider, path)
);
