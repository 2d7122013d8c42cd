-- The publisher: moves what has committed from `changes` to `feed`, gives it the next dense
-- positions and unique ascending timestamps. One statement, so the feeds row lock ends with it
-- even when the caller is stopped or killed; any number of callers may compete. Nobody else writes
-- the feed: whoever may publish need not be allowed to write the tables.

-- Which life of the database this is. It changes when the server starts (a restored backup starts
-- one), when a standby is promoted (a new timeline of the log), and when a dump is restored into
-- another database or over these tables (other files).
create function database_life() returns text
language sql stable
return substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8) || '/'
  || extract(epoch from pg_postmaster_start_time()) || '/' || pg_relation_filepath('public.feeds');

-- The row of a feed, locked; made on first use. A new feed of transactions has 30 free days
-- before it; accounts and beneficiaries keep the provider's own dates, however old.
create function lock_feed(p_provider text, p_resource text) returns feeds
language plpgsql as $$
declare
  f feeds;
begin
  select * into f from feeds where provider = p_provider and resource = p_resource for update;
  if not found then
    insert into feeds (provider, resource, last_at, floor, life)
    select p_provider, p_resource, start, start, database_life()
    from (select case when p_resource = 'transactions' then clock_timestamp() - interval '30 days'
                      else timestamptz '0001-01-01 00:00:01+00' end) s (start)
    on conflict on constraint feeds_pkey do nothing;
    select * into f from feeds where provider = p_provider and resource = p_resource for update;
  end if;
  return f;
end $$;

-- The floor as of now. In another life the database may have forgotten entries that a consumer
-- has seen: up to the present moment or, by a clock that was ahead of this one, in the second of
-- the last entry.
create function feed_floor(f feeds, life text, at timestamptz) returns timestamptz
language sql stable
return greatest(f.floor,
  case when life <> f.life then greatest(at, date_trunc('second', f.last_at) + interval '1 second') end);

-- Children whose parent has no entry yet wait aside; those that waited too long go without.
create function set_children_aside(p_provider text, p_batch integer, p_parent_wait interval, at timestamptz)
returns integer
language plpgsql as $$
declare
  set_aside integer;
begin
  update changes c set waits_since = null, orphan = true
  where c.provider = p_provider and c.waits_since is not null and c.id in (
    select late.id from changes late
    where late.provider = p_provider and late.waits_since < at - p_parent_wait);

  with batch as materialized (
    select seq, id, parent_id, orphan from changes
    where provider = p_provider and resource = 'transactions' and waits_since is null
    order by seq limit p_batch)
  update changes c set waits_since = at
  from batch b
  where c.seq = b.seq and b.parent_id is not null and not b.orphan
    and not exists (select from batch p where p.id = b.parent_id)
    and not exists (select from feed e
      where e.provider = p_provider and e.resource = 'transactions' and e.id in (b.parent_id, b.id));
  get diagnostics set_aside = row_count;
  return set_aside;
end $$;

create type publication as (
  published integer,       -- entries added by this call
  more boolean,            -- call again at once: there is more, and there is room
  backlog bigint,          -- about how many changes still wait in the queue
  retry_after interval,    -- with a backlog and no room: when there is room again
  clock_behind interval,   -- the database clock stands this far below what was issued
  traces text[]            -- the spans that made what was published, each once
);

-- An entry that was added: when it is stamped, and the span that made its change.
create type stamped_entry as (published_at timestamptz, trace text);

-- Transactions, history too, in the order of their changes. Fresh ones end at the present
-- moment with room left for what is still expected; history starts where the feed ended.
create function publish_transactions(
  f feeds, lo timestamptz, at timestamptz, spacing interval, expected bigint, room bigint)
returns setof stamped_entry
language sql as $$
  with batch as materialized (
    -- a child is ready once its parent has an entry, or it has one itself, or its parent goes
    -- ahead of it now and no earlier state of it still waits
    select * from changes c
    where c.provider = f.provider and c.resource = f.resource and c.waits_since is null
      and (c.parent_id is null or c.orphan
        or exists (select from feed e
          where e.provider = f.provider and e.resource = f.resource and e.id in (c.parent_id, c.id))
        or (exists (select from changes p
              where p.provider = f.provider and p.resource = f.resource and p.id = c.parent_id
                and p.seq < c.seq and p.parent_id is null)
            and not exists (select from changes w
              where w.provider = f.provider and w.resource = f.resource and w.id = c.id
                and w.waits_since is not null)))
    order by c.seq limit room
  ), family as (
    -- a child carries its parent's type, and within a family createdAt never goes back; by
    -- subqueries, so that no guess about the size of a batch can choose to read whole tables
    select b.*, coalesce(b.parent_id, b.id) as payment_id,
           coalesce(case when b.parent_id is not null then (select p.type from transactions p
             where p.provider = f.provider and p.id = b.parent_id) end, b.body ->> 'type') as type,
           greatest(b.created_at,
             case when b.parent_id is not null then (select p.created_at from transactions p
               where p.provider = f.provider and p.id = b.parent_id) end,
             (select k.latest_created_at from families k
              where k.provider = f.provider and k.id = coalesce(b.parent_id, b.id))) as own_created_at
    from batch b
  ), running as (
    select k.*, row_number() over (order by k.seq) as i,
           max(k.own_created_at) over (partition by k.payment_id order by k.seq) as latest_created_at
    from family k
  ), first_shown as (
    select r.*, first_value(r.latest_created_at)
             over (partition by r.id, r.body ->> 'status' order by r.seq) as status_created_at
    from running r
  ), dated as (
    -- a status that its id had before keeps the date it was served with then: under another
    -- date, Formance would take it for news and move the money again
    select s.*, case when s.latest_created_at = s.created_at then s.created_at else coalesce((
        select (e.body ->> 'createdAt')::timestamptz from feed e
        where e.provider = f.provider and e.resource = f.resource and e.id = s.id
          and e.status = s.body ->> 'status'
        order by e.position limit 1), s.status_created_at) end as served_created_at
    from first_shown s
  ), stamped as (
    select s.*, s.i * spacing + greatest(lo,
      max(case when not s.backfill then at - expected * spacing end) over (order by s.i)) as published_at
    from dated s
  ), taken as (
    delete from changes where seq = any (array(select seq from stamped))
  ), remembered as (
    insert into families as k (provider, id, latest_created_at)
    select f.provider, payment_id, max(served_created_at) from stamped
    where parent_id is not null group by payment_id
    on conflict on constraint families_pkey do update set latest_created_at = excluded.latest_created_at
    where k.latest_created_at < excluded.latest_created_at
  ), entered as (
    insert into feed (provider, resource, position, published_at, id, status, body)
    select f.provider, f.resource, f.last_position + i, published_at, id, body ->> 'status',
           to_json(body || jsonb_build_object('type', type, 'createdAt', rfc3339(served_created_at),
                                              'updatedAt', rfc3339(published_at)))
    from stamped order by i
  )
  select published_at, trace from stamped
$$;

-- First sight of accounts or beneficiaries: the provider's own date where it ascends, else
-- the time of publication. Order is free here (one entry per id), so dated ones come first.
create function publish_accounts(
  f feeds, lo timestamptz, at timestamptz, spacing interval, expected bigint, room bigint)
returns setof stamped_entry
language sql as $$
  with batch as (
    select *, created_at <= lo or created_at > at as late from changes
    where provider = f.provider and resource = f.resource and waits_since is null
    order by created_at, seq limit room
  ), numbered as (
    select *, row_number() over (order by late, created_at, seq) as i from batch
  ), stamped as (
    select *, i * spacing + greatest(lo,
      max(case when late then at - expected * spacing else created_at - i * spacing end)
        over (order by i)) as published_at
    from numbered
  ), fitting as materialized (
    select * from stamped where published_at <= at
  ), taken as (
    delete from changes where seq = any (array(select seq from fitting))
  ), entered as (
    insert into feed (provider, resource, position, published_at, id, body)
    select f.provider, f.resource, f.last_position + i, published_at, id,
           to_json(case when published_at = created_at then body
                        else jsonb_set(body, '{metadata,tributary.createdAt}', to_jsonb(rfc3339(created_at))) end
                   || jsonb_build_object('createdAt', rfc3339(published_at)))
    from fitting order by i
  )
  select published_at, trace from fitting
$$;

-- How far apart two entries are stamped. per_second is what costs the consumer nothing; only
-- when the backlog has no room at that pace does the pace grow, to drain it in 10 minutes.
create function feed_spacing(per_second integer, backlog bigint, free interval) returns interval
language sql immutable
return ceil(1000000.0 / least(1000000, case
  when backlog <= extract(epoch from free) * per_second then per_second
  else least(greatest(2000, per_second), greatest(per_second, ceil(backlog / 600.0))) end)
)::bigint * interval '1 microsecond';

-- About how many changes wait: exact while few, else by the span of their numbers.
create function queue_length(p_provider text, p_resource text, exact_up_to integer) returns bigint
language sql stable
return (
  select case when n <= exact_up_to then n else (
    select max(seq) - min(seq) + 1 from changes
    where provider = p_provider and resource = p_resource and waits_since is null) end
  from (select count(*) as n from (
    select from changes where provider = p_provider and resource = p_resource and waits_since is null
    limit exact_up_to + 1) q) counted);

create function publish(
  p_provider text, p_resource text, p_per_second integer, p_batch integer, p_parent_wait interval)
returns publication
language plpgsql security definer set search_path = public, pg_temp
-- a record that most of the feed, or of the queue, is about would have the planner read all of it for each change
set enable_seqscan = off
set jit = off set plan_cache_mode = force_custom_plan as $$
declare
  f feeds := lock_feed(p_provider, p_resource);
  clock timestamptz := clock_timestamp();
  at timestamptz := clock + f.ahead;
  life_now text := database_life();
  floor_now timestamptz := feed_floor(f, life_now, at);
  lo timestamptz := greatest(f.last_at, floor_now);
  set_aside integer := 0;
  spacing interval;
  room bigint;
  issued_at timestamptz;
  result publication := (0, false, 0, null, null, null);
begin
  if f.awaits_first_sync then
    return result;
  end if;
  -- what a consumer may be served must survive a crash, whatever the session's setting
  perform set_config('synchronous_commit', 'on', true);
  if (floor_now, life_now) is distinct from (f.floor, f.life) then
    update feeds set floor = floor_now, life = life_now
    where provider = p_provider and resource = p_resource;
  end if;
  if p_resource = 'transactions' then
    set_aside := set_children_aside(p_provider, p_batch, p_parent_wait, clock);
  end if;
  result.backlog := queue_length(p_provider, p_resource, p_batch);
  if result.backlog = 0 then
    return result;
  end if;
  if lo > at then
    result.clock_behind := lo - at;
  end if;
  spacing := feed_spacing(p_per_second, result.backlog, at - lo);
  -- never more than was counted: what commits from here on is not expected in the stamps
  room := least(p_batch, result.backlog, floor(extract(epoch from at - lo) / extract(epoch from spacing)));
  if room > 0 then
    if p_resource = 'transactions' then
      select count(*), max(e.published_at), array_agg(distinct e.trace) filter (where e.trace is not null)
      into result.published, issued_at, result.traces
      from publish_transactions(f, lo, at, spacing, result.backlog, room) e;
    else
      select count(*), max(e.published_at), array_agg(distinct e.trace) filter (where e.trace is not null)
      into result.published, issued_at, result.traces
      from publish_accounts(f, lo, at, spacing, result.backlog, least(p_batch, result.backlog)) e;
    end if;
  end if;
  if result.published > 0 then
    update feeds set last_position = f.last_position + result.published, last_at = issued_at
    where provider = p_provider and resource = p_resource;
    update changes c set waits_since = null
    where c.provider = p_provider and c.resource = p_resource and c.waits_since is not null
      and exists (select from feed e
        where e.provider = p_provider and e.resource = p_resource
          and e.id in (c.parent_id, c.id) and e.position > f.last_position);
  end if;
  result.backlog := result.backlog - result.published;
  lo := greatest(lo, issued_at);
  result.more := set_aside > 0 or (result.backlog > 0 and result.published > 0 and lo + spacing <= at);
  if result.backlog > 0 and not result.more then
    result.retry_after := greatest(lo + spacing - at, spacing);
  end if;
  return result;
end $$;

-- Lifts the floor above a watermark (in whole seconds) that a consumer is known to have, so
-- that nothing is issued where it no longer looks. One that is a little ahead of the feed's time is
-- waited for; for one further ahead, the feed's time goes on from there, so that nobody who polls
-- can stop the feed. One further ahead of the clock than any clock of ours can have issued is a
-- mistake, and heeded by nobody.
create function lift_floor(
  p_provider text, p_resource text, p_watermark timestamptz, p_ahead_max interval)
returns void
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  f feeds := lock_feed(p_provider, p_resource);
  clock timestamptz := clock_timestamp();
begin
  if p_watermark < clock + p_ahead_max then
    update feeds set floor = greatest(floor, p_watermark + interval '1 second'),
      ahead = case when p_watermark > clock + ahead + interval '2 seconds'
                   then p_watermark + interval '1 second' - clock else ahead end
    where provider = p_provider and resource = p_resource;
  end if;
end $$;

-- Has a feed that has published nothing yet wait for the end of its first sync; gives whether it waits.
create function await_first_sync(p_provider text, p_resource text) returns boolean
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  f feeds := lock_feed(p_provider, p_resource);
begin
  if f.last_position = 0 and not f.awaits_first_sync then
    update feeds set awaits_first_sync = true where provider = p_provider and resource = p_resource;
    return true;
  end if;
  return f.awaits_first_sync;
end $$;
