#!lua flags=allow-oom
-- ARGV: job, unit, fence. Returns 1, or 0 if the lease is lost.
local job, unit, fence = unpack(ARGV)

if not is_held(job, unit, fence) then
    return 0
end
end_lease(job, unit)
make_ready(job, unit, 0)
return 1
