-- One movement of money, one payment: what the provider reports of an order becomes news of the
-- order, and what may be one waits until that is known.

-- How far a status is from the beginning; an order goes no way back.
create function payment_rank(status text) returns integer
language sql immutable
return case
  when status in ('PENDING', 'AUTHORISATION', 'OTHER') then 0
  when status in ('FAILED', 'CANCELLED', 'EXPIRED', 'CAPTURE_FAILED') then 1
  when status in ('SUCCEEDED', 'CAPTURE') then 2
  else 3 end;

-- Notes what the provider says of the movement of an order, by an answer, a lookup or a record.
-- Never leads back from what was told; gives 'changed', 'unchanged', or 'contradiction' where the
-- provider now says the opposite of what it said before, which a person has to look at.
create function payment_seen(
  p_order uuid, p_attempt integer, p_status text, p_at timestamptz, p_payment_id text, p_reference text,
  p_reason text, p_updated_at timestamptz, p_metadata jsonb)
returns text
language plpgsql as $$
declare
  o payment_orders;
  said integer := payment_rank(p_status);
  told integer;
  moves boolean;
  result text := 'changed';
begin
  select * into o from payment_orders where id = p_order for update;
  if not found or o.attempt <> p_attempt or o.provider_updated_at > p_updated_at then
    return 'unchanged';
  end if;
  if o.provider_payment_id <> p_payment_id or exists (
    select from payment_orders q
    where q.provider = o.provider and q.provider_payment_id = p_payment_id and q.id <> o.id)
  then
    return 'contradiction';
  end if;
  told := payment_rank(o.status);
  moves := p_status <> o.status and (said > told or (said = 3 and told = 3));
  if told > 0 and said > 0 and p_status <> o.status and (not moves or (told = 1 and said > 1)) then
    -- FAILED of what went well before is not told; that what failed went well after all is
    result := case when said < told and told = 3 then 'unchanged' else 'contradiction' end;
    if not moves and result = 'unchanged' then
      return result;
    end if;
  end if;
  update payment_orders set
    status = case when moves then p_status else o.status end,
    status_at = case when moves then coalesce(p_at, o.status_at) else o.status_at end,
    reason = case when moves then p_reason else o.reason end,
    state = case
      when not moves and told > 0 then o.state
      when not moves then 'pending'
      when said = 1 then 'failed'
      else 'succeeded' end,
    provider_payment_id = coalesce(o.provider_payment_id, p_payment_id),
    provider_reference = coalesce(p_reference, o.provider_reference),
    provider_updated_at = coalesce(p_updated_at, o.provider_updated_at),
    provider_metadata = coalesce(p_metadata, o.provider_metadata),
    refusal = null,
    claim_owner = null, claim_token = null, claimed_until = null,
    -- of one that is under way, whoever looked last says when to look again
    next_at = case when moves or told > 0 then null else coalesce(o.next_at, clock_timestamp()) end,
    looks = case when o.state = 'pending' and not moves then o.looks else 0 end
  where id = o.id and (
    moves or o.state in ('recorded', 'sending', 'unknown', 'parked')
    or (o.provider_payment_id is null and p_payment_id is not null)
    or p_reference is distinct from coalesce(o.provider_reference, p_reference)
    or p_updated_at > coalesce(o.provider_updated_at, '-infinity')
    or p_metadata is distinct from coalesce(o.provider_metadata, p_metadata));
  if not found and result = 'changed' then
    result := 'unchanged';
  end if;
  return result;
end $$;

create type payment_fold as (
  -- of the record in the arrays that were given, from 1 on
  place integer,
  -- folded: news of an order, not to be written; held; dropped: of an attempt that failed, as told;
  -- child: of an order's payment; alarm: money moved that was told not to have moved
  action text,
  -- of a child: the payment that it belongs to
  related text,
  kind text
);

-- Decides about each record of a batch that concerns an order; says nothing of the others, which
-- are written as they are. p_held: the records were held before, and come in their old order.
create function fold_payments(
  p_provider text, p_ids text[], p_related text[], p_references text[], p_types text[], p_statuses text[],
  p_assets text[], p_amounts numeric[], p_sources text[], p_created timestamptz[], p_updated timestamptz[],
  p_metadata jsonb[], p_records jsonb[], p_backfill boolean, p_held boolean)
returns setof payment_fold
language plpgsql as $$
declare
  r record;
  o payment_orders;
  a payment_attempts;
  out_row payment_fold;
  still_held text[] := '{}';
  seen text;
  some_open boolean;
begin
  if not exists (select from payment_orders where provider = p_provider) then
    return;
  end if;
  some_open := exists (select from payment_orders where provider = p_provider and provider_payment_id is null
    and state in ('sending', 'pending', 'unknown', 'parked', 'succeeded'));
  -- in one order for all, so that two batches cannot deadlock
  perform 1 from payment_orders
  where id in (
    select q.id from payment_orders q
    where q.provider = p_provider and (q.provider_payment_id = any (p_ids)
      or (q.provider_key = any (p_references) and q.provider_key is not null)))
  order by id for update;
  for r in
    select i.place::integer, i.id, i.related, i.reference, i.type, i.status, i.asset, i.amount, i.source,
           i.created_at, i.updated_at, i.metadata, i.record
    from unnest(p_ids, p_related, p_references, p_types, p_statuses, p_assets, p_amounts, p_sources, p_created,
                p_updated, p_metadata, p_records) with ordinality
      as i (id, related, reference, type, status, asset, amount, source, created_at, updated_at, metadata,
            record, place)
    where p_held
      or exists (select from payment_orders q where q.provider = p_provider
                 and q.provider_payment_id in (i.id, i.related))
      or exists (select from payment_orders q where q.provider = p_provider and q.provider_key = i.reference)
      or exists (select from payment_attempts q where q.provider = p_provider and q.provider_key = i.reference)
      or exists (select from payment_attempts q where q.provider = p_provider
                 and q.provider_payment_id in (i.id, i.related))
      or exists (select from held_records q where q.provider = p_provider and q.id in (i.id, i.related))
      or (some_open and i.related is not null)
      or (some_open and may_be_open_payment(
            p_provider, i.id, i.reference, i.type, i.asset, i.amount, i.source, i.created_at))
    order by i.place
  loop
    out_row := (r.place, null, null, null);
    -- the order that this is the movement of
    select * into o from payment_orders q
    where q.provider = p_provider and (q.provider_payment_id = r.id
      or (q.provider_key = r.reference and q.provider_payment_id is null and r.type <> 'PAYIN'
          and q.state not in ('recorded', 'held')))
    limit 1;
    if found then
      perform set_config('tributary.actor', 'the provider''s records', true);
      perform set_config('tributary.what', 'seen', true);
      seen := payment_seen(o.id, o.attempt, r.status, coalesce(r.updated_at, r.created_at), r.id, null,
        case when payment_rank(r.status) = 1 then 'the provider''s records say ' || r.status end,
        r.updated_at, r.metadata);
      perform set_config('tributary.actor', '', true);
      perform set_config('tributary.what', '', true);
      out_row.action := case seen when 'contradiction' then 'contradiction' else 'folded' end;
      return next out_row;
      continue;
    end if;
    -- an attempt that was refused; its order may have moved on
    select * into a from payment_attempts q
    where q.provider = p_provider and (q.provider_payment_id = r.id
      or (q.provider_key = r.reference and r.type <> 'PAYIN'))
    limit 1;
    if found then
      out_row.action := case when payment_rank(r.status) <= 1 then 'dropped' else 'alarm' end;
      return next out_row;
      continue;
    end if;
    -- what came of a movement
    if r.related is not null then
      select q.* into o from payment_orders q
      where q.provider = p_provider and (q.provider_payment_id = r.related or q.id in (
        select x.order_id from payment_attempts x
        where x.provider = p_provider and x.provider_payment_id = r.related))
      limit 1;
      if found then
        out_row.action := 'child';
        out_row.related := o.idempotency_key;
        out_row.kind := o.kind;
        return next out_row;
        continue;
      end if;
    end if;
    if (p_held and (r.id = any (still_held) or r.related = any (still_held)))
      or (not p_held and exists (
        select from held_records h where h.provider = p_provider and h.id in (r.id, r.related)))
      or may_be_open_payment(p_provider, r.id, r.reference, r.type, r.asset, r.amount, r.source, r.created_at)
      or (some_open and r.related is not null and not exists (
        select from transactions t where t.provider = p_provider and t.id in (r.id, r.related)))
    then
      still_held := still_held || r.id;
      if not p_held then
        insert into held_records (provider, id, record, backfill) values (p_provider, r.id, r.record, p_backfill);
      end if;
      out_row.action := 'held';
      return next out_row;
    end if;
  end loop;
end $$;

-- Whether a record of the provider may be the movement of an order whose record is not known yet.
-- One that names another reference, or that is known already, is not.
create function may_be_open_payment(
  p_provider text, p_id text, p_reference text, p_type text, p_asset text, p_amount numeric, p_source text,
  p_created timestamptz)
returns boolean
language sql stable
return p_type <> 'PAYIN' and p_reference is null
  and exists (
    select from payment_orders q
    where q.provider = p_provider and q.provider_payment_id is null
      and q.state in ('sending', 'pending', 'unknown', 'parked', 'succeeded')
      and q.asset = p_asset and q.amount = p_amount
      and (p_source is null or p_source = q.source_account_id)
      and p_created >= q.created_at - interval '1 day')
  and not exists (select from transactions t where t.provider = p_provider and t.id = p_id);

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
