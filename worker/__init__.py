"""Jobs: their record and its transitions, the Redis store, the queue, the Celery tasks, the model host."""
