"""The routes, one module for each group of them. Each is thin: check, call one function, answer."""
