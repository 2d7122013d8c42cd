-- Who pulls what, and when; what each run did; from where it goes on.

create table sync_runs (
  id uuid constraint sync_runs_pkey primary key,
  provider text not null,
  stream_group text not null,
  started_at timestamptz not null default clock_timestamp(),
  finished_at timestamptz,
  status text not null default 'running' constraint sync_runs_status_known
    check (status in ('running', 'succeeded', 'failed', 'interrupted')),
  requests bigint not null default 0,
  created bigint not null default 0,
  updated bigint not null default 0,
  unchanged bigint not null default 0,
  quarantined bigint not null default 0,
  warnings bigint not null default 0,
  error text,
  constraint sync_runs_finished_or_running check ((finished_at is null) = (status = 'running'))
);
create index sync_runs_provider_idx on sync_runs (provider, started_at desc);
create index sync_runs_group_idx on sync_runs (provider, stream_group, started_at desc);
create index sync_runs_running_idx on sync_runs (provider, stream_group) where status = 'running';

create table sync_run_streams (
  run uuid not null constraint sync_run_streams_run_fkey references sync_runs (id) on delete cascade,
  stream text not null,
  requests bigint not null default 0,
  created bigint not null default 0,
  updated bigint not null default 0,
  unchanged bigint not null default 0,
  quarantined bigint not null default 0,
  warnings bigint not null default 0,
  error text,
  constraint sync_run_streams_pkey primary key (run, stream)
);

-- What was odd in a run, by stream and kind: how often, and the first of them in words. The kinds
-- are the program's own, so a run has few rows whatever a provider answers.
create table sync_run_warnings (
  run uuid not null constraint sync_run_warnings_run_fkey references sync_runs (id) on delete cascade,
  stream text not null,
  kind text not null,
  times bigint not null,
  text text not null,
  constraint sync_run_warnings_pkey primary key (run, stream, kind)
);

-- Streams of which an answer once named a next page, and by what the file has it found. Until then
-- a full page without one is no proof that there is no other.
create table sync_known_next (
  provider text not null,
  stream text not null,
  next text not null,
  known_since timestamptz not null default clock_timestamp(),
  constraint sync_known_next_pkey primary key (provider, stream)
);

-- One cursor per partition of a stream (an account, a category); moved in the transaction
-- that writes the rows it stands for.
create table sync_cursors (
  provider text not null,
  stream text not null,
  partition text not null,
  cursor jsonb not null,
  updated_at timestamptz not null default clock_timestamp(),
  constraint sync_cursors_pkey primary key (provider, stream, partition)
);

-- Records of a provider that may still change, for APIs that do not report changes: they are
-- asked for again, one by one, or found missing. Written in the transaction of their page.
create table sync_open_records (
  provider text not null,
  stream text not null,
  partition text not null,
  key text not null,
  record bytea not null,
  canonical bytea not null,
  at timestamptz,
  first_seen timestamptz not null,
  checked_at timestamptz not null,
  -- since when it is not listed any more where it would have to be: one absence is no proof
  missed_at timestamptz,
  constraint sync_open_records_pkey primary key (provider, stream, partition, key)
);

-- A group is a stream with the streams that are read for each of its records. One instance at a
-- time pulls a group: whoever holds its lease. A lease ends with its time, so that a dead instance
-- leaves none behind, and each holder has a fence of its own: a page commits only under the
-- current one, so that an instance that was paused meanwhile commits nothing.
create table sync_leases (
  provider text not null,
  stream_group text not null,
  holder text,
  expires_at timestamptz,
  fence bigint not null default 0,
  -- runs in a row that failed, and until when none is tried for that
  failures integer not null default 0,
  paused_until timestamptz,
  -- resources whose first full read is over: the feed waits until all groups have it
  first_read text[] not null default '{}',
  constraint sync_leases_pkey primary key (provider, stream_group),
  constraint sync_leases_holder_expires check ((holder is null) = (expires_at is null)),
  constraint sync_leases_failures_counted check (failures >= 0)
);

-- What is to be read next: a whole stream (partition ''), again and again by its schedule, or one
-- partition of it, once, because somebody asked. What is asked for twice is due once.
create table sync_tasks (
  provider text not null,
  stream text not null,
  partition text not null default '',
  stream_group text not null,
  -- as the manifest has it: a new one counts from now
  schedule text not null,
  -- null: only when somebody asks
  due_at timestamptz,
  -- the next run of the stream forgets its cursors first
  forgets boolean not null default false,
  constraint sync_tasks_pkey primary key (provider, stream, partition)
);
create index sync_tasks_due_idx on sync_tasks (provider, stream_group, due_at);

-- Providers that an operator wants nothing read of for now. What is due meanwhile is read afterwards.
create table provider_pauses (
  provider text not null constraint provider_pauses_pkey primary key,
  paused_by text not null,
  why text not null constraint provider_pauses_why_said check (char_length(why) between 1 and 500),
  paused_at timestamptz not null default clock_timestamp()
);

-- Takes the lease of that one of p_groups which waits longest for its turn. A function, so that it
-- is one statement for whoever calls it: a caller that is paused in between would keep the others
-- from their work.
create function take_due_lease(
  p_provider text, p_groups text[], p_concurrency bigint, p_holder text, p_time interval
) returns table (taken_group text, taken_fence bigint, failures_before integer, taken_from text)
language plpgsql as $$
begin
  -- two instances must not each count the other's lease as not taken yet
  perform pg_advisory_xact_lock(hashtextextended('leases/' || p_provider, 7404));
  return query
  with due as (
    select l.provider, l.stream_group, l.holder from sync_leases l
    join lateral (
      select min(t.due_at) as since from sync_tasks t
      where t.provider = l.provider and t.stream_group = l.stream_group
        and t.due_at <= clock_timestamp()) t on t.since is not null
    where l.provider = p_provider and l.stream_group = any(p_groups)
      and not exists (select from provider_pauses p where p.provider = p_provider)
      and (l.expires_at <= clock_timestamp()) is not false
      and (l.paused_until <= clock_timestamp()) is not false
      and p_concurrency > (select count(*) from sync_leases w
                           where w.provider = p_provider and w.expires_at > clock_timestamp())
    order by t.since, array_position(p_groups, l.stream_group)
    limit 1 for update of l skip locked)
  update sync_leases l
  set holder = p_holder, fence = l.fence + 1, expires_at = clock_timestamp() + p_time
  from due where l.provider = due.provider and l.stream_group = due.stream_group
  returning l.stream_group, l.fence, l.failures, due.holder;
end $$;
