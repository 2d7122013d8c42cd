-- What the law calls erasure: the data of a person goes, and what others count on stays. A row keeps
-- its place, its id, its type, its amounts, states and times; names and metadata become empty, in the
-- records, in what was published and in what is about to be. What is published has the same positions
-- and times as before, and erasing is no news: nothing is published for it.

-- Who had data erased, when, and how much of which kind: none of the data, nor whose. The rows that were
-- erased have the same time in `erased_at`.
create table erasures (
  id bigint generated always as identity constraint erasures_pkey primary key,
  provider text not null,
  at timestamptz not null,
  asked_by text not null,
  rows jsonb not null
);
create trigger erasures_append_only before update or delete on erasures
  for each row execute function refuse_change();
create trigger erasures_no_truncate before truncate on erasures
  for each statement execute function refuse_change();

-- A published body, or one about to be, without names and metadata. Times stay.
create function erased_body(body jsonb) returns jsonb
language sql immutable parallel safe
return body
  || jsonb_build_object('metadata', coalesce(
       (select jsonb_object_agg(m.key, m.value) from jsonb_each(body -> 'metadata') m
        where m.key = 'tributary.createdAt'), '{}'))
  || case when body ? 'accountName' then '{"accountName": ""}'::jsonb else '{}' end
  || case when body ? 'ownerName' then '{"ownerName": ""}'::jsonb else '{}' end;

-- Whether a change of a row that otherwise never changes only empties what may be erased, for good.
create function is_erasure(changed text, was jsonb, is_now jsonb) returns boolean
language sql immutable parallel safe
return coalesce(case
  when changed in ('payment_attempts', 'payment_approvals') then was ->> 'reason' is not null and is_now = was || '{"reason": null}'
  when was ->> 'erased_at' is not null or is_now ->> 'erased_at' is null then false
  when changed = 'feed' then
    is_now - 'erased_at' = was - 'erased_at' || jsonb_build_object('body', erased_body(was -> 'body'))
  when changed = 'payment_orders' then was ->> 'state' in ('succeeded', 'failed')
    and is_now - '{erased_at,updated_at}'::text[] = was - '{erased_at,updated_at}'::text[]
      || '{"description": null, "metadata": {}, "request": {}, "provider_metadata": {}, "reason": null, "refusal": null}'
  else false end, false);

-- Erases what there is under the id p_id of a provider: an account, a beneficiary, a transaction with
-- those that are related to it, an order (by its id or its idempotency key); with p_with_payments, also
-- the transactions and orders from or to it. Of raw records, of the quarantine and of refusals it deletes
-- what p_raw, p_quarantine and p_refusals name, by position or id, and it empties the statement files of p_files, by
-- digest, beside those that a transaction came from: what they hold may be encrypted, so the caller has to find them. Gives how many rows of which kind. Refuses, and erases nothing, while an
-- order is open: what it says has still to be sent.
create function erase_record(
  p_provider text, p_id text, p_with_payments boolean, p_raw bigint[], p_quarantine bigint[], p_refusals bigint[],
  p_files bytea[]
) returns table (what text, rows bigint)
language plpgsql security definer set search_path = public, pg_temp as $$
#variable_conflict use_column
declare
  now_at timestamptz := clock_timestamp();
  orders uuid[];
  moved text[];
  counts jsonb := '{}';
  n bigint;
begin
  perform set_config('tributary.actor', 'erased by ' || session_user, true),
          set_config('tributary.what', 'erased', true);
  delete from quarantine where provider = p_provider and id = any (p_quarantine);
  get diagnostics n = row_count;
  counts := counts || jsonb_build_object('quarantine', n);

  select array_agg(o.id) into orders from (
    select id from payment_orders
    where provider = p_provider and (id::text = p_id or idempotency_key = p_id or provider_payment_id = p_id
      or record_id = p_id or (p_with_payments and p_id in (source_account_id, destination_account_id)))
    order by id for update) o;
  if exists (select from payment_orders where id = any (orders) and state not in ('succeeded', 'failed')) then
    raise exception 'a payment order of it is open' using errcode = 'integrity_constraint_violation',
      constraint = 'erasures_order_ended', hint = 'erase it once the order has ended: tributary payouts list';
  end if;
  update payment_orders set description = null, metadata = '{}', request = '{}', provider_metadata = '{}',
    reason = null, refusal = null, erased_at = now_at
  where id = any (orders) and erased_at is null;
  get diagnostics n = row_count;
  counts := counts || jsonb_build_object('payment_orders', n);
  update payment_attempts set reason = null where order_id = any (orders) and reason is not null;
  update payment_approvals set reason = null where order_id = any (orders) and reason is not null;
  update payment_audit set before = null, after = null, erased_at = now_at
  where order_id = any (orders) and erased_at is null and (before is not null or after is not null);
  get diagnostics n = row_count;
  counts := counts || jsonb_build_object('payment_audit', n);

  with own as (
    select id from transactions
    where provider = p_provider and (id = p_id
      or (p_with_payments and p_id in (source_account_id, destination_account_id)))
    union
    select o.id::text from payment_orders o where o.id = any (orders)
  ), names as (
    select id from own
    union
    select k from payment_orders o, unnest(array[o.idempotency_key, o.provider_payment_id, o.record_id]) k
    where o.id = any (orders)
  )
  select array_agg(id) into moved from (
    select id from own
    union
    select t.id from transactions t join names n on t.related_transaction_id = n.id where t.provider = p_provider
  ) all_of_them;
  update transactions set metadata = '{}', erased_at = now_at
  where provider = p_provider and erased_at is null and id in (
    select id from transactions where provider = p_provider and id = any (moved) order by id for update);
  get diagnostics n = row_count;
  counts := counts || jsonb_build_object('transactions', n);
  update accounts set name = '', metadata = '{}', erased_at = now_at
  where provider = p_provider and id = p_id and erased_at is null;
  get diagnostics n = row_count;
  counts := counts || jsonb_build_object('accounts', n);
  update beneficiaries set name = '', metadata = '{}', erased_at = now_at
  where provider = p_provider and id = p_id and erased_at is null;
  get diagnostics n = row_count;
  counts := counts || jsonb_build_object('beneficiaries', n);
  update unmatched_records set record = record || '{"metadata": {}}'
  where provider = p_provider and id = any (moved || p_id) and record -> 'metadata' is distinct from '{}';
  get diagnostics n = row_count;
  counts := counts || jsonb_build_object('unmatched_records', n);

  -- nothing is published meanwhile: what waits is erased where it waits
  perform from feeds where provider = p_provider order by resource for update;
  update changes set body = erased_body(body)
  where provider = p_provider and id = any (case resource when 'transactions' then moved else array[p_id] end)
    and body <> erased_body(body);
  get diagnostics n = row_count;
  counts := counts || jsonb_build_object('changes', n);
  update feed set body = erased_body(body::jsonb)::text::json, erased_at = now_at
  where provider = p_provider and erased_at is null
    and ((resource = 'transactions' and id = any (moved)) or (resource in ('accounts', 'beneficiaries') and id = p_id));
  get diagnostics n = row_count;
  counts := counts || jsonb_build_object('feed', n);

  delete from raw_records where provider = p_provider and position = any (p_raw);
  get diagnostics n = row_count;
  counts := counts || jsonb_build_object('raw_records', n);
  delete from payment_refusals where provider = p_provider and id = any (p_refusals);
  get diagnostics n = row_count;
  counts := counts || jsonb_build_object('payment_refusals', n);
  -- their digests stay: the same bytes are not taken again
  update statement_files set bytes = null, key_id = null, name = ''
  where provider = p_provider and bytes is not null and (sha256 = any (p_files) or sha256 in (
    select s.sha256 from statements s
      join statement_movements m on m.provider = s.provider and m.seq = s.seq
    where s.provider = p_provider and m.id = any (moved)));
  get diagnostics n = row_count;
  counts := counts || jsonb_build_object('statement_files', n);
  n := erase_from_runs(p_provider, p_id);
  counts := counts || jsonb_build_object('sync_runs', n);

  insert into erasures (provider, at, asked_by, rows) values (p_provider, now_at, session_user, counts);
  return query select e.key, e.value::bigint from jsonb_each_text(counts) e order by e.key;
end $$;

-- Empties what runs of the provider say that quotes the id: errors, and the first of a kind of warning.
create function erase_from_runs(p_provider text, p_id text) returns bigint
language sql as $$
  with own as (
    select id from sync_runs where provider = p_provider
  ), warned as (
    update sync_run_warnings w set text = '' from own
    where w.run = own.id and position(p_id in w.text) > 0 returning 1
  ), failed as (
    update sync_run_streams s set error = '' from own
    where s.run = own.id and position(p_id in s.error) > 0 returning 1
  ), ran as (
    update sync_runs r set error = '' from own
    where r.id = own.id and position(p_id in r.error) > 0 returning 1
  )
  select (select count(*) from warned) + (select count(*) from failed) + (select count(*) from ran)
$$;

-- Whoever may ask for it is granted it by name.
revoke execute on function erase_record(text, text, boolean, bigint[], bigint[], bigint[], bytea[]) from public;
revoke execute on function erase_from_runs(text, text) from public;
