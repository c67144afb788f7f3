"""The command line: each module here registers its own commands, and `main` discovers them."""
