"""The effect ledger and what is kept beside it: what is parked, cursors, budgets and tokens."""
