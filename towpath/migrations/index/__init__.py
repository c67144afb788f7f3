"""The index that is made from the topics."""
