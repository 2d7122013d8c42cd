-- The records as they are now, one table per kind. They are ordinary tables: jobs upsert into
-- them in sets, and a SQL user may use INSERT ... ON CONFLICT, MERGE, COPY or an ORM. The
-- constraints keep out whatever would make Formance's connector refuse a page (and so stop).

-- Formance decodes metadata as map[string]string: a flat object of strings, nothing else.
-- 64 KiB a record keeps a page of 100 within what a client reads in its 10 s.
create function is_flat_metadata(metadata jsonb) returns boolean
language sql immutable parallel safe
return jsonb_typeof(metadata) = 'object'
   and not jsonb_path_exists(metadata, 'strict $.* ? (@.type() != "string")')
   and octet_length(metadata::text) <= 65536;

-- Go's zero time is refused by the connector, and its JSON knows the years 1 to 9999.
create function is_served_time(at timestamptz) returns boolean
language sql immutable parallel safe
return at > timestamptz '0001-01-01 00:00:00+00' and at < timestamptz '10000-01-01 00:00:00+00';

-- An id is text of 1 to 1,000 bytes: what fits an index entry with its provider.
create function is_record_id(id text) returns boolean
language sql immutable parallel safe
return octet_length(id) between 1 and 1000;

-- Formance's UMN pattern, for example USD/2, JPY, BTC/8.
create function is_umn_asset(asset text) returns boolean
language sql immutable parallel safe
return asset ~ '^[A-Z][A-Z0-9]{0,16}(_[A-Z]{1,16})?(/[0-9]{1,6})?$';

-- Integer minor units of at most 38 digits; NaN and Infinity fall out by the comparison.
create function is_minor_units(amount numeric) returns boolean
language sql immutable parallel safe
return amount > -1e38 and amount < 1e38 and scale(amount) = 0;

create table accounts (
  provider text not null constraint accounts_provider_named check (provider <> ''),
  id text not null constraint accounts_id_valid check (is_record_id(id)),
  name text not null constraint accounts_name_short check (octet_length(name) <= 4096),
  created_at timestamptz not null constraint accounts_created_at_valid check (is_served_time(created_at)),
  metadata jsonb not null default '{}' constraint accounts_metadata_flat check (is_flat_metadata(metadata)),
  -- the provider's own time of this state; an older state never replaces a newer one
  provider_updated_at timestamptz,
  updated_at timestamptz not null default clock_timestamp(),
  -- since when its name and metadata are empty for good: erase_record
  erased_at timestamptz,
  constraint accounts_pkey primary key (provider, id)
);
create index accounts_updated_at_idx on accounts (provider, updated_at);

create table beneficiaries (
  provider text not null constraint beneficiaries_provider_named check (provider <> ''),
  id text not null constraint beneficiaries_id_valid check (is_record_id(id)),
  name text not null constraint beneficiaries_name_short check (octet_length(name) <= 4096),
  created_at timestamptz not null constraint beneficiaries_created_at_valid check (is_served_time(created_at)),
  metadata jsonb not null default '{}' constraint beneficiaries_metadata_flat check (is_flat_metadata(metadata)),
  provider_updated_at timestamptz,
  updated_at timestamptz not null default clock_timestamp(),
  -- since when its name and metadata are empty for good: erase_record
  erased_at timestamptz,
  constraint beneficiaries_pkey primary key (provider, id)
);
create index beneficiaries_updated_at_idx on beneficiaries (provider, updated_at);

create table transactions (
  provider text not null constraint transactions_provider_named check (provider <> ''),
  id text not null constraint transactions_id_valid check (is_record_id(id)),
  -- a refund or capture served as a child names its parent here
  related_transaction_id text constraint transactions_related_valid
    check (is_record_id(related_transaction_id) and related_transaction_id <> id),
  type text not null constraint transactions_type_known
    check (type in ('PAYIN', 'PAYOUT', 'TRANSFER', 'OTHER')),
  status text not null constraint transactions_status_known
    check (status in ('PENDING', 'SUCCEEDED', 'FAILED', 'CANCELLED', 'EXPIRED', 'REFUNDED',
      'REFUNDED_FAILURE', 'REFUND_REVERSED', 'DISPUTE', 'DISPUTE_WON', 'DISPUTE_LOST',
      'AUTHORISATION', 'CAPTURE', 'CAPTURE_FAILED', 'OTHER')),
  asset text not null constraint transactions_asset_umn check (is_umn_asset(asset)),
  amount numeric not null constraint transactions_amount_minor_units
    check (amount >= 0 and is_minor_units(amount)),
  source_account_id text constraint transactions_source_valid check (is_record_id(source_account_id)),
  destination_account_id text constraint transactions_destination_valid check (is_record_id(destination_account_id)),
  created_at timestamptz not null constraint transactions_created_at_valid check (is_served_time(created_at)),
  metadata jsonb not null default '{}' constraint transactions_metadata_flat check (is_flat_metadata(metadata)),
  provider_updated_at timestamptz,
  updated_at timestamptz not null default clock_timestamp(),
  -- since when its name and metadata are empty for good: erase_record
  erased_at timestamptz,
  constraint transactions_pkey primary key (provider, id)
);
create index transactions_updated_at_idx on transactions (provider, updated_at);
-- people look for a payment by its day: a range of blocks has those of a few days, and costs a write next to nothing
create index transactions_created_at_idx on transactions using brin (created_at) with (pages_per_range = 32);
-- from a payment to its children, of which few have any
create index transactions_related_idx on transactions (provider, related_transaction_id)
  where related_transaction_id is not null;

create table balances (
  provider text not null constraint balances_provider_named check (provider <> ''),
  account_id text not null constraint balances_account_id_valid check (is_record_id(account_id)),
  asset text not null constraint balances_asset_umn check (is_umn_asset(asset)),
  amount numeric not null constraint balances_amount_minor_units check (is_minor_units(amount)),
  -- as served: grows whenever an amount of the account changes
  at timestamptz not null default clock_timestamp()
    constraint balances_at_valid check (is_served_time(at)),
  -- the provider's own time of this amount; an older amount never replaces a newer one
  provider_at timestamptz,
  updated_at timestamptz not null default clock_timestamp(),
  constraint balances_pkey primary key (provider, account_id, asset)
);
create index balances_updated_at_idx on balances (provider, updated_at);
