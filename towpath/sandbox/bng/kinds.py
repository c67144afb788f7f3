"""The kinds of record that BNG keeps, and how each is searched."""

from __future__ import annotations

from typing import Final

from towpath.sandbox.bng.records import Kind

SALES_ORDERS: Final = Kind("sales_order", "SalesOrderID", "SO", {"externalOrderId": "ExternalOrderID"}, inner=("OrderStatus",))
CUSTOMERS: Final = Kind("customer", "CustomerID", "C", {"externalId": "ExternalID", "email": "_Email"}, folded=("Email",))
PRODUCTS: Final = Kind("product", "ProductID", "P", {"sku": "SKU"})
INVENTORY: Final = Kind("inventory", "_key", "", {"sku": "SKU", "warehouse": "Warehouse"})
SHIPMENTS: Final = Kind("shipment", "ShipmentID", "SH", {"salesOrderId": "SalesOrderID"})
INVOICES: Final = Kind("invoice", "InvoiceID", "INV", {"salesOrderId": "SalesOrderID"})
PAYMENTS: Final = Kind("payment", "PaymentID", "PAY")
GL_ENTRIES: Final = Kind("gl_entry", "GlEntryID", "GL", {"reference": "Reference"})
CREDIT_MEMOS: Final = Kind("credit_memo", "CreditMemoID", "CM", {"salesOrderId": "SalesOrderID"})
VENDORS: Final = Kind("vendor", "VendorID", "V")
PURCHASE_ORDERS: Final = Kind("purchase_order", "PurchaseOrderID", "PO")

ALL: Final = (
    SALES_ORDERS,
    CUSTOMERS,
    PRODUCTS,
    INVENTORY,
    SHIPMENTS,
    INVOICES,
    PAYMENTS,
    GL_ENTRIES,
    CREDIT_MEMOS,
    VENDORS,
    PURCHASE_ORDERS,
)
