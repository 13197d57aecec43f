-- What the moves share; redis_queue.py puts it in front of each of them, after the constants LEASE
-- and STALL (microseconds), LARGEST_BATCH, SILENCE, SLOW, MEDIAN_UNITS, FEWEST_FOR_MEDIAN,
-- OTHERS_FIRST, UNITS_AGAINST_DEVICE and MOST_ON_PROBATION, and draws the keys.

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

local run_id = nil

-- Another one after each restart.
local function server()
    run_id = run_id or string.match(redis.call("INFO", "server"), "run_id:(%w+)")
    return run_id
end

-- Whether the job is known, built, and not stale.
local function is_open(job)
    local rebuilding, built_on = unpack(redis.call(
        "HMGET", key("job", job), "rebuilding", "server"))
    return rebuilding == "0" and built_on == server()
end

local function rows_in(unit)
    local first, last = string.match(unit, "^(%d+)-(%d+)$")
    return tonumber(last) - tonumber(first)
end

local function slots_of(unit)
    return {unit, unit .. "#copy"}
end

local function read(name, job, field)
    local found = redis.call("HGET", key(name, job), field)
    return found and cjson.decode(found)
end

local function write(name, job, field, value)
    redis.call("HSET", key(name, job), field, cjson.encode(value))
end

-- The slot and the lease of a unit for which `matches` says so.
local function find_lease(job, unit, matches)
    for _, slot in ipairs(slots_of(unit)) do
        local lease = read("lease", job, slot)
        if lease and matches(lease) then
            return slot, lease
        end
    end
end

-- The slot and the lease, if it stands and is this worker's.
local function standing(job, unit, worker, fence)
    return find_lease(job, unit, function(lease)
        return lease.worker == worker and lease.fence == fence
    end)
end

local function is_known(job, unit)
    return redis.call("ZSCORE", key("ready", job), unit)
        or redis.call("ZSCORE", key("leased", job), unit)
        or redis.call("HEXISTS", key("decided", job), unit) == 1
end

-- Microseconds per row of the latest units; nil until there were enough.
local function median_pace(job)
    local pace = redis.call("LRANGE", key("pace", job), 0, -1)
    if #pace < FEWEST_FOR_MEDIAN then
        return nil
    end
    table.sort(pace, function(one, other) return tonumber(one) < tonumber(other) end)
    return pace[math.floor((#pace + 1) / 2)]
end

-- Puts a high priority first, and among equals an early deadline (seconds since 1970); equal scores
-- sort by member, and so by age. No score needs more bits than a double keeps.
local function score(priority, deadline)
    local never = 2 ^ 40
    return text((0 - priority) * never + (tonumber(deadline) or never - 1))
end

-- Keep `runnable` true, after a change of what makes a job so.
local function enlist(job)
    local place, priority, deadline, wanted, rebuilding = unpack(redis.call(
        "HMGET", key("job", job), "place", "priority", "deadline", "wanted", "rebuilding"))
    if wanted == "run" and rebuilding == "0" and redis.call("EXISTS", key("ready", job)) == 1 then
        redis.call("ZADD", shard .. ":runnable", score(priority, deadline), place)
    else
        redis.call("ZREM", shard .. ":runnable", place)
    end
end

-- Forget all that is known of a unit, for it is decided.
local function settle(job, unit)
    for _, slot in ipairs(slots_of(unit)) do
        redis.call("HDEL", key("lease", job), slot)
        redis.call("ZREM", shard .. ":expiry", job .. "/" .. slot)
    end
    redis.call("ZREM", key("ready", job), unit)
    redis.call("ZREM", key("leased", job), unit)
    redis.call("HDEL", key("trouble", job), unit)
end

local function decide_rows(job, unit)
    settle(job, unit)
    redis.call("HSET", key("decided", job), unit, "rows")
    redis.call("HINCRBY", key("job", job), "done", 1)
    redis.call("HINCRBY", key("job", job), "rows_decided", rows_in(unit))
end

local function decide_split(job, unit)
    settle(job, unit)
    redis.call("HSET", key("decided", job), unit, "split")
end

-- The unit is ready again, unless another worker holds it too.
local function end_lease(job, unit, slot, ready_at)
    redis.call("HDEL", key("lease", job), slot)
    redis.call("ZREM", shard .. ":expiry", job .. "/" .. slot)
    local _, left = find_lease(job, unit, function() return true end)
    if left then
        redis.call("ZADD", key("leased", job), left.since, unit)
    else
        redis.call("ZREM", key("leased", job), unit)
        redis.call("ZADD", key("ready", job), text(ready_at), unit)
        enlist(job)
    end
end

local function is_charged(job, unit)
    return redis.call("HEXISTS", key("trouble", job), unit) == 1
end

local function put_on_probation(device)
    redis.call("ZADD", shard .. ":probation", text(now()), device)
    redis.call("ZREMRANGEBYRANK", shard .. ":probation", 0, -MOST_ON_PROBATION - 1)
end

local function note_trouble(job, unit, lease, error, ready_at)
    local trouble = read("trouble", job, unit) or {attempts = 0, devices = {}}
    trouble.attempts = trouble.attempts + 1
    trouble.error = error
    trouble.device = lease.device
    trouble.broke_at = text(ready_at)
    if lease.device ~= "" and lease.alone then
        -- The last two different ones, the latest at the end.
        local before = trouble.devices[#trouble.devices]
        if before == lease.device then
            before = trouble.devices[#trouble.devices - 1]
        end
        trouble.devices = before and {before, lease.device} or {lease.device}
    end
    write("trouble", job, unit, trouble)
end

-- End a lease as a failed attempt; it is none while another worker holds the unit too.
local function charge(job, unit, slot, lease, error, ready_at)
    local other_slot, other = find_lease(job, unit, function(each)
        return each.fence ~= lease.fence
    end)
    if other then
        other.last_standing = true
        write("lease", job, other_slot, other)
    else
        note_trouble(job, unit, lease, error, ready_at)
        if lease.device ~= "" then
            put_on_probation(lease.device)
        end
    end
    end_lease(job, unit, slot, ready_at)
end

local function charge_expired(job, unit, slot, lease, time)
    local what = lease.stalled and "made no progress" or "went silent"
    charge(job, unit, slot, lease, "lease expired: the worker " .. lease.worker .. " " .. what, time)
end

-- The job, the unit and the slot of a member of `expiry`, and its lease, if there is one.
local function lease_of(member)
    local job, slot = string.match(member, "^(.*)/([^/]+)$")
    return job, string.match(slot, "^[^#]+"), slot, read("lease", job, slot)
end

-- Take back up to `limit` expired leases, the longest expired first; returns how many.
local function reap(limit)
    local time = now()
    local reaped = 0
    local expired = redis.call(
        "ZRANGE", shard .. ":expiry", "-inf", text(time), "BYSCORE", "LIMIT", 0, LARGEST_BATCH)
    for _, member in ipairs(expired) do
        if reaped == limit then
            break
        end
        local job, unit, slot, lease = lease_of(member)
        if lease then
            charge_expired(job, unit, slot, lease, time)
            reaped = reaped + 1
        else
            -- The job was forgotten, or built anew, while the unit was leased.
            redis.call("ZREM", shard .. ":expiry", member)
        end
    end
    return reaped
end

-- Note that somebody speaks. If nobody did for long, no worker is to blame for its own silence: all
-- slept, or the clock jumped, and every lease begins anew.
local function hear()
    local time = now()
    -- Named like a lease of no job, which nobody can have.
    local silence = "/silence"
    local silent_from = redis.call("ZSCORE", shard .. ":expiry", silence)
    if silent_from and tonumber(silent_from) <= time then
        for _, member in ipairs(redis.call("ZRANGE", shard .. ":expiry", 0, -1)) do
            local job, _, slot, lease = lease_of(member)
            if lease then
                lease.moved_at = text(time)
                write("lease", job, slot, lease)
                redis.call("ZADD", shard .. ":expiry", text(time + LEASE), member)
            end
        end
    end
    redis.call("ZADD", shard .. ":expiry", text(time + SILENCE * LEASE), silence)
end

-- A lease as its worker hears of it.
local function tell(job, unit, lease)
    local trouble = read("trouble", job, unit) or {attempts = 0}
    local output, rows, decided = unpack(redis.call(
        "HMGET", key("job", job), "output", "rows", "rows_decided"))
    local workers = math.max(1, redis.call("ZCARD", shard .. ":workers"))
    local held_twice = redis.call("HEXISTS", key("lease", job), unit)
        + redis.call("HEXISTS", key("lease", job), unit .. "#copy") == 2
    return {
        job, output, unit, lease.fence, lease.worker, trouble.attempts, trouble.error or "",
        held_twice and 1 or 0, lease.alone and 1 or 0,
        math.max(1, math.floor((rows - decided) / (4 * workers))),
    }
end

-- Lease a unit that is ready, or leased once; returns what `tell` says. `kept_from` is the fence of
-- the lease of the whole unit, when this is what its holder keeps of a split one.
local function hold(job, unit, worker, device, alone, since, kept_from)
    local time = now()
    -- Never below the clock: fences rise even over a wipe or a restored snapshot.
    local last = tonumber(redis.call("GET", shard .. ":fence") or 0)
    local fence = text(math.max(last + 1, time))
    redis.call("SET", shard .. ":fence", fence)
    local slot = unit
    if redis.call("HEXISTS", key("lease", job), slot) == 1 then
        slot = unit .. "#copy"
    end
    local lease = {
        worker = worker, device = device, alone = alone, fence = fence, since = text(since),
        moved = "0", moved_at = text(time), stalled = false, kept_from = kept_from,
    }
    write("lease", job, slot, lease)
    redis.call("SREM", key("declined", job), device)
    redis.call("ZREM", key("ready", job), unit)
    -- Of a copy, the first lease is the older one.
    redis.call("ZADD", key("leased", job), "NX", text(since), unit)
    redis.call("ZADD", shard .. ":expiry", text(time + LEASE), job .. "/" .. slot)
    return tell(job, unit, lease)
end

-- Note that a worker lives, and forget those that were silent for a lease's time.
local function see(worker)
    hear()
    local time = now()
    redis.call("ZADD", shard .. ":workers", text(time), worker)
    local silent = redis.call("ZRANGE", shard .. ":workers",
        "-inf", text(time - LEASE), "BYSCORE", "LIMIT", 0, LARGEST_BATCH)
    for _, other in ipairs(silent) do
        redis.call("ZREM", shard .. ":workers", other)
        redis.call("HDEL", shard .. ":tickets", other)
    end
end

local function units_against(device)
    local found = redis.call("HGET", shard .. ":blame", device)
    return found and cjson.decode(found) or {}
end

local function is_drained(device)
    return #units_against(device) >= UNITS_AGAINST_DEVICE
end

-- Note that a device is there for units.
local function see_device(device)
    if device ~= "" and not is_drained(device) then
        redis.call("ZADD", shard .. ":devices", text(now()), device)
    end
end
