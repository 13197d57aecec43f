#!lua flags=allow-oom
-- ARGV: limit (at most 100). Returns how many leases were taken back.
hear()
return reap(tonumber(ARGV[1]))
