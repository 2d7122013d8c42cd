-- What the instances that pull one provider share: its refresh token, and how much may be asked.

-- The refresh token that is valid now, and the access token that came with it. Both are secrets, and
-- encrypted with a key that is not in the database: whoever reads this table cannot act for the account
-- holder. `auth_digest` stands for the configuration, the first refresh token included: a newly
-- configured one begins a row of its own.
--
-- Who exchanges the token holds a lease meanwhile, and no transaction: a lost connection must not
-- let another instance send a single-use token that was sent already. The new token is written,
-- and the lease ended, in one statement. Only if its holder died does a lease expire.
create table provider_tokens (
  provider text not null,
  auth_digest bytea not null constraint provider_tokens_digest_sha256 check (octet_length(auth_digest) = 32),
  -- the tokens' bytes, encrypted with the key of this id; without one they are as they came
  key_id text,
  refresh_token bytea not null,
  access_token bytea,
  -- when the access token is no longer used; null where it is good until it is refused
  usable_until timestamptz,
  -- counts exchanges, so that a late result does not replace a later one
  exchanges bigint not null default 0,
  lease uuid,
  leased_until timestamptz,
  updated_at timestamptz not null default clock_timestamp(),
  -- when somebody last asked for it, to the hour: what nobody uses while another is used is forgotten
  used_at timestamptz not null default clock_timestamp(),
  constraint provider_tokens_pkey primary key (provider, auth_digest),
  constraint provider_tokens_lease_ends check ((lease is null) = (leased_until is null))
);

-- Where the count of requests to a provider stands. Its row is locked while one is counted.
create table provider_pace (
  provider text constraint provider_pace_pkey primary key,
  requests bigint not null default 0,
  last_request_at timestamptz not null default '-infinity'
);

-- Requests of which the provider wants none before a time: those for one partition of a stream, for one
-- stream or all that read, as the file declares it; those for payments; those for tokens.
create table closed_lanes (
  provider text not null,
  lane text not null,
  closed_until timestamptz not null,
  constraint closed_lanes_pkey primary key (provider, lane)
);

-- When each of the latest requests was counted, in order: its number and its time both ascend. A
-- budget of n requests is used up for as long as the nth last request is in its stretch of time,
-- which is one look at the primary key however large n is.
create table request_log (
  provider text not null,
  number bigint not null,
  at timestamptz not null,
  constraint request_log_pkey primary key (provider, number)
);

-- Counts a request, if all budgets (so many requests in any stretch of so long) have room for it
-- and the provider has not asked for a pause of such requests: `wait` is null then. Else says how long to wait, and
-- whether it is a budget that is used up. A function, as each of its statements sees what others
-- committed while it waited for the lock.
create function take_request(
  p_provider text, p_requests bigint[], p_periods interval[], p_lane text, out wait interval, out by_budget boolean
)
language plpgsql as $$
declare
  pace provider_pace;
  counted_at timestamptz;
  free_at timestamptz;
begin
  by_budget := false;
  if cardinality(p_requests) > 0 then
    select * into pace from provider_pace where provider = p_provider for update;
    if not found then
      insert into provider_pace (provider) values (p_provider) on conflict on constraint provider_pace_pkey do nothing;
      select * into pace from provider_pace where provider = p_provider for update;
    end if;
  end if;
  -- behind the lock: the provider may have asked for the pause while it was waited for
  select closed_until - clock_timestamp() into wait
  from closed_lanes where provider = p_provider and lane = p_lane and closed_until > clock_timestamp();
  if found or cardinality(p_requests) = 0 then
    return;
  end if;
  -- the clock of the database may be set back
  counted_at := greatest(clock_timestamp(), pace.last_request_at);

  select max(l.at + b.period) into free_at
  from unnest(p_requests, p_periods) b (requests, period)
  join request_log l on l.provider = p_provider and l.number = pace.requests - b.requests + 1;

  if free_at > counted_at then
    wait := free_at - counted_at;
    by_budget := true;
    return;
  end if;

  update provider_pace set requests = pace.requests + 1, last_request_at = counted_at where provider = p_provider;
  insert into request_log (provider, number, at) values (p_provider, pace.requests + 1, counted_at);
  -- a few at a time, but more than come: no request has to wait for a great cleaning
  delete from request_log l
  using (select number from request_log where provider = p_provider order by number limit 4) oldest
  where l.provider = p_provider and l.number = oldest.number
    and l.at < counted_at - (select max(period) from unnest(p_periods) period);
end $$;
