"""Magento 2 as the sandbox plays it: REST V1, MSI, and the events of Adobe Commerce (vendor-apis.md, section 1)."""
