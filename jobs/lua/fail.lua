#!lua flags=allow-oom
-- ARGV: job, unit, fence, error, delay in microseconds. Returns 1, or 0 if the lease is lost.
local job, unit, fence, error, delay = unpack(ARGV)

if not is_held(job, unit, fence) then
    return 0
end
charge(job, unit, error, now() + tonumber(delay))
return 1
