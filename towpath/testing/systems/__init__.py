"""What each system says of itself for the contract suites: one module a system, discovered by its name."""
