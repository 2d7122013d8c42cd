-- Who polls which feed, and how far it came. Written once a second from what an instance gathered in memory, so
-- that what is here may be a second old, and never says more than was served.

-- A consumer is one key on one feed.
create table consumers (
  provider text not null,
  resource text not null constraint consumers_resource_fed
    check (resource in ('accounts', 'beneficiaries', 'transactions')),
  -- key:NAME of one in the database (its successors have the same name), file:PROVIDER/NAME of one in a provider file
  key text not null constraint consumers_key_named check (key <> ''),
  -- what its last poll asked from: it has kept all that was published before. Null: from the beginning
  asked_from timestamptz,
  -- the last entry that it was served, and when that was published. Null before any
  position bigint not null default 0 constraint consumers_position_counted check (position >= 0),
  position_at timestamptz,
  -- where the feed ended at its last poll. Null before anything was published
  head_position bigint not null default 0 constraint consumers_head_counted check (head_position >= 0),
  head_at timestamptz,
  first_polled_at timestamptz not null,
  polled_at timestamptz not null,
  -- when it last had everything that there was; equal to polled_at while it has
  caught_up_at timestamptz,
  -- when it last began to poll anew, having had everything, and not for the next page
  begun_at timestamptz,
  -- the seconds between such beginnings, the latest of them: their median is its period
  gaps double precision[] not null default '{}',
  -- how often it began anew, and how many pages it was served
  polls bigint not null default 0,
  pages bigint not null default 0,
  constraint consumers_pkey primary key (provider, resource, key),
  constraint consumers_polled_in_order check (first_polled_at <= polled_at and caught_up_at <= polled_at)
);

-- The period of a consumer in seconds: the median of its gaps, from two on. One outage does not move it.
create function consumer_period(gaps double precision[]) returns double precision
language sql immutable parallel safe
return (select percentile_cont(0.5) within group (order by gap) from unnest(gaps) g (gap) having count(*) >= 2);
