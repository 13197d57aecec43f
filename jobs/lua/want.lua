#!lua flags=allow-oom
-- ARGV: job, what is wanted, number of the intent. Returns 1, or 0 if the job is unknown or a later
-- intent was told.
local job, wanted, intent = unpack(ARGV)

local told = redis.call("HGET", key("job", job), "intent")
if not told or tonumber(intent) < tonumber(told) then
    return 0
end
redis.call("HSET", key("job", job), "wanted", wanted, "intent", intent)
enlist(job)
return 1
