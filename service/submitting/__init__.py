"""From a checked request to a job: once for a client's key, and from an earlier answer where one fits."""
