-- Change tracking: each new or really changed row, as it then is, goes into `changes` in the
-- writer's own transaction, whoever the writer is. Statement-level, with transition tables: a
-- set of any size costs one insert. Row locks put two changes of one row in the right order.

-- The members of a record as served, without the times, which the publisher adds.
create function account_body(id text, name_key text, name text, metadata jsonb) returns jsonb
language sql immutable parallel safe
return jsonb_build_object('id', url_safe_id(id), name_key, name, 'metadata',
  case when url_safe_id(id) = id then metadata
       else metadata || jsonb_build_object('tributary.id', id) end);

-- To concatenate nothing costs nothing, so that a transaction without a parent has no null to leave out.
create function transaction_members(t transactions, source text, destination text, metadata jsonb) returns jsonb
language sql stable parallel safe
return jsonb_build_object('id', t.id, 'type', t.type, 'status', t.status, 'currency', t.asset,
    'amount', t.amount::text, 'sourceAccountID', source, 'destinationAccountID', destination, 'metadata', metadata)
  || case when t.related_transaction_id is null then '{}'
          else jsonb_build_object('relatedTransactionID', t.related_transaction_id) end;

-- Most have two accounts of harmless ids, and are built in one go.
create function transaction_body(t transactions) returns jsonb
language sql stable parallel safe
return case when is_url_safe(t.source_account_id) and is_url_safe(t.destination_account_id)
  then transaction_members(t, t.source_account_id, t.destination_account_id, t.metadata)
  else jsonb_strip_nulls(transaction_members(t,
    url_safe_id(t.source_account_id), url_safe_id(t.destination_account_id), t.metadata
      || case when is_url_safe(t.source_account_id) is false
              then jsonb_build_object('tributary.sourceAccountID', t.source_account_id) else '{}' end
      || case when is_url_safe(t.destination_account_id) is false
              then jsonb_build_object('tributary.destinationAccountID', t.destination_account_id) else '{}' end))
end;

-- `set local tributary.backfill = on` marks what a transaction writes as history.
create function writes_backfill() returns boolean
language sql stable parallel safe
return coalesce(nullif(current_setting('tributary.backfill', true), '')::boolean, false);

-- This status, behind those that a transaction must have passed through since `previous`, though
-- none of them was reported: a provider that is asked now and then hides some. Formance takes the first row of
-- a payment for its amount, and only later ones move it: a refund that is the first row would take
-- nothing off.
create function statuses_since(is_child boolean, previous text, status text) returns text[]
language sql immutable parallel safe
return case
  when status not in ('REFUNDED', 'CAPTURE', 'REFUND_REVERSED') or previous = status then array[status]
  when previous is null and not is_child then case status
    when 'REFUNDED' then array['SUCCEEDED', status] when 'CAPTURE' then array['AUTHORISATION', status]
    else array['SUCCEEDED', 'REFUNDED', status] end
  when status = 'REFUND_REVERSED' and previous is distinct from 'REFUNDED' then array['REFUNDED', status]
  else array[status]
end;

-- One wake-up per statement and provider; PostgreSQL folds equal ones of a transaction.
create function track_new_accounts() returns trigger
language plpgsql security definer set search_path = public, pg_temp set jit = off as $$
begin
  insert into changes (provider, resource, id, created_at, backfill, body)
  select n.provider, tg_table_name, n.id, n.created_at, writes_backfill(),
         account_body(n.id, case tg_table_name when 'accounts' then 'accountName' else 'ownerName' end,
                      n.name, n.metadata)
  from new_rows n;
  perform pg_notify('tributary_changes', p.provider || '/' || tg_table_name)
  from (select distinct provider from new_rows) p;
  return null;
end $$;

-- The rows of orders, and of what came of their movements, among the transactions. An order's row
-- has no parent to wait for, and each status its own createdAt; a refund that names the provider's
-- id of the movement belongs to the order's payment. Rows become changes in the order in which they were
-- written, and each row's statuses follow each other: nothing is sorted, which for many rows would be
-- most of the work.
create function track_new_transactions() returns trigger
language plpgsql security definer set search_path = public, pg_temp set jit = off as $$
declare
  history boolean := writes_backfill();
begin
  insert into changes (provider, resource, id, parent_id, created_at, backfill, body)
  select n.provider, 'transactions', n.id,
         case when o.id is null then n.related_transaction_id when o.id <> n.id then o.id end,
         case when o.id is null then n.created_at
              when o.id <> n.id then greatest(n.created_at, o.status_at)
              when o.status = n.status then o.status_at else n.created_at end,
         history,
         case when s.status = n.status then transaction_body(n)
              else jsonb_set(transaction_body(n), '{status}', to_jsonb(s.status)) end
  from new_rows n
  left join lateral (
    select q.id::text as id, q.status, q.status_at from payment_orders q
    where n.related_transaction_id is not null
      and q.provider = n.provider and q.kind = n.type and q.idempotency_key = n.related_transaction_id
    limit 1) o on true
  cross join lateral unnest(statuses_since(n.related_transaction_id is not null, null, n.status)) s (status);
  perform pg_notify('tributary_changes', p.provider || '/transactions')
  from (select distinct provider from new_rows) p;
  return null;
end $$;

-- The plan is kept from the first statement, perhaps of one row; nested loops would be
-- quadratic for a later one of many.
create function track_changed_transactions() returns trigger
language plpgsql security definer set search_path = public, pg_temp set enable_nestloop = off
set jit = off as $$
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
  cross join lateral unnest(statuses_since(n.related_transaction_id is not null, o.status, n.status))
    with ordinality s (status, step)
  where (n.status, n.asset, n.amount, n.source_account_id, n.destination_account_id, n.metadata)
        is distinct from
        (o.status, o.asset, o.amount, o.source_account_id, o.destination_account_id, o.metadata)
    -- to erase is no news
    and n.erased_at is not distinct from o.erased_at
  order by n.id, s.step;
  if found then
    perform pg_notify('tributary_changes', p.provider || '/transactions')
    from (select distinct provider from new_rows) p;
  end if;
  return null;
end $$;

create trigger accounts_track_new after insert on accounts
  referencing new table as new_rows for each statement execute function track_new_accounts();
create trigger beneficiaries_track_new after insert on beneficiaries
  referencing new table as new_rows for each statement execute function track_new_accounts();
create trigger transactions_track_new after insert on transactions
  referencing new table as new_rows for each statement execute function track_new_transactions();
create trigger transactions_track_changed after update on transactions
  referencing old table as old_rows new table as new_rows
  for each statement execute function track_changed_transactions();

-- Identity and birth never change: Formance keys what it stores on them, and a drift counts
-- money twice. `updated_at` moves with the content and only with it.
create function keep_account_identity() returns trigger
language plpgsql as $$
begin
  if (new.provider, new.id, new.created_at) is distinct from (old.provider, old.id, old.created_at) then
    raise exception 'provider, id and created_at of a row in % never change', tg_table_name
      using errcode = 'integrity_constraint_violation', constraint = tg_table_name || '_identity_frozen',
            hint = 'delete the row and insert another, if it really is another one';
  end if;
  new.erased_at := coalesce(old.erased_at, new.erased_at);
  if new.erased_at is not null then
    new.name := '';
    new.metadata := '{}';
  end if;
  new.updated_at := case when (new.name, new.metadata) is distinct from (old.name, old.metadata)
                         then clock_timestamp() else old.updated_at end;
  return new;
end $$;

create function keep_transaction_identity() returns trigger
language plpgsql as $$
begin
  if (new.provider, new.id, new.related_transaction_id, new.type, new.created_at) is distinct from
     (old.provider, old.id, old.related_transaction_id, old.type, old.created_at) then
    raise exception 'provider, id, related_transaction_id, type and created_at of a transaction never change'
      using errcode = 'integrity_constraint_violation', constraint = 'transactions_identity_frozen',
            hint = 'Formance keys payments and adjustments on them: leave them out of the update';
  end if;
  new.erased_at := coalesce(old.erased_at, new.erased_at);
  if new.erased_at is not null then
    new.metadata := '{}';
  end if;
  new.updated_at := case
    when (new.status, new.asset, new.amount, new.source_account_id, new.destination_account_id, new.metadata)
         is distinct from
         (old.status, old.asset, old.amount, old.source_account_id, old.destination_account_id, old.metadata)
    then clock_timestamp() else old.updated_at end;
  return new;
end $$;

create trigger accounts_keep_identity before update on accounts
  for each row execute function keep_account_identity();
create trigger beneficiaries_keep_identity before update on beneficiaries
  for each row execute function keep_account_identity();
create trigger transactions_keep_identity before update on transactions
  for each row execute function keep_transaction_identity();

-- Formance takes one `at` for all assets of an account, ignores an older one and lets an equal
-- one with another amount collide. So a changed amount gets an `at` above every `at` of its
-- account; the lock keeps two writers of one account from choosing the same. An amount that is
-- confirmed later gets that time, too: to Formance it holds from the first reply that has it to the
-- last, and a pool that is asked for any time after that counts nothing.
create function advance_balance_at() returns trigger
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  served_at timestamptz;
begin
  if tg_op = 'UPDATE' then
    if (new.provider, new.account_id, new.asset) is distinct from (old.provider, old.account_id, old.asset) then
      raise exception 'provider, account_id and asset of a balance never change'
        using errcode = 'integrity_constraint_violation', constraint = 'balances_identity_frozen',
              hint = 'insert another row';
    end if;
    if new.amount = old.amount then
      new.updated_at := old.updated_at;
      new.at := greatest(new.at, old.at);
      if new.at = old.at then
        return new;
      end if;
    else
      new.updated_at := clock_timestamp();
      if new.at = old.at then
        new.at := clock_timestamp();
      end if;
    end if;
  end if;
  perform pg_advisory_xact_lock(hashtextextended(new.provider || e'\x1f' || new.account_id, 7401));
  if tg_op = 'UPDATE' and new.amount = old.amount then
    return new;
  end if;
  select max(b.at) into served_at from balances b
  where b.provider = new.provider and b.account_id = new.account_id;
  new.at := greatest(new.at, served_at + interval '1 microsecond');
  return new;
end $$;

create trigger balances_advance_at before insert or update on balances
  for each row execute function advance_balance_at();
