-- The rows of orders, and of what came of their movements, among the transactions. An order's row
-- has no parent to wait for, and each status its own createdAt; a refund that names the provider's
-- id of the movement belongs to the order's payment.
create or replace function track_new_transactions() returns trigger
language plpgsql security definer set search_path = public, pg_temp as $$
begin
  insert into changes (provider, resource, id, parent_id, created_at, backfill, body)
  select n.provider, 'transactions', n.id,
         case when o.id is null then n.related_transaction_id when o.id <> n.id then o.id end,
         case when o.id is null then n.created_at
              when o.id <> n.id then greatest(n.created_at, o.status_at)
              when o.status = n.status then o.status_at else n.created_at end,
         writes_backfill(),
         case when s.status = n.status then transaction_body(n)
              else jsonb_set(transaction_body(n), '{status}', to_jsonb(s.status)) end
  from new_rows n
  left join lateral (
    select q.id::text as id, q.status, q.status_at from payment_orders q
    where n.related_transaction_id is not null
      and q.provider = n.provider and q.kind = n.type and q.idempotency_key = n.related_transaction_id
    limit 1) o on true
  cross join lateral unnest(untold_statuses(n.related_transaction_id is not null, null, n.status) || n.status)
    with ordinality s (status, step)
  order by n.id, s.step;
  perform pg_notify('tributary_changes', p.provider || '/transactions')
  from (select distinct provider from new_rows) p;
  return null;
end $$;

create or replace function track_changed_transactions() returns trigger
language plpgsql security definer set search_path = public, pg_temp set enable_nestloop = off as $$
begin
  insert into changes (provider, resource, id, parent_id, created_at, backfill, body)
  select n.provider, 'transactions', n.id,
         case when p.id is null then n.related_transaction_id when p.id <> n.id then p.id end,
         case when p.id is null then n.created_at
              when p.id <> n.id then greatest(n.created_at, p.status_at)
              when p.status = n.status then p.status_at else n.created_at end,
         writes_backfill(),
         case when s.status = n.status then transaction_body(n)
              else jsonb_set(transaction_body(n), '{status}', to_jsonb(s.status)) end
  from new_rows n
  join old_rows o on o.provider = n.provider and o.id = n.id
  left join lateral (
    select q.id::text as id, q.status, q.status_at from payment_orders q
    where n.related_transaction_id is not null
      and q.provider = n.provider and q.kind = n.type and q.idempotency_key = n.related_transaction_id
    limit 1) p on true
  cross join lateral unnest(untold_statuses(n.related_transaction_id is not null, o.status, n.status) || n.status)
    with ordinality s (status, step)
  where (n.status, n.asset, n.amount, n.source_account_id, n.destination_account_id, n.metadata)
        is distinct from
        (o.status, o.asset, o.amount, o.source_account_id, o.destination_account_id, o.metadata)
  order by n.id, s.step;
  if found then
    perform pg_notify('tributary_changes', p.provider || '/transactions')
    from (select distinct provider from new_rows) p;
  end if;
  return null;
end $$;
