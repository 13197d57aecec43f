#!lua flags=allow-oom
-- ARGV: worker, then (job, unit, fence, moved, unbegun) for up to LARGEST_BATCH leases.
-- Returns the order for each.
local worker = ARGV[1]

local time = now()

local function renew(job, unit, fence, moved, unbegun)
    if not is_open(job) then
        return "continue"
    end
    local slot, lease = standing(job, unit, worker, fence)
    if not slot then
        return "lost"
    end
    see_device(lease.device)
    if moved > tonumber(lease.moved) then
        lease.moved, lease.moved_at = text(moved), text(time)
    end
    lease.stalled = time - tonumber(lease.moved_at) > STALL
    write("lease", job, slot, lease)
    if not lease.stalled then
        redis.call("ZADD", shard .. ":expiry", text(time + LEASE), job .. "/" .. slot)
    end
    local wanted, hungry, hungry_until = unpack(redis.call(
        "HMGET", key("job", job), "wanted", "hungry", "hungry_until"))
    if wanted ~= "run" then
        return "hand back"
    end
    if is_drained(lease.device) then
        return "drain"
    end
    if unbegun >= 2 and hungry and hungry ~= worker and time < tonumber(hungry_until) then
        redis.call("HDEL", key("job", job), "hungry", "hungry_until")
        return "share"
    end
    return "continue"
end

see(worker)
local orders = {}
for i = 2, #ARGV, 5 do
    orders[#orders + 1] = renew(
        ARGV[i], ARGV[i + 1], ARGV[i + 2], tonumber(ARGV[i + 3]), tonumber(ARGV[i + 4]))
end
return orders
