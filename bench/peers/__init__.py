"""The queues the bench compares with, each used as its own documentation tells; in the environment of requirements-bench.txt."""
