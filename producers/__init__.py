"""Sources: the receiver, the adapter, and one package a system that turns its payloads into canonical events."""
