-- wrk: requests with presigned targets, one after the other, read from a file per thread.
-- Environment: TARGETS a file of targets, METHOD, BODY_BYTES.
local threads = 0

function setup(thread)
  thread:set("number", threads)
  threads = threads + 1
end

function init(arguments)
  targets = {}
  local index = 0
  for line in io.lines(os.getenv("TARGETS")) do
    -- Each thread takes every second target, so that no two write the same key at once.
    if index % 2 == number then targets[#targets + 1] = line end
    index = index + 1
  end
  method = os.getenv("METHOD")
  local bytes = tonumber(os.getenv("BODY_BYTES") or "0")
  if bytes > 0 then
    local pieces = {}
    math.randomseed(7)
    for piece = 1, bytes do pieces[piece] = string.char(math.random(0, 255)) end
    content = table.concat(pieces)
  end
  -- wrk asks one thread for a request that it does not send.
  position = -1
end

function request()
  position = position + 1
  if position > #targets then
    position = 1
  end
  return wrk.format(method, targets[math.max(position, 1)], nil, content)
end

function done(summary, latency, requests)
  local e = summary.errors
  io.write(string.format(
    "JSON {\"requests\": %d, \"microseconds\": %d, \"failed\": %d, \"p50\": %d, \"p99\": %d}\n",
    summary.requests, summary.duration, e.connect + e.read + e.write + e.status + e.timeout,
    latency:percentile(50), latency:percentile(99)))
end
