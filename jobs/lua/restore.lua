#!lua
-- ARGV: job, epoch, then (unit, "undecided" | "rows" | "split") for up to LARGEST_BATCH units.
-- Returns 1, or 0 if the job is unknown, at another epoch, or stale.
local job, epoch = ARGV[1], ARGV[2]

local at_epoch, built_on = unpack(redis.call("HMGET", key("job", job), "epoch", "server"))
if at_epoch ~= epoch or built_on ~= server() then
    return 0
end
for i = 3, #ARGV, 2 do
    local unit, state = ARGV[i], ARGV[i + 1]
    if state == "undecided" then
        if not is_known(job, unit) then
            redis.call("ZADD", key("ready", job), 0, unit)
        end
    elseif redis.call("HEXISTS", key("decided", job), unit) == 0 then
        if state == "split" then
            decide_split(job, unit)
        else
            decide_rows(job, unit)
        end
    end
end
enlist(job)
redis.call("HSET", key("job", job), "rebuilt_at", text(now()))
return 1
