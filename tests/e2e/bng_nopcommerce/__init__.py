"""Flows between BNG and NopCommerce, all on one stack: each test has orders, customers and products of its own."""
