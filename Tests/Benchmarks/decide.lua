-- wrk: POST /v1/decide/retention-offer for a random one of BENCH_ENTITIES customers; every body differs.
-- The same script drives the probes, so that the client costs the same.
local entities = tonumber(os.getenv("BENCH_ENTITIES") or "100000")
local key = os.getenv("DECISIOND_KEY") or ""
local channels = { "web", "phone", "store" }
local threads = 0

function setup(thread)
    threads = threads + 1
    thread:set("number", threads)
end

function init(args)
    math.randomseed(os.time() * 16 + number)
    wrk.method = "POST"
    wrk.path = "/v1/decide/retention-offer"
    wrk.headers["Content-Type"] = "application/json"
    wrk.headers["Authorization"] = "Bearer " .. key
end

function request()
    local customer = string.format("B%06d", math.random(0, entities - 1))
    local body = '{"inputs":{"customer":"' .. customer .. '","channel":"' .. channels[math.random(3)] .. '"}}'
    return wrk.format(nil, nil, nil, body)
end

function done(summary, latency, requests)
    local errors = summary.errors
    io.write(string.format(
        '\nRESULT {"requests":%d,"duration_us":%d,"p50_us":%d,"p99_us":%d,"max_us":%d,"refused":%d,"failed":%d}\n',
        summary.requests, summary.duration, latency:percentile(50), latency:percentile(99), latency.max,
        errors.status, errors.connect + errors.read + errors.write + errors.timeout))
end
