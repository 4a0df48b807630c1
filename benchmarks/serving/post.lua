-- wrk posts bodies that are ready on disk, one after the other, and tells what became of them as one line of JSON.
-- wrk ... -s post.lua URL -- CONTENT-TYPE RATE BODY...   RATE: requests a second; 0 for as many as there are answers
local ffi = require("ffi")
ffi.cdef("struct timespec { long s; long ns; }; int clock_gettime(int clock, struct timespec *now);")
local requests, place = {}, 0

local function now() -- in seconds
  local time = ffi.new("struct timespec")
  ffi.C.clock_gettime(1, time) -- CLOCK_MONOTONIC
  return tonumber(time.s) + tonumber(time.ns) / 1e9
end

function init(args)
  local rate = tonumber(args[2])
  for i = 3, #args do
    local file = assert(io.open(args[i], "rb"))
    requests[#requests + 1] = wrk.format("POST", nil, { ["Content-Type"] = args[1] }, file:read("*a"))
    file:close()
  end
  if rate > 0 then
    local slot = now()
    function delay() -- milliseconds that a connection waits until its next request's turn
      slot = slot + 1 / rate
      return math.max(0, math.floor((slot - now()) * 1000 + 0.5))
    end
  end
end

function request()
  place = place % #requests + 1
  return requests[place]
end

function done(summary, latency)
  local errors = summary.errors
  print(string.format(
    '{"requests": %d, "seconds": %.6f, "p50_ms": %.3f, "p99_ms": %.3f, "refused": %d, "broken": %d}',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
    errors.status, errors.connect + errors.read + errors.write + errors.timeout))
end
