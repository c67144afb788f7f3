"""Flows between BNG and Magento, all on one stack: each test has orders, customers and products of its own."""
