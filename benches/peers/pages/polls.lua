-- Asks for pages of transactions as Formance's connector does. The same seed asks the same questions.
-- wrk … -- SEED FIRST LAST PAGE: `updatedAtFrom` is a whole second from FIRST to LAST, of 1970.

local first, last, page
local key = "Bearer " .. os.getenv("API_KEY")

function init(args)
  math.randomseed(tonumber(args[1]))
  first, last, page = tonumber(args[2]), tonumber(args[3]), tonumber(args[4])
end

function request()
  local from = os.date("!%Y-%m-%dT%H:%M:%SZ", math.random(first, last))
  local path = "/transactions?updatedAtFrom=" .. from .. "&page=" .. page .. "&pageSize=100&sort=updatedAt:asc"
  return wrk.format("GET", path, { ["Authorization"] = key })
end

function done(summary, latency)
  local failed = summary.errors
  print(string.format(
    '{"requests": %d, "seconds": %f, "errors": %d, "p50_us": %f, "p99_us": %f}',
    summary.requests, summary.duration / 1e6,
    failed.connect + failed.read + failed.write + failed.status + failed.timeout,
    latency:percentile(50), latency:percentile(99)))
end
