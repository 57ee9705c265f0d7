-- Posts files in turn, for wrk: post.lua FOLDER, which has `paths` (of the bodies) and `headers`, a line each.

local threads = 0

function setup(thread)
  thread:set("number", threads)
  threads = threads + 1
end

function init(args)
  local headers = {}
  for line in io.lines(args[1] .. "/headers") do
    local name, value = line:match("^([^:]+): (.*)$")
    headers[name] = value
  end
  requests = {}
  for path in io.lines(args[1] .. "/paths") do
    local file = assert(io.open(path, "rb"))
    requests[#requests + 1] = wrk.format("POST", nil, headers, file:read("*a"))
    file:close()
  end
  -- So that the threads do not send the same picture at the same time.
  turn = math.floor(number * #requests / 2)
end

function request()
  turn = turn % #requests + 1
  return requests[turn]
end

function done(summary, latency, _)
  local errors = summary.errors
  local failed = errors.connect + errors.read + errors.write + errors.timeout
  io.write(string.format(
    '{"requests": %d, "seconds": %f, "statuses": %d, "failed": %d, "p50_ms": %f, "p99_ms": %f}\n',
    summary.requests, summary.duration / 1e6, errors.status, failed,
    latency:percentile(50) / 1e3, latency:percentile(99) / 1e3))
end
