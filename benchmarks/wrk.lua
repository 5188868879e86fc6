-- Sends the requests of a file in turn, and prints the outcome as one line of JSON.
--   REQUESTS  the file: each request after its length, four bytes, lowest first
--   RATE      requests to offer a second, at random moments; unset: as many as are answered
--   STATUSES  1: count the answers by status, which costs the load generator time
local ffi = require("ffi")
ffi.cdef([[
  typedef struct { long seconds; long nanoseconds; } moment_t;
  int clock_gettime(int clock, moment_t *moment);
]])
local CLOCK_MONOTONIC = 1
local moment = ffi.new("moment_t")

local function milliseconds()
  ffi.C.clock_gettime(CLOCK_MONOTONIC, moment)
  return tonumber(moment.seconds) * 1000 + tonumber(moment.nanoseconds) / 1e6
end

local requests, turn = {}, 0
accepted, unavailable, other = 0, 0, 0 -- global, so that done() can read them

function init()
  local file = assert(io.open(os.getenv("REQUESTS"), "rb"))
  local data = file:read("*a")
  file:close()
  local place = 1
  while place <= #data do
    local a, b, c, d = data:byte(place, place + 3)
    local length = a + b * 2 ^ 8 + c * 2 ^ 16 + d * 2 ^ 24
    requests[#requests + 1] = data:sub(place + 4, place + 3 + length)
    place = place + 4 + length
  end
  math.randomseed(math.floor(milliseconds()))
  turn = math.random(#requests)
end

function request()
  turn = turn % #requests + 1
  return requests[turn]
end

-- The moments at which requests are due do not depend on how soon others are answered: after a
-- stall the missed ones are sent at once.
local rate = tonumber(os.getenv("RATE"))
if rate then
  local due
  function delay()
    due = (due or milliseconds()) - math.log(1 - math.random()) * 1000 / rate
    return math.max(0, math.floor(due - milliseconds() + 0.5))
  end
end

if os.getenv("STATUSES") then
  function response(status)
    if status >= 200 and status < 300 then
      accepted = accepted + 1
    elseif status == 503 then
      unavailable = unavailable + 1
    else
      other = other + 1
    end
  end
end

local threads = {}
function setup(thread)
  threads[#threads + 1] = thread
end

local OUTCOME = '{"requests": %d, "seconds": %g, "p50": %g, "p95": %g, "p99": %g, "longest": %g, "refused": %d,'
  .. ' "broken": %d, "accepted": %d, "unavailable": %d, "other": %d}\n'

function done(summary, latency)
  local errors, counted = summary.errors, { accepted = 0, unavailable = 0, other = 0 }
  for _, thread in ipairs(threads) do
    for name, count in pairs(counted) do
      counted[name] = count + thread:get(name)
    end
  end
  io.write("OUTCOME ", OUTCOME:format(
    summary.requests, summary.duration / 1e6,
    latency:percentile(50) / 1000, latency:percentile(95) / 1000, latency:percentile(99) / 1000, latency.max / 1000,
    errors.status, errors.connect + errors.read + errors.write + errors.timeout,
    counted.accepted, counted.unavailable, counted.other
  ))
end
