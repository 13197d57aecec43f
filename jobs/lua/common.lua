-- What the moves share; redis_queue.py puts it in front of each of them, and draws the keys.

local shard = KEYS[1]

local function key(name, job)
    return shard .. ":" .. name .. ":" .. job
end

-- Microseconds by the server's clock, the only one that counts.
local function now()
    local time = redis.call("TIME")
    return time[1] * 1000000 + time[2]
end

-- Lua's own conversion to text keeps 14 digits only, fewer than a time in microseconds has.
local function text(number)
    return string.format("%.0f", number)
end

local function is_held(job, unit, fence)
    return redis.call("HGET", key("leased", job), unit) == fence
end

local function end_lease(job, unit)
    redis.call("HDEL", key("leased", job), unit)
    redis.call("ZREM", shard .. ":expiry", job .. "/" .. unit)
    redis.call("HDEL", key("unit", job),
        unit .. ":worker", unit .. ":progress", unit .. ":progressed_at", unit .. ":stalled")
end

-- Returns 1 if the unit was not ready before.
local function make_ready(job, unit, ready_at)
    local place = redis.call("HGET", key("job", job), "place")
    redis.call("ZADD", shard .. ":runnable", redis.call("ZSCORE", shard .. ":jobs", place), place)
    return redis.call("ZADD", key("ready", job), "NX", text(ready_at), unit)
end

local function charge(job, unit, error, ready_at)
    end_lease(job, unit)
    redis.call("HINCRBY", key("unit", job), unit .. ":attempts", 1)
    redis.call("HSET", key("unit", job), unit .. ":error", error)
    make_ready(job, unit, ready_at)
end

-- Takes back up to `limit` expired leases, the longest expired first; returns how many.
local function reap(limit)
    local time = now()
    local reaped = 0
    local expired = redis.call(
        "ZRANGE", shard .. ":expiry", "-inf", text(time), "BYSCORE", "LIMIT", 0, 100)
    for _, member in ipairs(expired) do
        if reaped == limit then
            break
        end
        local job, unit = string.match(member, "^(.*)/([^/]+)$")
        if redis.call("HEXISTS", key("leased", job), unit) == 1 then
            local worker, stalled = unpack(redis.call(
                "HMGET", key("unit", job), unit .. ":worker", unit .. ":stalled"))
            local what = stalled == "1" and "made no progress" or "went silent"
            charge(job, unit, "lease expired: the worker " .. worker .. " " .. what, time)
            reaped = reaped + 1
        else
            -- The job was forgotten while the unit was leased.
            redis.call("ZREM", shard .. ":expiry", member)
        end
    end
    return reaped
end
