#!lua flags=allow-oom
-- ARGV: worker, lease and stall in microseconds, then (job, unit, fence, progress) for up to 100
-- leases. Returns for each, in order, 1 if it stands and 0 if it is lost.
local worker, lease, stall = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])

local time = now()
local stands = {}
for i = 4, #ARGV, 4 do
    local job, unit, fence, reached = ARGV[i], ARGV[i + 1], ARGV[i + 2], tonumber(ARGV[i + 3])
    local owner, progress, progressed_at = unpack(redis.call("HMGET", key("unit", job),
        unit .. ":worker", unit .. ":progress", unit .. ":progressed_at"))
    if is_held(job, unit, fence) and owner == worker then
        progressed_at = tonumber(progressed_at)
        if reached > tonumber(progress) then
            progressed_at = time
            redis.call("HSET", key("unit", job),
                unit .. ":progress", text(reached), unit .. ":progressed_at", text(time))
        end
        local stalled = time - progressed_at > stall
        redis.call("HSET", key("unit", job), unit .. ":stalled", stalled and "1" or "0")
        if not stalled then
            redis.call("ZADD", shard .. ":expiry", text(time + lease), job .. "/" .. unit)
        end
        stands[#stands + 1] = 1
    else
        stands[#stands + 1] = 0
    end
end
return stands
