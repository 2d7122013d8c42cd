-- The audit of payments: every change of every order, and every approval, chained by hashes.
--
-- Each row carries the SHA-256 of the row before it with its own content, so that nothing can be
-- changed, taken out, put in or moved without all hashes behind it. There is one chain for the
-- database. A row gets its place in it when its transaction commits, behind whatever else the
-- transaction does: the lock of the head is the last one that is taken, and held for a commit only.
-- So no two orders wait for each other while something is done with them, no deadlock can come of it,
-- a rollback leaves no gap, and nobody ever sees a row that is not in the chain.

create table payment_audit (
  id bigint generated always as identity constraint payment_audit_pkey primary key,
  order_id uuid not null,
  provider text not null,
  -- who, in the words of whoever changed it, and the login of the session, which nobody chooses
  actor text not null,
  login text not null,
  what text not null,
  before jsonb,
  after jsonb,
  at timestamptz not null default clock_timestamp(),
  -- when before and after were erased, for a person's sake; their digest stays, and the chain holds
  erased_at timestamptz,
  -- goes with what is erased: the digest then tells nothing about it
  salt bytea,
  content_digest bytea not null,
  -- null until its transaction commits
  position bigint constraint payment_audit_position_key unique,
  hash bytea
);
create index payment_audit_order_idx on payment_audit (order_id, id);

-- Where the chain ends.
create table payment_audit_head (
  single boolean not null default true constraint payment_audit_head_pkey primary key
    constraint payment_audit_head_single check (single),
  position bigint not null,
  hash bytea not null
);
insert into payment_audit_head (position, hash) values (0, decode(repeat('00', 32), 'hex'));

-- A text with its length in bytes before it, so that no two lists of texts look the same.
create function audit_field(t text) returns text
language sql immutable
return coalesce(octet_length(convert_to(t, 'UTF8')) || ':' || t, '-');

create function audit_digest(salt bytea, before jsonb, after jsonb) returns bytea
language sql immutable
return sha256(salt || convert_to(audit_field(before::text) || audit_field(after::text), 'UTF8'));

create function audit_hash(previous bytea, a payment_audit) returns bytea
language sql immutable
return sha256(previous || convert_to(
  audit_field(a.position::text) || audit_field(a.order_id::text) || audit_field(a.provider)
  || audit_field(a.actor) || audit_field(a.login) || audit_field(a.what)
  || audit_field((extract(epoch from a.at) * 1000000)::bigint::text), 'UTF8') || a.content_digest);

-- What the writer does not choose.
create function begin_payment_audit() returns trigger
language plpgsql as $$
begin
  new.login := session_user;
  new.at := clock_timestamp();
  new.salt := uuid_send(gen_random_uuid());
  new.content_digest := public.audit_digest(new.salt, new.before, new.after);
  new.position := null;
  new.hash := null;
  new.erased_at := null;
  return new;
end $$;
create trigger payment_audit_begin before insert on payment_audit
  for each row execute function begin_payment_audit();

-- Two changes of a row are let through: it gets its place in the chain, once, and its content is
-- erased, once.
create function keep_payment_audit() returns trigger
language plpgsql as $$
declare
  chained boolean := tg_op = 'UPDATE' and old.position is null and new.position is not null
    and to_jsonb(new) - '{position,hash}'::text[] = to_jsonb(old) - '{position,hash}'::text[];
  erased boolean := tg_op = 'UPDATE' and old.erased_at is null and new.erased_at is not null
    and new.before is null and new.after is null
    and to_jsonb(new) - '{before,after,salt,erased_at}'::text[]
      = to_jsonb(old) - '{before,after,salt,erased_at}'::text[];
begin
  if erased then
    new.salt := null;
  end if;
  if chained or erased then
    return new;
  end if;
  raise exception 'rows of payment_audit are never changed or deleted'
    using errcode = 'integrity_constraint_violation', constraint = 'payment_audit_append_only';
end $$;
create trigger payment_audit_append_only before update or delete on payment_audit
  for each row execute function keep_payment_audit();
create trigger payment_audit_no_truncate before truncate on payment_audit
  for each statement execute function refuse_change();

create function keep_payment_audit_head() returns trigger
language plpgsql as $$
begin
  if new.position <> old.position + 1 then
    raise exception 'the head of payment_audit moves on by one'
      using errcode = 'integrity_constraint_violation', constraint = 'payment_audit_head_moves_on';
  end if;
  return new;
end $$;
create trigger payment_audit_head_moves_on before update on payment_audit_head
  for each row execute function keep_payment_audit_head();
create trigger payment_audit_head_kept before delete on payment_audit_head
  for each row execute function refuse_change();
create trigger payment_audit_head_no_truncate before truncate on payment_audit_head
  for each statement execute function refuse_change();

create function chain_payment_audit() returns trigger
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  head payment_audit_head;
begin
  select * into strict head from payment_audit_head for update;
  new.position := head.position + 1;
  new.hash := audit_hash(head.hash, new);
  update payment_audit set position = new.position, hash = new.hash where id = new.id;
  update payment_audit_head set position = new.position, hash = new.hash;
  return null;
end $$;
create constraint trigger payment_audit_chain after insert on payment_audit
  deferrable initially deferred for each row execute function chain_payment_audit();

-- Who changes an order says so: `set local tributary.actor`, `set local tributary.what`.
create function payment_actor() returns text
language sql stable
return coalesce(nullif(current_setting('tributary.actor', true), ''), 'sql ' || session_user);

-- Who works on an order, until when, and when it was last answered are no news of it.
create function audited(o payment_orders) returns jsonb
language sql stable
return to_jsonb(o) - '{updated_at,replied_at,answer_by,claim_owner,claim_token,claimed_until,next_at,lookups,trace}'::text[];

create function audit_payment_order() returns trigger
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  was jsonb := case when tg_op = 'UPDATE' then audited(old) end;
  is_now jsonb := audited(new);
begin
  if was is not null then
    select jsonb_object_agg(w.key, w.value), jsonb_object_agg(w.key, is_now -> w.key) into was, is_now
    from jsonb_each(was) w
    where is_now -> w.key is distinct from w.value;
    if was is null then
      return null;
    end if;
    if new.erased_at is distinct from old.erased_at then
      -- what went must not be written down once more
      was := null;
      is_now := null;
    end if;
  end if;
  insert into payment_audit (order_id, provider, actor, what, before, after)
  values (new.id, new.provider, payment_actor(),
          coalesce(nullif(current_setting('tributary.what', true), ''), lower(tg_op)), was, is_now);
  return null;
end $$;
create trigger payment_orders_audit after insert or update on payment_orders
  for each row execute function audit_payment_order();

create function audit_payment_approval() returns trigger
language plpgsql security definer set search_path = public, pg_temp as $$
begin
  insert into payment_audit (order_id, provider, actor, what, after)
  select o.id, o.provider, new.person,
         case new.decision when 'release' then 'agrees that it goes out' else 'agrees that it failed' end,
         jsonb_strip_nulls(jsonb_build_object('round', new.round, 'reason', new.reason))
  from payment_orders o where o.id = new.order_id;
  return null;
end $$;
create trigger payment_approvals_audit after insert on payment_approvals
  for each row execute function audit_payment_approval();

create function audit_payment_step() returns trigger
language plpgsql security definer set search_path = public, pg_temp as $$
begin
  insert into payment_audit (order_id, provider, actor, what, after)
  values (new.order_id, new.provider, payment_actor(), 'a step gave what it is for',
          jsonb_build_object('attempt', new.attempt, 'step', new.name, 'gave', new.gave));
  return null;
end $$;
create trigger payment_steps_audit after update of gave on payment_steps
  for each row when (old.gave is null and new.gave is not null) execute function audit_payment_step();
