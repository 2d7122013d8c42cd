-- Who operates, at the console or by the admin API: operators with a key each, and the sessions that they open with it.
-- Each key, link and session is 256 random bits, so that it needs no slow hash. What is shown of one to the database is
-- its SHA-256, the proof; what is kept is the SHA-256 of that. So nobody who reads these tables has a proof, the
-- service neither: it cannot act for an operator who has not just shown it a key or a session.

create table operators (
  id uuid constraint operators_pkey primary key,
  name text not null constraint operators_name_plain check (name ~ '^[a-z0-9][a-z0-9._-]{0,62}$'),
  role text not null constraint operators_role_known check (role in ('viewer', 'operator', 'approver', 'admin')),
  digest bytea not null constraint operators_digest_key unique
    constraint operators_digest_sha256 check (octet_length(digest) = 32),
  created_at timestamptz not null default clock_timestamp(),
  -- neither the key nor a session opens anything from then on
  expires_at timestamptz,
  -- when a session was last opened
  last_used_at timestamptz,
  revoked_at timestamptz
);
create unique index operators_name_idx on operators (name) where revoked_at is null;

-- Links that open one session, once: the row goes with its use.
create table operator_links (
  digest bytea constraint operator_links_pkey primary key
    constraint operator_links_digest_sha256 check (octet_length(digest) = 32),
  operator_id uuid not null constraint operator_links_operator_fkey references operators (id),
  expires_at timestamptz not null
);

create table operator_sessions (
  digest bytea constraint operator_sessions_pkey primary key
    constraint operator_sessions_digest_sha256 check (octet_length(digest) = 32),
  operator_id uuid not null constraint operator_sessions_operator_fkey references operators (id),
  opened_at timestamptz not null default clock_timestamp(),
  -- to about a minute; a page that refreshes itself does not count
  used_at timestamptz not null default clock_timestamp(),
  -- it ends then, however much it is used
  ends_at timestamptz not null,
  constraint operator_sessions_ends_later check (ends_at > opened_at)
);
create index operator_sessions_ends_at_idx on operator_sessions (ends_at);

-- The operator who shows something to the transaction: `set local tributary.proof`, in hexadecimal. Null where nothing is
-- shown; an error where it proves nobody, or somebody of another role.
create function proven_operator(p_roles text[]) returns text
language plpgsql set search_path = public, pg_temp as $$
declare
  shown text := nullif(current_setting('tributary.proof', true), '');
  kept bytea;
  proven record;
begin
  if shown is null then
    return null;
  end if;
  kept := sha256(decode(shown, 'hex'));
  select o.name, o.role into proven from operators o
  where o.revoked_at is null and (o.expires_at > clock_timestamp()) is not false
    and (o.digest = kept or exists (
      select from operator_sessions s where s.digest = kept and s.operator_id = o.id
        and s.ends_at > clock_timestamp() and s.used_at > clock_timestamp() - interval '1 hour'));
  if not found then
    raise exception 'the key was revoked or has expired, or the session has ended: sign in again'
      using errcode = 'integrity_constraint_violation', constraint = 'operators_proven';
  elsif not proven.role = any (p_roles) then
    raise exception 'the operator % is %, and this is for: %', proven.name, proven.role, array_to_string(p_roles, ', ')
      using errcode = 'integrity_constraint_violation', constraint = 'operators_role_may';
  end if;
  return proven.name;
end $$;

-- Opens a session for whoever shows the key of an operator; false where it is not valid. Forgets up to 100 that ended.
create function open_operator_session(p_operator uuid, p_proof bytea, p_session bytea, p_lasts interval) returns boolean
language plpgsql security definer set search_path = public, pg_temp as $$
begin
  delete from operator_sessions where digest in (
    select digest from operator_sessions where ends_at <= clock_timestamp() limit 100 for update skip locked);
  update operators set last_used_at = clock_timestamp()
  where id = p_operator and digest = sha256(p_proof) and revoked_at is null
    and (expires_at > clock_timestamp()) is not false;
  if not found then
    return false;
  end if;
  insert into operator_sessions (digest, operator_id, ends_at)
  values (sha256(p_session), p_operator, clock_timestamp() + p_lasts);
  return true;
end $$;

-- The same for whoever shows a link, which is gone then, whoever else shows it at the same time; gives the operator.
create function use_operator_link(p_proof bytea, p_session bytea, p_lasts interval) returns uuid
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  taken operator_links;
begin
  delete from operator_links where digest = sha256(p_proof) returning * into taken;
  update operators set last_used_at = clock_timestamp()
  where id = taken.operator_id and taken.expires_at > clock_timestamp() and revoked_at is null
    and (expires_at > clock_timestamp()) is not false;
  if not found then
    return null;
  end if;
  insert into operator_sessions (digest, operator_id, ends_at)
  values (sha256(p_session), taken.operator_id, clock_timestamp() + p_lasts);
  return taken.operator_id;
end $$;

-- Every change of an order, for the operator whom the service proves: its own login may not read what was done of payments.
create function audit_for_operator(p_order uuid) returns setof payment_audit
language plpgsql security definer set search_path = public, pg_temp as $$
begin
  if proven_operator('{viewer,operator,approver,admin}') is null then
    raise exception 'the audit of an order is for operators' using errcode = 'insufficient_privilege';
  end if;
  return query select * from payment_audit where order_id = p_order;
end $$;

-- The service makes and ends keys only for an operator who may; the owner as always.
create function guard_administration() returns trigger
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  owner oid := (select relowner from pg_class where oid = tg_relid);
begin
  if not pg_has_role(session_user, owner, 'member') and proven_operator('{admin}') is null then
    raise exception '% are made and ended by the owner of the database, or for an operator who is admin',
      replace(tg_table_name, '_', ' ')
      using errcode = 'integrity_constraint_violation', constraint = 'operators_administer';
  end if;
  return null;
end $$;
-- Whoever administers keys could else make the persons who approve, and approve as several: approvers are made, and
-- links for them, by the owner alone.
create function guard_approvers() returns trigger
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  owner oid := (select relowner from pg_class where oid = tg_relid);
  made text := case tg_table_name when 'operators' then to_jsonb(new)->>'role'
    else (select role from operators where id = (to_jsonb(new)->>'operator_id')::uuid) end;
begin
  if made = 'approver' and not pg_has_role(session_user, owner, 'member') then
    raise exception 'approvers, and links for them, are made by the owner of the database: `tributary operators` with DATABASE_URL'
      using errcode = 'integrity_constraint_violation', constraint = 'operators_approvers_owner';
  end if;
  return new;
end $$;
create trigger operators_guard_approvers before insert on operators
  for each row execute function guard_approvers();
create trigger operator_links_guard_approvers before insert on operator_links
  for each row execute function guard_approvers();

create trigger operators_guard
  before insert or update of id, name, role, digest, created_at, expires_at, revoked_at or delete on operators
  for each statement execute function guard_administration();
create trigger operator_links_guard before insert or update on operator_links
  for each statement execute function guard_administration();
create trigger api_keys_guard
  before insert or update of id, provider, name, scope, digest, created_at, expires_at, replaced_by, revoked_at or delete
  on api_keys for each statement execute function guard_administration();

-- What operators did: one row for each command that changed something, in its transaction.
create table operator_audit (
  id bigint generated always as identity constraint operator_audit_pkey primary key,
  at timestamptz not null default clock_timestamp(),
  -- operator:NAME, who was proven; or cli:NAME, as the user of the operating system said
  person text not null,
  -- of the session, which nobody chooses
  login text not null,
  -- as it is typed: keys create
  verb text not null,
  -- what it was done to: a provider, a key, an order
  subject text not null,
  -- nothing of a person's data, which could not be erased here
  details jsonb not null
);
create trigger operator_audit_append_only before update or delete on operator_audit
  for each row execute function refuse_change();
create trigger operator_audit_no_truncate before truncate on operator_audit
  for each statement execute function refuse_change();

-- how far a replay or a discard has come is no part of the entry, which never changes
alter table quarantine_actions add constraint quarantine_actions_audit_id_fkey
  foreign key (audit_id) references operator_audit (id);

-- Notes what is done, by the operator whom the transaction proves, or else by p_user of the operating system; gives the
-- entry's number.
create function note_operation(p_verb text, p_subject text, p_details jsonb, p_user text) returns bigint
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  entry bigint;
begin
  insert into operator_audit (person, login, verb, subject, details)
  values (coalesce('operator:' || proven_operator('{viewer,operator,approver,admin}'), 'cli:' || p_user),
          session_user, p_verb, p_subject, p_details)
  returning id into entry;
  return entry;
end $$;
