"""How calls are answered: jobs, files whole or in part, events, lists."""
