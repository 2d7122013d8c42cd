-- Who operates, at the console or by the admin API: operators with a key each, and the sessions that they open with it.
-- Each key, link and session is 256 random bits, so that it needs no slow hash. What is shown of one to the database is
-- its SHA-256, the proof; what is kept is the SHA-256 of that. So nobody who reads these tables has a proof, the
-- service neither: it cannot act for an operator who has not just shown it a key or a session.
--
-- Persons who sign in by single sign-on have no key: an OpenID provider says to the service who they are, and the database
-- cannot check that. So it is for the owner to say which provider is believed, and about which roles: operator_issuers.

create table operators (
  id uuid constraint operators_pkey primary key,
  -- of whoever has no key, it ends with a digest of who they are, behind a ~ that no name of a key has
  name text not null constraint operators_name_plain check (name ~ case when issuer is null
    then '^[a-z0-9][a-z0-9._-]{0,62}$' else '^[a-z0-9][a-z0-9._@+-]{0,39}~[0-9a-f]{8}$' end),
  role text not null constraint operators_role_known check (role in ('viewer', 'operator', 'approver', 'admin')),
  -- of the key; null of whoever signs in by single sign-on
  digest bytea constraint operators_digest_key unique
    constraint operators_digest_sha256 check (octet_length(digest) = 32),
  -- whom the OpenID provider of this issuer calls by this subject: one person, however they are named
  issuer text,
  subject text,
  created_at timestamptz not null default clock_timestamp(),
  -- neither the key nor a session opens anything from then on
  expires_at timestamptz,
  -- when a session was last opened
  last_used_at timestamptz,
  revoked_at timestamptz,
  constraint operators_key_or_person check ((digest is null) = (issuer is not null) and (issuer is null) = (subject is null)),
  constraint operators_person_key unique (issuer, subject)
);
create unique index operators_name_idx on operators (name) where revoked_at is null;
-- a person who was revoked comes back under the same name, if at all
create unique index operators_person_name_idx on operators (name) where issuer is not null;

-- OpenID providers that the owner believes, and the roles that they may give.
create table operator_issuers (
  issuer text constraint operator_issuers_pkey primary key,
  roles text[] not null constraint operator_issuers_roles_known
    check (cardinality(roles) > 0 and roles <@ '{viewer,operator,approver,admin}'::text[]),
  trusted_at timestamptz not null default clock_timestamp()
);

-- Who was sent to the provider and is not back yet: the digest of the digest of what the browser holds, from which state,
-- nonce and code verifier follow. The row goes with its use.
create table operator_sign_ins (
  digest bytea constraint operator_sign_ins_pkey primary key
    constraint operator_sign_ins_digest_sha256 check (octet_length(digest) = 32),
  -- the page of the console to go on to
  next text not null,
  expires_at timestamptz not null
);

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
    and digest is not null and (expires_at > clock_timestamp()) is not false;
  if not found then
    return null;
  end if;
  insert into operator_sessions (digest, operator_id, ends_at)
  values (sha256(p_session), taken.operator_id, clock_timestamp() + p_lasts);
  return taken.operator_id;
end $$;

-- The same for a person of whom the service says that the provider of p_issuer has just named them, p_called, and that their
-- groups give them p_role, which all their sessions have from now on. Null where they were revoked; else the operator.
create function open_person_session(p_issuer text, p_subject text, p_called text, p_role text, p_session bytea, p_lasts interval)
returns uuid
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  person operators;
  made boolean;
begin
  -- a change of what is trusted waits, and ends this session, too
  perform from operator_issuers where issuer = p_issuer and p_role = any (roles) for share;
  if not found then
    raise exception 'nobody whom % names signs in as %, unless the owner of the database says so: `tributary operators trust % --roles %,…`',
      p_issuer, p_role, p_issuer, p_role
      using errcode = 'integrity_constraint_violation', constraint = 'operators_issuer_trusted';
  end if;
  delete from operator_sessions where digest in (
    select digest from operator_sessions where ends_at <= clock_timestamp() limit 100 for update skip locked);
  insert into operators (id, name, role, issuer, subject)
  values (gen_random_uuid(),
    p_called || '~' || left(encode(sha256(convert_to(p_issuer || ' ' || p_subject, 'UTF8')), 'hex'), 8),
    p_role, p_issuer, p_subject)
  on conflict (issuer, subject) do nothing;
  made := found;
  select * into strict person from operators where issuer = p_issuer and subject = p_subject for update;
  if person.revoked_at is not null then
    return null;
  end if;
  if made or person.role <> p_role then
    insert into operator_audit (person, login, verb, subject, details)
    values ('operator:' || person.name, session_user, 'sign in', person.name,
      jsonb_build_object('issuer', p_issuer, 'role', p_role, 'before', case when not made then person.role end));
  end if;
  update operators set role = p_role, last_used_at = clock_timestamp() where id = person.id;
  insert into operator_sessions (digest, operator_id, ends_at)
  values (sha256(p_session), person.id, clock_timestamp() + p_lasts);
  return person.id;
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

-- The service makes and ends keys only for an operator who may; the owner, and what runs as the owner, as always.
create function guard_administration() returns trigger
language plpgsql set search_path = public, pg_temp as $$
declare
  owner oid := (select relowner from pg_class where oid = tg_relid);
begin
  if not pg_has_role(session_user, owner, 'member') and not pg_has_role(current_user, owner, 'member')
     and proven_operator('{admin}') is null then
    raise exception '% are made and ended by the owner of the database, or for an operator who is admin',
      replace(tg_table_name, '_', ' ')
      using errcode = 'integrity_constraint_violation', constraint = 'operators_administer';
  end if;
  return null;
end $$;
-- Whoever administers keys could else make the persons who approve, and approve as several: approvers are made, and
-- links for them, by the owner alone, or by a provider whom the owner believes about them.
create function guard_approvers() returns trigger
language plpgsql set search_path = public, pg_temp as $$
declare
  owner oid := (select relowner from pg_class where oid = tg_relid);
  made text := case tg_table_name when 'operators' then to_jsonb(new)->>'role'
    else (select role from operators where id = (to_jsonb(new)->>'operator_id')::uuid) end;
begin
  if made = 'approver' and not pg_has_role(session_user, owner, 'member') and not pg_has_role(current_user, owner, 'member') then
    raise exception 'approvers, and links for them, are made by the owner of the database: `tributary operators` with DATABASE_URL'
      using errcode = 'integrity_constraint_violation', constraint = 'operators_approvers_owner';
  end if;
  return new;
end $$;
create trigger operators_guard_approvers before insert on operators
  for each row execute function guard_approvers();
create trigger operator_links_guard_approvers before insert on operator_links
  for each row execute function guard_approvers();

-- Who was shut out stays out, until the owner says otherwise.
create function guard_revoked() returns trigger
language plpgsql set search_path = public, pg_temp as $$
declare
  owner oid := (select relowner from pg_class where oid = tg_relid);
begin
  if not pg_has_role(session_user, owner, 'member') then
    raise exception 'who was revoked is let in again by the owner of the database: `tributary operators restore` with DATABASE_URL'
      using errcode = 'integrity_constraint_violation', constraint = 'operators_revoked_owner';
  end if;
  return new;
end $$;
create trigger operators_guard_revoked before update of revoked_at on operators
  for each row when (old.revoked_at is not null and new.revoked_at is distinct from old.revoked_at)
  execute function guard_revoked();

create trigger operators_guard
  before insert or update of id, name, role, digest, issuer, subject, created_at, expires_at, revoked_at or delete on operators
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
