-- What persons decide about orders. A person is a login of the database that the server authenticated,
-- a member of tributary_operator, or an operator of the role approver whose key or session the service
-- shows; what they may decide, the database itself checks.

-- What persons agreed to, once each in a round: what was agreed to before an order came to wait again
-- counts no more.
create table payment_approvals (
  order_id uuid not null constraint payment_approvals_order_fkey references payment_orders (id),
  round integer not null,
  -- that a held order goes out, or that no money moved for a parked one
  decision text not null constraint payment_approvals_decision_known check (decision in ('release', 'fail')),
  person text not null,
  attempt integer not null,
  reason text,
  at timestamptz not null,
  constraint payment_approvals_pkey primary key (order_id, round, decision, person)
);
create trigger payment_approvals_append_only before update or delete on payment_approvals
  for each row execute function refuse_change();
create trigger payment_approvals_no_truncate before truncate on payment_approvals
  for each statement execute function refuse_change();

-- What a provider answered when it was asked for the payment of an order. Written by the service alone,
-- as evidence for persons: who decides must not have written it.
create table payment_lookups (
  id bigint generated always as identity constraint payment_lookups_pkey primary key,
  order_id uuid not null constraint payment_lookups_order_fkey references payment_orders (id),
  attempt integer not null,
  found boolean not null,
  at timestamptz not null default clock_timestamp()
    constraint payment_lookups_at_past check (at <= clock_timestamp())
);
create index payment_lookups_order_idx on payment_lookups (order_id, id);
create trigger payment_lookups_append_only before update or delete on payment_lookups
  for each row execute function refuse_change();
create trigger payment_lookups_no_truncate before truncate on payment_lookups
  for each statement execute function refuse_change();

-- Whether the last lookup of an attempt says that the provider has no such payment, and is fresh: of
-- the last hour, and from after the last request was sent.
create function is_missing_at_provider(o payment_orders) returns boolean
language sql volatile
return coalesce((
  select not l.found and l.at > clock_timestamp() - interval '1 hour' and (l.at > o.last_sent_at) is not false
  from payment_lookups l where l.order_id = o.id and l.attempt = o.attempt
  order by l.id desc limit 1), false);

-- The person whose session this is, or whom the service proves. Not whoever a superuser says to be by
-- `set session authorization`, and nobody who may do as the owner of the tables, or as the service
-- without a proof: one person would count for several then. A login and an operator of one name are
-- one person.
create function deciding_person() returns text
language plpgsql set search_path = public, pg_temp as $$
declare
  login oid := (select usesysid from pg_stat_get_activity(pg_backend_pid()));
  name text := (select rolname from pg_roles where oid = login);
  owner oid := (select relowner from pg_class where oid = 'public.payment_approvals'::regclass);
  why text;
begin
  if name is distinct from session_user then
    why := format('the session was opened by %s', coalesce(name, 'a login that is gone'));
  elsif (select rolsuper from pg_roles where oid = login) or pg_has_role(login, owner, 'member') then
    why := 'it may do whatever the owner of the tables may';
  elsif nullif(current_setting('tributary.proof', true), '') is not null then
    return proven_operator('{approver}');
  elsif to_regrole('tributary_operator') is null
     or not pg_has_role(login, to_regrole('tributary_operator'), 'member') then
    why := 'it is no member of tributary_operator';
  elsif to_regrole('tributary_app') is not null and pg_has_role(login, to_regrole('tributary_app'), 'member') then
    why := 'it is a member of tributary_app';
  else
    return name;
  end if;
  raise exception 'the login % cannot decide about payments: %', session_user, why
    using errcode = 'integrity_constraint_violation', constraint = 'payment_approvals_person',
          hint = 'use the login of a person: create role NAME login password ''…'' in role tributary_operator';
end $$;

-- Who may agree to what. As a trigger, so that it holds for whoever writes the table.
create function check_payment_approval() returns trigger
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  o payment_orders;
  waiting text := case new.decision when 'release' then 'held' else 'parked' end;
begin
  select * into strict o from payment_orders where id = new.order_id for update;
  new.round := o.round;
  new.attempt := o.attempt;
  new.person := deciding_person();
  new.at := clock_timestamp();
  if o.state <> waiting then
    raise exception '% is % and not %', o.id, o.state, waiting
      using errcode = 'integrity_constraint_violation', constraint = 'payment_approvals_order_waits';
  end if;
  -- with the kind of key before it, or without
  if lower(new.person) = any (array[lower(o.placed_by), lower(o.retried_by),
       lower(regexp_replace(o.placed_by, '^[a-z]+:', '')), lower(regexp_replace(o.retried_by, '^[a-z]+:', ''))]) then
    raise exception '% placed the order %: another person has to agree', new.person, o.id
      using errcode = 'integrity_constraint_violation', constraint = 'payment_approvals_not_own';
  end if;
  return new;
end $$;
create trigger payment_approvals_check before insert on payment_approvals
  for each row execute function check_payment_approval();

-- How many persons agreed in the present round.
create function persons_agreed(o payment_orders, p_decision text) returns integer
language sql volatile
return (select count(*)::integer from payment_approvals a
        where a.order_id = o.id and a.round = o.round and a.decision = p_decision);

-- A held order goes nowhere but out with its approvals, or to its end; an order that needed them once
-- needs them for each attempt. Whoever tries.
create function guard_payment_approvals() returns trigger
language plpgsql security definer set search_path = public, pg_temp as $$
begin
  if tg_op = 'INSERT' then
    if new.approvals_needed > 0 and new.state <> 'held' then
      raise exception 'an order that needs approvals begins as held'
        using errcode = 'integrity_constraint_violation', constraint = 'payment_orders_approved';
    end if;
    new.round := 0;
    return new;
  end if;
  if new.approvals_needed < old.approvals_needed then
    raise exception 'the number of persons who have to approve an order is never lowered'
      using errcode = 'integrity_constraint_violation', constraint = 'payment_orders_approvals_kept';
  end if;
  if (old.state = 'held' and new.state not in ('held', 'failed') and (new.state <> 'recorded'
        or persons_agreed(old, 'release') < greatest(new.approvals_needed, 1)))
     or (new.attempt > old.attempt and new.approvals_needed > 0 and new.state <> 'held') then
    raise exception 'the order % needs the approval of % first: `tributary payouts approve`', old.id,
      case when new.approvals_needed > 1 then new.approvals_needed || ' persons' else 'a person' end
      using errcode = 'integrity_constraint_violation', constraint = 'payment_orders_approved';
  end if;
  -- an order that waits anew was not sent in time, or not within its bounds
  new.round := old.round
    + (new.state in ('held', 'parked') and (new.state <> old.state or new.waits_since <> old.waits_since))::integer;
  return new;
end $$;
create trigger payment_orders_guard_approvals before insert or update on payment_orders
  for each row execute function guard_payment_approvals();

-- What came of a decision: the state of the order, and how many persons agreed of those that have to.
create type payment_decision as (state text, agreed integer, needed integer);

-- Says who changes orders until the transaction ends; what it commits is durable.
create function decides(p_what text) returns void
language plpgsql set search_path = public, pg_temp as $$
begin
  perform set_config('tributary.actor', deciding_person(), true);
  perform set_config('tributary.what', p_what, true);
  perform set_config('synchronous_commit', 'on', true);
end $$;

-- Agrees that a held order goes out. It does when enough persons have. Null where there is none.
create function approve_payment_order(p_order uuid) returns payment_decision
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  o payment_orders;
  result payment_decision;
begin
  perform decides('approved');
  insert into payment_approvals (order_id, round, decision, person, attempt, at)
  select id, round, 'release', deciding_person(), attempt, clock_timestamp() from payment_orders where id = p_order;
  if not found then
    return null;
  end if;
  select * into o from payment_orders where id = p_order;
  result := row(o.state, persons_agreed(o, 'release'), greatest(o.approvals_needed, 1));
  if result.agreed >= result.needed then
    update payment_orders set state = 'recorded', reason = null, waits_since = clock_timestamp(),
      next_at = clock_timestamp()
    where id = p_order returning state into result.state;
  end if;
  return result;
end $$;

-- Fails an order that is held, or that was certainly never sent and is nobody's to send just now.
-- False of any other.
create function reject_payment_order(p_order uuid, p_reason text) returns boolean
language plpgsql security definer set search_path = public, pg_temp as $$
begin
  perform decides('rejected');
  update payment_orders set state = 'failed', status = 'FAILED', reason = p_reason, next_at = null,
    claim_owner = null, claim_token = null, claimed_until = null
  where id = p_order and (state = 'held' or state = 'recorded' and
    (claim_token is null or claimed_until <= clock_timestamp()));
  return found;
end $$;

-- Ends the wait of a parked order: its payment succeeded (p_payment: the provider's id of it, if there
-- is one), or is to be looked up again. False where it is not parked.
create function resolve_payment_order(p_order uuid, p_outcome text, p_payment text) returns boolean
language plpgsql security definer set search_path = public, pg_temp as $$
begin
  perform decides(case p_outcome when 'succeeded' then 'resolved as succeeded'
    when 'unknown' then 'to be looked up again' end);
  update payment_orders set state = p_outcome, reason = null, lookups = 0,
    status = case p_outcome when 'succeeded' then 'SUCCEEDED' else status end,
    provider_payment_id = coalesce(p_payment, provider_payment_id),
    next_at = case p_outcome when 'unknown' then clock_timestamp() end
  where id = p_order and state = 'parked' and p_outcome in ('succeeded', 'unknown');
  return found;
end $$;

-- Agrees that no money moved for a parked order, and none will. As a Retry is another payment then, it
-- takes a fresh lookup that did not find it, or two persons. Null where there is no such order.
create function fail_payment_order(p_order uuid, p_reason text) returns payment_decision
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  o payment_orders;
  result payment_decision;
begin
  perform decides('resolved as failed');
  insert into payment_approvals (order_id, round, decision, person, attempt, reason, at)
  select id, round, 'fail', deciding_person(), attempt, p_reason, clock_timestamp()
  from payment_orders where id = p_order;
  if not found then
    return null;
  end if;
  select * into o from payment_orders where id = p_order;
  result := row(o.state, persons_agreed(o, 'fail'), case when is_missing_at_provider(o) then 1 else 2 end);
  if result.agreed >= result.needed then
    update payment_orders set state = 'failed', status = 'FAILED', reason = p_reason, next_at = null
    where id = p_order returning state into result.state;
  end if;
  return result;
end $$;
