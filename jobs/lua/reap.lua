#!lua flags=allow-oom
-- ARGV: limit (at most LARGEST_BATCH). Returns how many leases were taken back.
hear()
return reap(tonumber(ARGV[1]))
