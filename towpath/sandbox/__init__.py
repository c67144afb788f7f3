"""The other party: each system as a real HTTP server; imports nothing of the product but its own toolkit."""
