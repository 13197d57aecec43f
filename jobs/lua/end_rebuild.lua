#!lua
-- ARGV: job, epoch. Returns 1, or 0 if the job is unknown, at another epoch, or stale.
local job, epoch = ARGV[1], ARGV[2]

local at_epoch, built_on = unpack(redis.call("HMGET", key("job", job), "epoch", "server"))
if at_epoch ~= epoch or built_on ~= server() then
    return 0
end
redis.call("HSET", key("job", job), "rebuilding", 0)
enlist(job)
return 1
