"""Runs spread over hosts: the leading server sends them to workers, over Celery, on which dagster-celery stands too.

- `broker` is the Celery application, by which messages go to the broker and come from it.
- `rabbitmq` is what a RabbitMQ needs other than a Redis.
- `dispatcher` is the sender's side: the launcher hands runs over to it, and the reconcile sensor has it send again what got lost.
- `consumer` is a worker's side: it takes runs from the broker, and starts a process for each, as on one machine.
- `host` is `pipekit serve --worker`: it keeps a consumer running.

A message holds a run's id and nothing else. What counts is the row in the state store (`pipekit_engine.store.dispatches`), which
the run's process takes before its first step: a message may be lost, doubled or late. dagster-celery's own run launcher is not
used: it executes runs inside the consumer, asks Celery's result backend what became of them (which says STARTED for ever when
a worker has vanished), and a message that is delivered twice runs twice. Nor is its executor: it stops a group at the first
failure, and waits for ever for the step of a lost worker.
"""
