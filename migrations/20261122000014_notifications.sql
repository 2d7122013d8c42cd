-- What waits for a person, told to an address of the company's own: what was told, and whether it arrived.

-- One row for each time that something began to wait. It ends when it no longer waits, and may begin again.
create table notifications (
  id uuid constraint notifications_pkey primary key default gen_random_uuid(),
  kind text not null constraint notifications_kind_known
    check (kind in ('payment.parked', 'payment.approval_waiting', 'quarantine.grew', 'provider.failing', 'consumer.silent')),
  provider text not null,
  -- what of the provider waits: an order, a kind of records, a group of streams, a consumer
  subject text not null,
  -- as it is sent: ids and what to type, no amounts, nothing that a provider wrote
  body jsonb not null,
  begun_at timestamptz not null default clock_timestamp(),
  ended_at timestamptz,
  -- when it is sent next; null once it arrived, was given up, or ended before
  next_at timestamptz default clock_timestamp(),
  attempts integer not null default 0 constraint notifications_attempts_counted check (attempts >= 0),
  delivered_at timestamptz,
  last_error text
);
-- however many instances look, what waits is told once
create unique index notifications_waiting_idx on notifications (provider, kind, subject) where ended_at is null;
create index notifications_due_idx on notifications (next_at) where next_at is not null;
