"""Flows between Brightpearl, its 3PL and NopCommerce, all on one stack: each test has orders, customers and products of its own."""
