"""Found as part of `sinks`."""
