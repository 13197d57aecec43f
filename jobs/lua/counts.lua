#!lua flags=no-writes
-- ARGV: job. Returns the fields of QueueCounts in their order, or nil; microseconds for seconds.
local job = ARGV[1]

local epoch, rebuilding, rebuilt_at, built_on, wanted, intent, done, rows_decided, rows_ok,
    rows_failed, rows_rejected, sampling, declined = unpack(redis.call(
        "HMGET", key("job", job), "epoch", "rebuilding", "rebuilt_at", "server", "wanted", "intent",
        "done", "rows_decided", "rows_ok", "rows_failed", "rows_rejected", "sampling", "declined"))
if not epoch then
    return nil
end
return {
    tonumber(epoch), tonumber(rebuilding), now() - tonumber(rebuilt_at),
    built_on == server() and 0 or 1, wanted, tonumber(intent),
    redis.call("ZCARD", key("ready", job)), redis.call("ZCARD", key("leased", job)),
    tonumber(done), tonumber(rows_decided),
    tonumber(rows_ok), tonumber(rows_failed), tonumber(rows_rejected),
    tonumber(sampling), median_pace(job) or "", declined or "",
}
