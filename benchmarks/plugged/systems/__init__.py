"""Found as part of `towpath.systems`."""
