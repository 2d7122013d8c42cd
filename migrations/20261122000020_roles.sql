-- Who may do what in the database. The last file, as it is about all tables; whoever runs it owns them.
--
-- Three groups, which log in by their members:
--   tributary_app       the service (`serve`, `sync`, `remap`, `quarantine`): what its statements need
--   tributary_operator  persons: they read, and decide about payments by functions that note their login
--   tributary_writer    SQL users and jobs that write the four tables of records
--
-- Groups belong to the server and not to the database: others may have made them, and this login may
-- not be allowed to. Then their grants are left out, and `tributary migrate`, which grants everything
-- anew each time, says what is missing.

-- Makes the groups that are missing, where this login may, and grants each exactly what it is for.
-- Gives those that are missing still.
create function grant_roles() returns text[]
language plpgsql set search_path = public, pg_temp as $$
declare
  role_name text;
  missing text[] := '{}';
  own text := (select string_agg(format('%I', relname), ', ') from pg_class
               where relnamespace = 'public'::regnamespace and relkind = 'r' and pg_has_role(relowner, 'usage'));
  definer regprocedure;
begin
  -- what runs with the owner's rights is nobody's to call, but by a grant below
  for definer in
    select oid from pg_proc
    where pronamespace = 'public'::regnamespace and prosecdef and pg_has_role(proowner, 'usage')
  loop
    execute format('revoke execute on function %s from public', definer);
  end loop;
  foreach role_name in array '{tributary_app,tributary_operator,tributary_writer}'::text[] loop
    if not make_group(role_name) then
      missing := missing || role_name;
      continue;
    end if;
    -- what was granted by an earlier build and is not needed any more
    execute format('revoke all on %s from %I', own, role_name);
    execute format('grant usage on schema public to %I', role_name);
    execute format('grant select on %s to %I', case role_name
      when 'tributary_writer' then 'accounts, beneficiaries, transactions, balances' else shown_to(role_name) end,
      role_name);
  end loop;
  if not 'tributary_app' = any (missing) then
    perform grant_app();
  end if;
  if not 'tributary_operator' = any (missing) then
    grant execute on function approve_payment_order, reject_payment_order, resolve_payment_order,
      fail_payment_order, erase_record, note_operation to tributary_operator;
  end if;
  if not 'tributary_writer' = any (missing) then
    grant insert, update, delete on accounts, beneficiaries, transactions, balances to tributary_writer;
  end if;
  return missing;
end $$;

-- Whether there is the group, now.
create function make_group(role_name text) returns boolean
language plpgsql set search_path = public, pg_temp as $$
begin
  if (select rolsuper or rolcreaterole or rolbypassrls or rolcreatedb or rolcanlogin from pg_roles where rolname = role_name) then
    raise exception 'the role % may do more than a group is for', role_name
      using hint = format('alter role %I nosuperuser nocreaterole nobypassrls nocreatedb nologin', role_name);
  end if;
  if to_regrole(role_name) is null then
    begin
      execute format('create role %I nologin', role_name);
    exception
      -- somebody else did so, in this moment; with the next lock this session hears of it
      when duplicate_object or unique_violation then perform from pg_shdescription limit 1;
      when insufficient_privilege then
        raise warning 'this login may not make the role %: its grants are left out', role_name;
        return false;
    end;
  end if;
  return true;
end $$;

-- The tables that a group may read whole: neither tokens, nor what others wrote of payments.
create function shown_to(role_name text) returns text
language sql stable set search_path = public, pg_temp as $$
  select string_agg(format('%I', relname), ', ') from pg_class
  where relnamespace = 'public'::regnamespace and relkind = 'r' and pg_has_role(relowner, 'usage')
    and not relname = any (case role_name
      when 'tributary_app' then '{payment_audit,families}'::text[] else '{provider_tokens}' end)
$$;

create function grant_app() returns void
language plpgsql set search_path = public, pg_temp as $$
begin
  grant insert, update on accounts, beneficiaries, transactions, balances, sync_runs, sync_run_streams,
    sync_run_warnings, sync_known_next, sync_cursors, sync_open_records, sync_leases, sync_tasks,
    provider_pauses, provider_tokens, provider_pace, closed_lanes, request_log, quarantine, quarantine_actions, raw_records,
    payment_orders, payment_steps, payment_refusals, consumers, notifications, statement_files, statement_accounts,
    statements, statement_movements, statement_sightings to tributary_app;
  grant insert on quarantine_discards, payment_attempts, payment_lookups, payment_secrets, unmatched_records to tributary_app;
  grant update (used_at) on operator_sessions to tributary_app;
  grant usage on sequence quarantine_id_seq to tributary_app;
  grant delete on sync_runs, sync_run_streams, sync_run_warnings, sync_cursors, sync_open_records, sync_leases,
    sync_tasks, provider_pauses, provider_tokens, closed_lanes, request_log, quarantine, raw_records, payment_refusals,
    unmatched_records, consumers, notifications, operator_links, operator_sessions, operator_sign_ins,
    statement_sightings to tributary_app;
  -- feeds, changes and feed are written by these, and by triggers
  grant execute on function publish, lift_floor, await_first_sync, release_changes to tributary_app;
  grant update (awaits_first_sync) on feeds to tributary_app;
  grant update (last_used_at) on api_keys to tributary_app;
  -- for an operator whom it proves: guard_administration, deciding_person
  grant insert on api_keys, operators, operator_links, operator_sign_ins to tributary_app;
  grant update (replaced_by, expires_at, revoked_at) on api_keys to tributary_app;
  grant update (revoked_at) on operators to tributary_app;
  grant execute on function approve_payment_order, reject_payment_order, resolve_payment_order,
    fail_payment_order, note_operation, open_operator_session, use_operator_link,
    open_person_session, audit_for_operator to tributary_app;
  -- to see whether the chain still has what it had
  grant select (position, hash) on payment_audit to tributary_app;
end $$;

select grant_roles();
