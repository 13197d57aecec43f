#!lua flags=allow-oom
-- ARGV: job, unit, worker, fence, error, delay in microseconds.
-- Returns 1, or 0 if the lease is lost.
local job, unit, worker, fence, error, delay = unpack(ARGV)

local slot, lease = standing(job, unit, worker, fence)
if not slot or not is_open(job) then
    return 0
end
charge(job, unit, slot, lease, error, now() + tonumber(delay))
return 1
