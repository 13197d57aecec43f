#!lua flags=allow-oom
-- ARGV: job, unit, rows ok, rows failed, rows rejected.
local job, unit, rows_ok, rows_failed, rows_rejected = unpack(ARGV)

local place = redis.call("HGET", key("job", job), "place")
if not place or redis.call("SADD", key("done", job), unit) == 0 then
    return
end
end_lease(job, unit)
redis.call("HDEL", key("unit", job), unit .. ":attempts", unit .. ":error")
redis.call("ZREM", key("ready", job), unit)
if redis.call("EXISTS", key("ready", job)) == 0 then
    redis.call("ZREM", shard .. ":runnable", place)
end
redis.call("HINCRBY", key("job", job), "rows_ok", rows_ok)
redis.call("HINCRBY", key("job", job), "rows_failed", rows_failed)
redis.call("HINCRBY", key("job", job), "rows_rejected", rows_rejected)
