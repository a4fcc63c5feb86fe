"""One script per claim: each prints a table and, with --json, writes its results as {name, value, target, ok}."""
