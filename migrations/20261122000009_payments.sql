-- Payouts and transfers that Formance orders: each key moves money once. `payment_orders` is the
-- state machine; the row of `transactions` that shows an order follows from it, by trigger and so
-- in the same transaction, whoever changes the order.

create table payment_orders (
  -- what is served as id, in the answer and in /transactions
  id uuid constraint payment_orders_pkey primary key,
  provider text not null constraint payment_orders_provider_named check (provider <> ''),
  kind text not null constraint payment_orders_kind_known check (kind in ('PAYOUT', 'TRANSFER')),
  idempotency_key text not null constraint payment_orders_key_valid check (is_record_id(idempotency_key)),
  -- of what was ordered: the same key with another one is another order, and refused
  fingerprint bytea not null constraint payment_orders_fingerprint_sha256 check (octet_length(fingerprint) = 32),
  asset text not null constraint payment_orders_asset_umn check (is_umn_asset(asset)),
  amount numeric not null constraint payment_orders_amount_positive check (amount > 0 and is_minor_units(amount)),
  source_account_id text not null constraint payment_orders_source_valid check (is_record_id(source_account_id)),
  destination_account_id text not null
    constraint payment_orders_destination_valid check (is_record_id(destination_account_id)),
  description text,
  metadata jsonb not null default '{}' constraint payment_orders_metadata_flat check (is_flat_metadata(metadata)),
  created_at timestamptz not null default clock_timestamp(),

  state text not null constraint payment_orders_state_known check (state in
    ('recorded', 'held', 'sending', 'pending', 'succeeded', 'failed', 'unknown', 'parked')),
  -- as served to Formance, and the createdAt that goes with it for ever
  status text not null default 'PENDING' constraint payment_orders_status_known
    check (status in ('PENDING', 'SUCCEEDED', 'FAILED', 'CANCELLED', 'EXPIRED', 'REFUNDED',
      'REFUNDED_FAILURE', 'REFUND_REVERSED', 'DISPUTE', 'DISPUTE_WON', 'DISPUTE_LOST',
      'AUTHORISATION', 'CAPTURE', 'CAPTURE_FAILED', 'OTHER')),
  status_at timestamptz not null default clock_timestamp()
    constraint payment_orders_status_at_valid check (is_served_time(status_at)),
  reason text,
  -- the last time that a request was answered with this order
  replied_at timestamptz,
  -- while the request that began the attempt may still be waiting for its outcome
  answer_by timestamptz,

  -- a new attempt begins only after a definite refusal, with a key of its own
  attempt integer not null default 1 constraint payment_orders_attempt_counted check (attempt > 0),
  -- how often the request of this attempt was, perhaps, sent
  tries integer not null default 0,
  first_sent_at timestamptz,
  last_sent_at timestamptz,
  -- what a repeated request was refused with: proves nothing of the one before it
  refusal text,
  provider_key text not null constraint payment_orders_provider_key_given check (provider_key <> ''),
  -- what is sent, with the order it was made of: all of it but what proves who sends it
  request jsonb not null constraint payment_orders_request_object check (jsonb_typeof(request) = 'object'),
  -- what the provider calls the payment: the id that an answer or a lookup named (else the record's),
  -- whatever else they called it, and the id of the record that was recognised as the movement
  provider_payment_id text,
  provider_reference text,
  record_id text,
  provider_metadata jsonb not null default '{}'
    constraint payment_orders_provider_metadata_flat check (is_flat_metadata(provider_metadata)),
  provider_updated_at timestamptz,

  -- who works on it, until when nobody else may
  claim_owner text,
  claim_token uuid,
  claimed_until timestamptz,
  -- when there is something to do next without being asked
  next_at timestamptz,
  lookups integer not null default 0,
  -- since when it waits to be sent, or for persons to approve it
  waits_since timestamptz not null default clock_timestamp(),
  -- which API key placed it (`key:…` of the table, `file:provider/scope` of a provider's file) or,
  -- where it was written with SQL, which login; and the one that last had it tried anew
  placed_by text not null default 'login:' || session_user
    constraint payment_orders_placed_by_given check (placed_by <> ''),
  retried_by text,
  -- how many persons have to approve each attempt; 0 where it goes out by itself
  approvals_needed integer not null default 0
    constraint payment_orders_approvals_needed_bounded check (approvals_needed between 0 and 10),
  -- how often it came to wait for a person: what was agreed to in an earlier round counts no more
  round integer not null default 0,
  updated_at timestamptz not null default clock_timestamp(),
  -- the span of the request that began the attempt, as a traceparent: work on any instance goes on with it
  trace text constraint payment_orders_trace_context check (trace ~ '^00-[0-9a-f]{32}-[0-9a-f]{16}-01$'),
  -- since when description, metadata and reasons are empty for good: erase_record
  erased_at timestamptz,

  constraint payment_orders_idempotency_key unique (provider, kind, idempotency_key),
  constraint payment_orders_provider_key unique (provider, provider_key),
  constraint payment_orders_claimed_until check ((claim_token is null) = (claimed_until is null)),
  constraint payment_orders_state_tells check (case state
    when 'succeeded' then status in ('SUCCEEDED', 'CAPTURE', 'REFUNDED', 'REFUNDED_FAILURE',
      'REFUND_REVERSED', 'DISPUTE', 'DISPUTE_WON', 'DISPUTE_LOST')
    when 'failed' then status in ('FAILED', 'CANCELLED', 'EXPIRED', 'CAPTURE_FAILED')
    else status = 'PENDING' end)
);
create index payment_orders_due_idx on payment_orders (next_at) where next_at is not null;
create index payment_orders_sending_idx on payment_orders (claimed_until) where state = 'sending';
create unique index payment_orders_payment_idx on payment_orders (provider, provider_payment_id)
  where provider_payment_id is not null;
create unique index payment_orders_record_idx on payment_orders (provider, record_id) where record_id is not null;
create index payment_orders_reference_idx on payment_orders (provider, provider_reference)
  where provider_reference is not null;
-- those whose movement the provider may report under an id that we do not know yet
create index payment_orders_open_idx on payment_orders (provider, asset, amount)
  where provider_payment_id is null and state in ('sending', 'pending', 'unknown', 'parked', 'succeeded');
-- what waits for a person is looked for again and again
create index payment_orders_parked_idx on payment_orders (provider) where state = 'parked';
create index payment_orders_listed_idx on payment_orders (created_at);
-- how much was ordered in a day, and how much was sent
create index payment_orders_day_idx on payment_orders (provider, asset, coalesce(first_sent_at, created_at));
create index payment_orders_sent_idx on payment_orders (provider, asset, last_sent_at)
  where last_sent_at is not null;
create index payment_orders_waiting_idx on payment_orders (provider, waits_since)
  where state in ('recorded', 'held');

-- Attempts that were refused, and followed by another.
create table payment_attempts (
  order_id uuid not null,
  attempt integer not null,
  provider text not null,
  provider_key text not null,
  provider_payment_id text,
  provider_reference text,
  record_id text,
  status text not null,
  reason text,
  first_sent_at timestamptz,
  ended_at timestamptz not null default clock_timestamp(),
  constraint payment_attempts_pkey primary key (order_id, attempt)
);
create index payment_attempts_key_idx on payment_attempts (provider, provider_key);
create index payment_attempts_payment_idx on payment_attempts (provider, provider_payment_id)
  where provider_payment_id is not null;
create index payment_attempts_reference_idx on payment_attempts (provider, provider_reference)
  where provider_reference is not null;
create index payment_attempts_record_idx on payment_attempts (provider, record_id) where record_id is not null;

-- The steps that go before the request that moves the money (a quote, a draft), of each attempt. That one is asked
-- for is durable before its first byte; what it gave never changes, and later requests take it from here.
create table payment_steps (
  order_id uuid not null,
  attempt integer not null,
  name text not null constraint payment_steps_named check (name <> ''),
  provider text not null,
  -- how often it was, perhaps, asked for
  tries integer not null default 1 constraint payment_steps_tries_counted check (tries > 0),
  asked_at timestamptz not null default clock_timestamp(),
  -- a text or a number
  gave jsonb constraint payment_steps_gave_scalar check (jsonb_typeof(gave) in ('string', 'number')),
  gave_at timestamptz,
  constraint payment_steps_pkey primary key (order_id, attempt, name),
  constraint payment_steps_gave_at check ((gave is null) = (gave_at is null))
);

-- Which secret the provider keys are made with, the latest last: its fingerprint, never the secret.
create table payment_secrets (
  number integer constraint payment_secrets_pkey primary key
    constraint payment_secrets_counted check (number > 0),
  fingerprint text not null constraint payment_secrets_fingerprint check (fingerprint ~ '^[0-9a-f]{16}$'),
  accepted_by text not null default session_user,
  accepted_at timestamptz not null default clock_timestamp()
);

-- Requests that were refused: Formance's user sees no more than "unexpected status code".
create table payment_refusals (
  id bigint generated always as identity constraint payment_refusals_pkey primary key,
  provider text not null,
  kind text not null,
  idempotency_key text,
  status integer not null,
  title text not null,
  detail text not null,
  body text not null,
  -- the same refusal again is counted, not listed
  times integer not null default 1,
  digest bytea not null constraint payment_refusals_digest_key unique,
  first_at timestamptz not null default clock_timestamp(),
  last_at timestamptz not null default clock_timestamp()
);
create index payment_refusals_last_idx on payment_refusals (last_at);

-- Records of the provider that may be the movement of an order of which the provider's id is not
-- known yet. In the order in which they came; served once that is decided.
create table unmatched_records (
  seq bigint generated always as identity constraint unmatched_records_pkey primary key,
  provider text not null,
  id text not null,
  record jsonb not null,
  backfill boolean not null,
  -- whether it may decide about the order: not what was pushed of a provider that is pulled
  decides boolean not null,
  received_at timestamptz not null default clock_timestamp()
);
create index unmatched_records_id_idx on unmatched_records (provider, id);
create index unmatched_records_seq_idx on unmatched_records (provider, seq);

create trigger payment_attempts_append_only before update or delete on payment_attempts
  for each row execute function refuse_change();
create trigger payment_attempts_no_truncate before truncate on payment_attempts
  for each statement execute function refuse_change();
create function freeze_payment_step() returns trigger
language plpgsql as $$
begin
  if old.gave is not null then
    raise exception 'what a step gave never changes'
      using errcode = 'integrity_constraint_violation', constraint = 'payment_steps_frozen';
  end if;
  return new;
end $$;
create trigger payment_steps_freeze before update on payment_steps
  for each row execute function freeze_payment_step();
create trigger payment_steps_kept before delete on payment_steps
  for each row execute function refuse_change();
create trigger payment_steps_no_truncate before truncate on payment_steps
  for each statement execute function refuse_change();
create trigger payment_orders_kept before delete on payment_orders
  for each row execute function refuse_change();
create trigger payment_orders_no_truncate before truncate on payment_orders
  for each statement execute function refuse_change();

-- What was ordered never changes. A status gets its createdAt when it is reported first: the time of
-- the change (the provider's, else ours), but at least 5 s after the status before and after the
-- last answer, as Formance puts an order's statuses in the order of those times.
create function date_and_freeze_payment_order() returns trigger
language plpgsql as $$
declare
  now_at timestamptz := clock_timestamp();
begin
  if is_erasure(tg_table_name, to_jsonb(old), to_jsonb(new)) then
    return new;
  end if;
  if old.erased_at is not null then
    new.erased_at := old.erased_at;
    new.provider_metadata := '{}';
    new.reason := null;
    new.refusal := null;
  end if;
  if (new.id, new.provider, new.kind, new.idempotency_key, new.fingerprint, new.asset, new.amount,
      new.source_account_id, new.destination_account_id, new.description, new.metadata, new.created_at,
      new.placed_by)
     is distinct from
     (old.id, old.provider, old.kind, old.idempotency_key, old.fingerprint, old.asset, old.amount,
      old.source_account_id, old.destination_account_id, old.description, old.metadata, old.created_at,
      old.placed_by) then
    raise exception 'what was ordered never changes'
      using errcode = 'integrity_constraint_violation', constraint = 'payment_orders_order_frozen';
  end if;
  if new.attempt < old.attempt
     or (new.attempt = old.attempt and (new.provider_key, new.request) is distinct from
         (old.provider_key, old.request))
     or (new.attempt > old.attempt and old.state <> 'failed') then
    raise exception 'an attempt follows a refused one, with a key and a request of its own'
      using errcode = 'integrity_constraint_violation', constraint = 'payment_orders_attempt_frozen';
  end if;
  new.updated_at := now_at;
  if new.status <> old.status then
    new.status_at := greatest(
      least(case when new.status_at <> old.status_at then new.status_at else now_at end, now_at),
      old.status_at + interval '5 seconds', old.replied_at + interval '5 seconds');
  else
    new.status_at := old.status_at;
  end if;
  return new;
end $$;
create trigger payment_orders_date_and_freeze before update on payment_orders
  for each row execute function date_and_freeze_payment_order();

-- The order as it is shown in /transactions.
create function show_payment_order() returns trigger
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  shown jsonb;
  writer text := coalesce(current_setting('tributary.trace', true), '');
begin
  if tg_op = 'UPDATE' and (new.status, new.attempt, new.reason, new.provider_payment_id, new.provider_metadata,
      new.provider_updated_at) is not distinct from (old.status, old.attempt, old.reason,
      old.provider_payment_id, old.provider_metadata, old.provider_updated_at) then
    return null;
  end if;
  shown := payment_metadata(new);
  -- whoever changed it, its row is of its own trace
  if substr(writer, 4, 32) <> substr(new.trace, 4, 32) then
    perform set_config('tributary.trace', new.trace, true);
  end if;
  insert into transactions as t (provider, id, related_transaction_id, type, status, asset, amount,
    source_account_id, destination_account_id, created_at, metadata, provider_updated_at)
  values (new.provider, new.id::text, new.idempotency_key, new.kind, new.status, new.asset, new.amount,
    new.source_account_id, new.destination_account_id, new.created_at, shown, new.provider_updated_at)
  on conflict on constraint transactions_pkey do update
  set status = excluded.status, metadata = excluded.metadata, provider_updated_at = excluded.provider_updated_at
  where (t.status, t.metadata, t.provider_updated_at)
        is distinct from (excluded.status, excluded.metadata, excluded.provider_updated_at);
  perform set_config('tributary.trace', writer, true);
  return null;
end $$;

-- What the person wrote goes before what the provider says.
create function payment_metadata(o payment_orders) returns jsonb
language sql immutable
return case when octet_length(o.provider_metadata::text) <= 16384 then o.provider_metadata else '{}' end
  || o.metadata
  || jsonb_strip_nulls(jsonb_build_object(
       'tributary.description', nullif(o.description, ''),
       'tributary.reason', case when o.status <> 'PENDING' then left(o.reason, 2000) end,
       'tributary.attempt', case when o.attempt > 1 then o.attempt::text end,
       'tributary.providerID', left(o.provider_payment_id, 1000)));

create trigger payment_orders_show after insert or update on payment_orders
  for each row execute function show_payment_order();
