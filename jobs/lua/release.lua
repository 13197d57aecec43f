#!lua flags=allow-oom
-- ARGV: job, unit, worker, fence. Returns 1, or 0 if the lease is lost.
local job, unit, worker, fence = unpack(ARGV)

local slot = standing(job, unit, worker, fence)
if not slot or not is_open(job) then
    return 0
end
end_lease(job, unit, slot, 0)
return 1
