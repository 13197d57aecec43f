#!lua flags=allow-oom
-- ARGV: job, unit, worker, fence, why the job was declined or "". Returns 1, or 0 if the lease is
-- lost.
local job, unit, worker, fence, declined = unpack(ARGV)

local slot, lease = standing(job, unit, worker, fence)
if not slot or not is_open(job) then
    return 0
end
end_lease(job, unit, slot, 0)
if declined ~= "" then
    redis.call("HSET", key("job", job), "declined", declined)
    if lease.device ~= "" then
        redis.call("SADD", key("declined", job), lease.device)
    end
end
return 1
