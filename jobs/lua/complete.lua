#!lua flags=allow-oom
-- ARGV: job, unit, rows ok, rows failed, rows rejected, device or "", microseconds of sampling.
local job, unit, rows_ok, rows_failed, rows_rejected, device, sampling = unpack(ARGV)

-- Whether a unit that speaks against a device shares rows with this one.
local function shares_rows(other)
    local first, last = string.match(unit, "^(%d+)-(%d+)$")
    local its_job, its_first, its_last = string.match(other, "^(.*)/(%d+)-(%d+)$")
    return its_job == job and its_first < last and first < its_last
end

-- The unit speaks against the device that it broke on, if it is another and the only one.
local function accuse()
    local trouble = read("trouble", job, unit)
    if device == "" or not trouble or #trouble.devices ~= 1 or trouble.devices[1] == device then
        return
    end
    local units = units_against(trouble.devices[1])
    for _, other in ipairs(units) do
        if shares_rows(other) then
            return
        end
    end
    if #units < UNITS_AGAINST_DEVICE then
        units[#units + 1] = job .. "/" .. unit
        redis.call("HSET", shard .. ":blame", trouble.devices[1], cjson.encode(units))
    end
end

-- What the device did before was by chance, unless it was enough to drain it.
local function acquit()
    redis.call("ZREM", shard .. ":probation", device)
    if #units_against(device) < UNITS_AGAINST_DEVICE then
        redis.call("HDEL", shard .. ":blame", device)
    end
end

local function note_pace()
    local since = redis.call("ZSCORE", key("leased", job), unit)
    if since then
        local pace = (now() - tonumber(since)) / rows_in(unit)
        redis.call("LPUSH", key("pace", job), string.format("%.17g", pace))
        redis.call("LTRIM", key("pace", job), 0, MEDIAN_UNITS - 1)
    end
end

if redis.call("EXISTS", key("job", job)) == 0 then
    return
end
local decided = redis.call("HGET", key("decided", job), unit)
if not decided then
    note_pace()
    accuse()
    decide_rows(job, unit)
    enlist(job)
elseif decided ~= "rows" then
    return
end
acquit()
redis.call("HSET", key("decided", job), unit,
    "rows " .. rows_ok .. " " .. rows_failed .. " " .. rows_rejected)
redis.call("HINCRBY", key("job", job), "rows_ok", rows_ok)
redis.call("HINCRBY", key("job", job), "rows_failed", rows_failed)
redis.call("HINCRBY", key("job", job), "rows_rejected", rows_rejected)
redis.call("HINCRBY", key("job", job), "sampling", sampling)
