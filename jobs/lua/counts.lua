#!lua flags=no-writes
-- ARGV: job. Returns {ready, leased, done, rows ok, rows failed, rows rejected}, or nil.
local job = ARGV[1]

local place, rows_ok, rows_failed, rows_rejected = unpack(redis.call(
    "HMGET", key("job", job), "place", "rows_ok", "rows_failed", "rows_rejected"))
if not place then
    return nil
end
return {
    redis.call("ZCARD", key("ready", job)),
    redis.call("HLEN", key("leased", job)),
    redis.call("SCARD", key("done", job)),
    tonumber(rows_ok or 0), tonumber(rows_failed or 0), tonumber(rows_rejected or 0),
}
