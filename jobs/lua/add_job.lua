#!lua
-- ARGV: job, output, priority, max attempts.
local job, output, priority, max_attempts = unpack(ARGV)

if redis.call("EXISTS", key("job", job)) == 1 then
    return
end
-- Scores put a high priority first; equal scores sort by member, and so by age.
local place = string.format("%016d:%s", redis.call("INCR", shard .. ":sequence"), job)
redis.call("ZADD", shard .. ":jobs", text(0 - priority), place)
redis.call("HSET", key("job", job),
    "output", output, "priority", priority, "max_attempts", max_attempts, "place", place)
