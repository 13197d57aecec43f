#!lua flags=allow-oom
-- ARGV: job. What `expiry` still holds of it, reap drops in passing.
local job = ARGV[1]

local place = redis.call("HGET", key("job", job), "place")
if place then
    redis.call("ZREM", shard .. ":jobs", place)
    redis.call("ZREM", shard .. ":runnable", place)
    redis.call("UNLINK", key("job", job), key("ready", job), key("leased", job), key("lease", job),
        key("decided", job), key("trouble", job), key("pace", job), key("declined", job))
end
