#!lua
-- ARGV: worker, limit (at most LARGEST_BATCH), device or "", job or "" for any, 1 for what may be
-- drawn among others, ticket or "", then the jobs to leave to others.
-- Returns a list of leases, as `tell` says them.
local worker, limit, device, named_job = ARGV[1], tonumber(ARGV[2]), ARGV[3], ARGV[4]
local among_others, ticket = ARGV[5] == "1", ARGV[6]
-- As many jobs are looked at besides these.
local without, most_jobs = {}, LARGEST_BATCH + #ARGV - 6
for i = 7, #ARGV do
    without[ARGV[i]] = true
end

-- Renew those of the leases that stand; returns them.
local function renew(given)
    local renewed = {}
    for _, told in ipairs(given) do
        local job, _, unit, fence = unpack(told)
        local slot = is_open(job) and standing(job, unit, worker, fence)
        if slot then
            redis.call("ZADD", shard .. ":expiry", text(now() + LEASE), job .. "/" .. slot)
            renewed[#renewed + 1] = told
        end
    end
    return renewed
end

see(worker)
local last = ticket ~= "" and redis.call("HGET", shard .. ":tickets", worker)
last = last and cjson.decode(last)
if last and last.ticket == ticket then
    return renew(last.leases)
end
reap(LARGEST_BATCH)
if limit < 1 or is_drained(device) then
    return {}
end

local time = now()
local leases = {}

see_device(device)
redis.call("ZREMRANGEBYSCORE", shard .. ":devices", "-inf", text(time - LEASE))
local on_probation = redis.call("ZSCORE", shard .. ":probation", device) ~= false
if among_others and on_probation then
    return {}
end

-- Remember what is given under the ticket.
local function give()
    if ticket ~= "" and #leases > 0 then
        redis.call("HSET", shard .. ":tickets", worker,
            cjson.encode({ticket = ticket, leases = leases}))
    end
    return leases
end

local function may_claim(job)
    return not without[job]
        and redis.call("HGET", key("job", job), "wanted") == "run" and is_open(job)
end

local others = {}

-- Whether another device was heard of within the last lease's time that does not decline the job.
local function others_are_there(job)
    if others[job] == nil then
        local devices = redis.call("ZDIFF", 2, shard .. ":devices", key("declined", job))
        others[job] = #devices > 1 or #devices == 1 and devices[1] ~= device
    end
    return others[job]
end

-- Whether a unit should first be seen by another device than the one that it broke on.
local function waits(job, unit)
    local trouble = device ~= "" and read("trouble", job, unit)
    return trouble and trouble.device == device
        and tonumber(trouble.broke_at) + OTHERS_FIRST * LEASE > time and others_are_there(job)
end

-- Returns whether charged units are left that may not be drawn among others.
local function claim_from(job)
    local left = false
    local due = redis.call("ZRANGE", key("ready", job),
        "-inf", text(time), "BYSCORE", "LIMIT", 0, LARGEST_BATCH)
    for _, unit in ipairs(due) do
        if #leases == limit then
            break
        end
        if not waits(job, unit) then
            local charged = is_charged(job, unit)
            if among_others and charged then
                left = true
            else
                leases[#leases + 1] = hold(
                    job, unit, worker, device, on_probation or charged, time)
            end
        end
    end
    enlist(job)
    return left
end

-- The oldest of the slow units of which this worker might hold a copy.
local function slow_unit(job)
    local pace = median_pace(job)
    if not pace then
        return nil
    end
    local slow = SLOW * tonumber(pace)
    local oldest = redis.call("ZRANGE", key("leased", job), 0, LARGEST_BATCH - 1, "WITHSCORES")
    for i = 1, #oldest, 2 do
        local unit, seconds = oldest[i], time - tonumber(oldest[i + 1])
        if seconds <= slow then
            -- No unit has fewer rows than one, and the others are younger still.
            return nil
        end
        -- Only then the leases, which take the longest to read.
        if seconds > slow * rows_in(unit) then
            local original = read("lease", job, unit)
            local copy = read("lease", job, unit .. "#copy")
            local held_once = not (original and copy)
            local lease = original or copy
            if held_once and lease.worker ~= worker
                and not lease.last_standing and not is_charged(job, unit) then
                return unit
            end
        end
    end
end

local left = false
if named_job ~= "" then
    left = may_claim(named_job) and claim_from(named_job)
else
    for _, place in ipairs(redis.call("ZRANGE", shard .. ":runnable", 0, most_jobs - 1)) do
        local job = string.sub(place, 18)
        if #leases == limit then
            break
        elseif is_open(job) then
            left = not without[job] and claim_from(job) or left
        else
            -- It is stale, and listed again when it was built anew.
            redis.call("ZREM", shard .. ":runnable", place)
        end
    end
end
if left or #leases > 0 then
    return give()
end

local busy = {}
if named_job ~= "" then
    busy[1] = named_job
else
    for _, place in ipairs(redis.call("ZRANGE", shard .. ":jobs", 0, most_jobs - 1)) do
        busy[#busy + 1] = string.sub(place, 18)
    end
end
for _, job in ipairs(busy) do
    if may_claim(job) then
        redis.call("HSET", key("job", job), "hungry", worker, "hungry_until", text(time + LEASE))
        local unit = #leases == 0 and slow_unit(job)
        if unit then
            leases[1] = hold(job, unit, worker, device, on_probation, time)
        end
    end
end
return give()
