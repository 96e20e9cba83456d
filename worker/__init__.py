"""Jobs: the record and its legal transitions, the Redis store, the queue, the Celery tasks and the model

host.
"""
