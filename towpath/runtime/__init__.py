"""The frame that every role runs in."""
