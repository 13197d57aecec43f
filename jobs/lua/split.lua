#!lua flags=allow-oom
-- ARGV: job, unit, first half, second half, attempts, last error, and of the lease to keep worker
-- and fence, or "". Returns the lease of the first half, as `tell` says it, or nil.
local job, unit, first, second, attempts, error, worker, fence = unpack(ARGV)

local decided = redis.call("HGET", key("decided", job), unit)
if redis.call("EXISTS", key("job", job)) == 0 or string.match(decided or "", "^rows") then
    return nil
end
local keeps = fence ~= "" and is_open(job)
local whole = keeps and select(2, standing(job, unit, worker, fence))
if not decided then
    decide_split(job, unit)
end
for _, half in ipairs({first, second}) do
    if not is_known(job, half) then
        local charged = tonumber(attempts) > 0 and rows_in(half) > 1
        redis.call("ZADD", key("ready", job), charged and text(now()) or 0, half)
        if charged then
            write("trouble", job, half, {
                attempts = tonumber(attempts), error = error, device = "", devices = {}})
        end
    end
end

local kept = nil
if whole and redis.call("ZSCORE", key("ready", job), first) then
    kept = hold(job, first, worker, whole.device, whole.alone, tonumber(whole.since), fence)
elseif keeps then
    -- This very split gave it before, if the answer was lost.
    local _, lease = find_lease(job, first, function(lease)
        return lease.worker == worker and lease.kept_from == fence
    end)
    kept = lease and tell(job, first, lease)
end
enlist(job)
return kept
