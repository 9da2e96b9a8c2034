"""What the system tests and the benchmark share: standard library only."""
