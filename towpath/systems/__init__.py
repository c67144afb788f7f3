"""How to talk to each system: one module a system, discovered by its name."""
