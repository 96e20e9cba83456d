"""Expired jobs leave the indexes; their keys Redis itself has dropped by then."""

import time
from typing import cast

from redis import Redis

from worker import keys
from worker.jobs import QueueName

_BATCH = 200


def sweep(redis: Redis) -> None:
    """Takes some of the jobs that have expired out of every index."""
    now_ms = round(time.time() * 1000)
    expired = cast(list[bytes], redis.zrangebyscore(keys.EXPIRIES, "-inf", now_ms, start=0, num=_BATCH))
    if not expired:
        return
    ids = [member.decode() for member in expired]
    with redis.pipeline(transaction=True) as pipe:
        queues = (keys.queue(name) for name in QueueName)
        for index in (keys.JOBS, keys.EXPIRIES, keys.LEASES, keys.WEBHOOKS, *queues):
            pipe.zrem(index, *expired)
        pipe.hdel(keys.LEASE_HOLDERS, *ids)
        audiences = cast(list[bytes | None], redis.hmget(keys.AUDIENCES, ids))
        for job_id, audience in zip(ids, audiences, strict=True):
            if audience is not None:
                pipe.zrem(keys.jobs_of(audience.decode()), job_id)
        pipe.hdel(keys.AUDIENCES, *ids)
        places = cast(dict[bytes, bytes], redis.hgetall(keys.PLACES))
        for place in (place for place, holder in places.items() if holder in expired):
            pipe.hdel(keys.PLACES, place.decode())
        pipe.execute()
