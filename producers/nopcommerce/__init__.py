"""NopCommerce as a source."""
