"""Validators of postal addresses that a merchant plugs in (towpath/plugging.py): each module of a plug-in's `validators/` is asked after our rules.

A module has `check(address)`, which returns the part of the address that cannot be and why, such as `("postcode", "no such street there")`, or
None where it knows nothing against it. It is asked in the processor for every address of an order or a customer, so it answers from what it
has: one that asks a service keeps the answers, and says None until it has one. One that raises counts as one that knows nothing.
"""
