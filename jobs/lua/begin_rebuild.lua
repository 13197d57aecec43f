#!lua
-- ARGV: job, output, priority, deadline or "", rows, epoch. Returns 1, or 0 if the job is at a later
-- epoch, or open at that one.
local job, output, priority, deadline, rows, epoch = unpack(ARGV)

local place, before, rebuilding = unpack(
    redis.call("HMGET", key("job", job), "place", "epoch", "rebuilding"))
if before and tonumber(before) >= tonumber(epoch) then
    -- An epoch is one caller's: who says it twice did not hear the first answer.
    return before == epoch and rebuilding == "1" and 1 or 0
end
if not place then
    place = string.format("%016d:%s", redis.call("INCR", shard .. ":sequence"), job)
    redis.call("HSET", key("job", job), "place", place, "wanted", "run", "intent", 0)
end
redis.call("ZADD", shard .. ":jobs", score(priority, deadline), place)
redis.call("HSET", key("job", job),
    "output", output, "priority", priority, "deadline", deadline, "rows", rows, "epoch", epoch,
    "rebuilding", 1, "rebuilt_at", text(now()), "server", server(),
    "done", 0, "rows_decided", 0, "rows_ok", 0, "rows_failed", 0, "rows_rejected", 0,
    "sampling", 0)
redis.call("HDEL", key("job", job), "hungry", "hungry_until", "declined")
-- What `expiry` still holds of its leases, reap drops in passing.
redis.call("UNLINK", key("ready", job), key("leased", job), key("lease", job),
    key("decided", job), key("trouble", job), key("pace", job))
enlist(job)
return 1
