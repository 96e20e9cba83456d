"""Webhooks: who may be told that a job has ended, what it is told, and how that is signed and sent.

Conventions: a receiver is never trusted. It was named by a client, so only hosts that the operator allows are
told (`receivers`), at addresses that were looked at (`addresses`), and what it answers is bounded in time and
size and thrown away (`client`). Messages are signed by the Standard Webhooks specification, 1.0.0
(`signature`). Which deliveries wait, and for how long, is `worker.webhooks`; `courier` makes them.
"""
