"""What is read of Redis itself, whatever it allows."""

from redis import Redis

from worker.status import memory_of, server_of


def test_what_redis_says_of_itself(redis: Redis) -> None:
    assert server_of(redis).persistence == "no append-only file"
    redis.config_set("appendonly", "yes")
    redis.config_set("appendfsync", "always")
    try:
        found = server_of(redis)
        assert found.persistence == "append-only file, written always"
        assert found.memory.used_bytes > 0
    finally:
        redis.config_set("appendonly", "no")
        redis.config_set("appendfsync", "everysec")


def test_a_redis_that_hides_its_configuration(redis: Redis, redis_url: str) -> None:
    redis.config_set("appendonly", "yes")
    redis.acl_setuser(
        "guest", enabled=True, nopass=True, categories=["+@all"], commands=["-config"], keys=["*"]
    )
    guest = Redis.from_url(redis_url, username="guest", password="any")
    try:
        assert server_of(guest).persistence == "append-only file, written as configured"
        assert memory_of(guest).limit_bytes == 0
    finally:
        guest.close()
        redis.acl_deluser("guest")
        redis.config_set("appendonly", "no")
