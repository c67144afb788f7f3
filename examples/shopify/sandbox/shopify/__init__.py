"""Shopify, as far as orders and stock go."""
