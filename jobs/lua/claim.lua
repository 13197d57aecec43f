#!lua
-- ARGV: worker, limit (at most 100), lease in microseconds, job or "" for any.
-- Returns a list of {job, output, max attempts, unit, fence, attempts, last error}.
local worker, limit, lease, wanted_job = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4]

reap(100)

local time = now()
local leases = {}

local function claim_from(job)
    local output, max_attempts, place = unpack(redis.call(
        "HMGET", key("job", job), "output", "max_attempts", "place"))
    if not place then
        return
    end
    local due = redis.call("ZRANGE", key("ready", job),
        "-inf", text(time), "BYSCORE", "LIMIT", 0, limit - #leases)
    for _, unit in ipairs(due) do
        -- Never below the clock: fences rise even over a wipe or a restored snapshot.
        local last = tonumber(redis.call("GET", shard .. ":fence") or 0)
        local fence = text(math.max(last + 1, time))
        redis.call("SET", shard .. ":fence", fence)
        redis.call("ZREM", key("ready", job), unit)
        redis.call("HSET", key("leased", job), unit, fence)
        redis.call("ZADD", shard .. ":expiry", text(time + lease), job .. "/" .. unit)
        redis.call("HSET", key("unit", job), unit .. ":worker", worker,
            unit .. ":progress", 0, unit .. ":progressed_at", text(time))
        local attempts, error = unpack(redis.call(
            "HMGET", key("unit", job), unit .. ":attempts", unit .. ":error"))
        leases[#leases + 1] =
            {job, output, max_attempts, unit, fence, attempts or "0", error or ""}
    end
    if redis.call("EXISTS", key("ready", job)) == 0 then
        redis.call("ZREM", shard .. ":runnable", place)
    end
end

if wanted_job ~= "" then
    claim_from(wanted_job)
else
    for _, place in ipairs(redis.call("ZRANGE", shard .. ":runnable", 0, 99)) do
        if #leases >= limit then
            break
        end
        claim_from(string.sub(place, 18))
    end
end
return leases
