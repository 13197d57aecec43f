#!lua flags=allow-oom
-- ARGV: worker, then up to LARGEST_BATCH members of `expiry`. Returns how many of them were the
-- worker's leases and are taken back.
local worker = ARGV[1]

local expired = 0
for i = 2, #ARGV do
    local job, unit, slot, lease = lease_of(ARGV[i])
    if lease and lease.worker == worker then
        charge_expired(job, unit, slot, lease, now())
        expired = expired + 1
    end
end
return expired
