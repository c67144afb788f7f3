"""Brightpearl: the retail ERP as its own API shows it."""
