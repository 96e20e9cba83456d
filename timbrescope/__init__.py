"""The composition root: the command line, the launcher of a whole service on one machine, and the
doctor.

Only this package may know `service`, `worker` and `ml` together, and it imports each only when it
is needed.
"""

__version__ = "0.1.0"
