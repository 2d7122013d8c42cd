-- What changed (changes), what is served (feed), and the clock between them (feeds).

-- Committed but not yet published: a short-lived queue, written by the triggers in the
-- writer's own transaction.
create table changes (
  seq bigint generated always as identity constraint changes_pkey primary key,
  provider text not null,
  resource text not null constraint changes_resource_fed
    check (resource in ('accounts', 'beneficiaries', 'transactions')),
  id text not null,
  -- a child waits for its parent's first entry, so that Formance builds the payment on the parent
  parent_id text,
  created_at timestamptz not null,
  -- history: may be stamped in the free past rather than now
  backfill boolean not null,
  body jsonb not null,
  staged_at timestamptz not null default clock_timestamp(),
  -- since when the change waits for its parent; null while it is ready
  waits_since timestamptz,
  -- waited long enough: goes without its parent
  orphan boolean not null default false,
  -- the span that made the change, where its transaction says so, as a traceparent: the publisher goes on with it.
  -- What is none is left out rather than refused: no write fails for want of a trace
  trace text default substring(current_setting('tributary.trace', true) from '^00-[0-9a-f]{32}-[0-9a-f]{16}-01$')
) with (
  -- every row is deleted within moments: vacuum by count, at once, at full speed
  autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000,
  autovacuum_vacuum_insert_threshold = -1, autovacuum_vacuum_cost_delay = 0,
  autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 100000
);
create index changes_queue_idx on changes (provider, resource, seq) where waits_since is null;
create index changes_waiting_parent_idx on changes (provider, parent_id) where waits_since is not null;
-- the id first, as it alone tells nearly all rows apart: the others would be compared in vain
create index changes_id_idx on changes (id, provider, resource);

-- Gives the files of the queue back to the system once it is empty; gives whether it did. Vacuum makes room in
-- them for the next changes, but indexes stay as large as the longest backlog made them. Under the lock no
-- change can be on its way, as its writer would hold the table. It is never waited for, or writers would
-- wait behind it; and a snapshot from before the lock would not show what was committed since.
create function release_changes(p_from_bytes bigint) returns boolean
language plpgsql security definer set search_path = public, pg_temp as $$
begin
  if pg_total_relation_size('changes') < p_from_bytes or exists (select from changes)
     or current_setting('transaction_isolation') <> 'read committed' then
    return false;
  end if;
  lock table changes in access exclusive mode nowait;
  if exists (select from changes) then
    return false;
  end if;
  truncate changes;
  return true;
exception when lock_not_available then
  return false;
end $$;

-- Published for ever: dense positions, unique ascending timestamps, the body as served.
create table feed (
  provider text not null,
  resource text not null,
  position bigint not null constraint feed_position_positive check (position > 0),
  published_at timestamptz not null,
  id text not null,
  -- of a transaction, as in the body
  status text,
  body json not null,
  -- since when its names and metadata are empty: erase_record, the only change that there is
  erased_at timestamptz,
  constraint feed_pkey primary key (provider, resource, position),
  constraint feed_published_at_key unique (provider, resource, published_at)
);
-- by status, too: a version takes the date that its status had first, however many versions there are
create index feed_id_idx on feed (provider, resource, id, status, position);

-- The clock of each feed. Its row lock chains all publications.
create table feeds (
  provider text not null,
  resource text not null constraint feeds_resource_fed
    check (resource in ('accounts', 'beneficiaries', 'transactions')),
  last_position bigint not null default 0,
  -- the last timestamp issued; of a new feed, the start of its free past
  last_at timestamptz not null,
  -- nothing is issued at or below it: a restore may have forgotten what was served there
  floor timestamptz not null,
  -- so far does the feed's time run before the database's clock: a consumer has shown a watermark
  -- from there, and to wait for it would stop the feed
  ahead interval not null default '0' constraint feeds_ahead_bounded
    check (ahead between interval '0' and interval '2 hours'),
  -- the life of the database that it was last seen in: timeline and object ids
  life text not null,
  -- set while a first full sync runs, so that accounts go out in the provider's date order
  awaits_first_sync boolean not null default false,
  created_at timestamptz not null default clock_timestamp(),
  constraint feeds_pkey primary key (provider, resource)
);

-- The latest createdAt served within one payment: a parent with its children. Within a
-- payment, createdAt never goes back, or Formance would show a stale status.
create table families (
  provider text not null,
  id text not null,
  latest_created_at timestamptz not null,
  constraint families_pkey primary key (provider, id)
);

-- The connector puts account ids into URL paths unescaped. Ids of other characters than these
-- are served with each other byte as ~XX (hex); "." and ".." are path steps, so a leading dot
-- is escaped too. Reversible: "~" itself is escaped.
create function is_url_safe(id text) returns boolean
language sql immutable parallel safe
return id ~ '^[A-Za-z0-9_:@=+,-][A-Za-z0-9_.:@=+,-]*$';

create function escaped_id(id text) returns text
language sql immutable parallel safe strict
return (
  select string_agg(
    case when chr(byte) ~ '[A-Za-z0-9_:@=+,-]' or (byte = ascii('.') and i > 0) then chr(byte)
         else '~' || upper(lpad(to_hex(byte), 2, '0')) end, '' order by i)
  from (select i, get_byte(convert_to(id, 'UTF8'), i) as byte
        from generate_series(0, octet_length(id) - 1) i) bytes);

-- Not strict, or it would be called for each row instead of becoming part of the statement; of null it is null.
create function url_safe_id(id text) returns text
language sql immutable parallel safe
return case when is_url_safe(id) then id else escaped_id(id) end;

-- RFC 3339 in UTC with exactly six digits: what is printed is what is sorted by.
create function rfc3339(at timestamptz) returns text
language sql stable parallel safe
return to_char(at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"');

-- For tables that only grow. Grants say the same; this holds for the owner, too.
create function refuse_change() returns trigger
language plpgsql as $$
begin
  if tg_op = 'UPDATE' and is_erasure(tg_table_name, to_jsonb(old), to_jsonb(new)) then
    return new;
  end if;
  raise exception 'rows of % are never changed or deleted', tg_table_name
    using errcode = 'integrity_constraint_violation', constraint = tg_table_name || '_append_only';
end $$;

-- What was published stays as it was served: positions and times are promises, and Formance has it.
create trigger feed_append_only before update or delete on feed
  for each row execute function refuse_change();
create trigger feed_no_truncate before truncate on feed
  for each statement execute function refuse_change();

-- The clock of a feed only moves on.
create function keep_feed_clock() returns trigger
language plpgsql as $$
begin
  if (new.provider, new.resource, new.created_at) is distinct from (old.provider, old.resource, old.created_at)
     or new.last_position < old.last_position or new.last_at < old.last_at or new.floor < old.floor then
    raise exception 'the clock of a feed never goes back: positions and times were promised'
      using errcode = 'integrity_constraint_violation', constraint = 'feeds_moves_on';
  end if;
  return new;
end $$;
create trigger feeds_moves_on before update on feeds
  for each row execute function keep_feed_clock();
create trigger feeds_kept before delete on feeds
  for each row execute function refuse_change();
create trigger feeds_no_truncate before truncate on feeds
  for each statement execute function refuse_change();
