#!lua
-- ARGV: job, then up to 100 units. Returns how many were unknown, or nil for an unknown job.
local job = ARGV[1]

if redis.call("EXISTS", key("job", job)) == 0 then
    return nil
end
local added = 0
for i = 2, #ARGV do
    local unit = ARGV[i]
    local known = redis.call("HEXISTS", key("leased", job), unit) == 1
        or redis.call("SISMEMBER", key("done", job), unit) == 1
    if not known then
        added = added + make_ready(job, unit, 0)
    end
end
return added
