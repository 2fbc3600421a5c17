-- wrk: POST of the bodies in the file INFER_BODIES, one a line, in turn, to INFER_PATH; decisiond and MLServer get the same.
local bodies = {}
local key = os.getenv("DECISIOND_KEY") or ""
local threads = 0
local position

function setup(thread)
    threads = threads + 1
    thread:set("number", threads)
end

function init(args)
    wrk.method = "POST"
    wrk.path = os.getenv("INFER_PATH")
    wrk.headers["Content-Type"] = "application/json"
    if key ~= "" then
        wrk.headers["Authorization"] = "Bearer " .. key
    end
    for line in io.lines(os.getenv("INFER_BODIES")) do
        bodies[#bodies + 1] = wrk.format(nil, nil, nil, line)
    end
    -- Threads begin at different rows.
    position = number * 997 % #bodies
end

function request()
    position = position % #bodies + 1
    return bodies[position]
end

function done(summary, latency, requests)
    local errors = summary.errors
    io.write(string.format(
        '\nRESULT {"requests":%d,"duration_us":%d,"p50_us":%d,"p99_us":%d,"max_us":%d,"refused":%d,"failed":%d}\n',
        summary.requests, summary.duration, latency:percentile(50), latency:percentile(99), latency.max,
        errors.status, errors.connect + errors.read + errors.write + errors.timeout))
end
