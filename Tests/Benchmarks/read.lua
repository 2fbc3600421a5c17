-- wrk: POST of feature reads for random entities; every body differs.
-- READ_KIND=decisiond|feast, READ_ENTITIES entities known, READ_BATCH entities a request; decisiond's entities are B000000...
local kind = os.getenv("READ_KIND") or "decisiond"
local entities = tonumber(os.getenv("READ_ENTITIES") or "100000")
local batch = tonumber(os.getenv("READ_BATCH") or "1")
local key = os.getenv("DECISIOND_KEY") or ""
local threads = 0

function setup(thread)
    threads = threads + 1
    thread:set("number", threads)
end

function init(args)
    math.randomseed(os.time() * 16 + number)
    wrk.method = "POST"
    wrk.headers["Content-Type"] = "application/json"
    if kind == "decisiond" then
        wrk.path = "/v1/features/query"
        wrk.headers["Authorization"] = "Bearer " .. key
    else
        wrk.path = "/get-online-features"
    end
end

function request()
    local names = {}
    for i = 1, batch do
        local entity = math.random(0, entities - 1)
        if kind == "decisiond" then
            names[i] = string.format('{"customer":"B%06d"}', entity)
        else
            names[i] = tostring(entity)
        end
    end
    local list = table.concat(names, ",")
    if kind == "decisiond" then
        return wrk.format(nil, nil, nil, '{"views":["bench_spend"],"entities":[' .. list .. ']}')
    end
    return wrk.format(nil, nil, nil,
        '{"features":["spend:f0","spend:f1","spend:f2","spend:f3","spend:f4","spend:f5","spend:f6","spend:f7","spend:f8",'
        .. '"spend:f9"],"entities":{"customer":[' .. list .. ']}}')
end

function done(summary, latency, requests)
    local errors = summary.errors
    io.write(string.format(
        '\nRESULT {"requests":%d,"duration_us":%d,"p50_us":%d,"p99_us":%d,"max_us":%d,"refused":%d,"failed":%d}\n',
        summary.requests, summary.duration, latency:percentile(50), latency:percentile(99), latency.max,
        errors.status, errors.connect + errors.read + errors.write + errors.timeout))
end
