"""What each pair of systems needs to be played: their sandbox settings and the configuration that joins them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from towpath.errors import ConfigError

SHOP, ERP, THREEPL = "shop", "erp", "threepl"
"""The parts of a pair, and the names of their connections where the pair runs alone."""
ALL = "all"
"""Stands for every pair at once."""
SECRETS = "file:secrets/"
POLL_SECONDS = 60
"""Of a pair that runs alone, as it is where the configuration says nothing."""
WEBHOOK_SECRET = "whsec_dG93cGF0aC1kZW1vLXdlYmhvb2stc2VjcmV0"  # noqa: S105 - of the demonstration's own shop on 127.0.0.1
ERP_WEBHOOK_SECRET = "whsec_dG93cGF0aC1kZW1vLWVycC13ZWJob29rLXNlY3JldA=="  # noqa: S105 - of the demonstration's own ERP
ADDRESS_SECRET = "towpath-demo-webhooks-of-the-erp"  # noqa: S105 - the same, in an address
THREEPL_SECRET = "whsec_dG93cGF0aC1kZW1vLTNwbC13ZWJob29rLXNlY3JldA=="  # noqa: S105 - of the demonstration's own 3PL
EVENT_OWNER = 9
"""The contact in whose name notes are shipped that the 3PL has sent: the shop hears of those from the 3PL itself."""
ACCOUNTS = {"payment_accounts": {"checkmo": "1010"}, "receivable_account": "1200"}
"""Where BNG's ledger has the money of each payment method, and what customers owe."""
RATES = {"requests_per_minute": 60_000, "burst": 1_000}
"""The demonstration raises BNG's limit (600 a minute, burst 50), so that a run takes seconds; the figures say so."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A shop and an ERP: their systems, and the secrets each connection's credentials refer to."""

    short: str
    """What it is called in names, which are no longer than 40 characters."""
    shop: str
    erp: str
    shop_settings: Mapping[str, Any]
    erp_settings: Mapping[str, Any]
    shop_credentials: Mapping[str, str]
    erp_credentials: Mapping[str, str]
    secrets: Mapping[str, str]
    flows: Mapping[str, Mapping[str, Any]]
    erp_path: str = ""
    """What the ERP's address ends with, where its paths are below an account."""
    erp_hook: str = ""
    """What the address of the ERP's webhooks ends with, where that has their secret."""
    cancels_paid: bool = True
    """Whether the shop takes the cancellation of an order that is paid; else somebody has to refund it there."""
    frees_cancelled: bool = True
    """Whether the ERP has what an order held for sale again once that is cancelled; else the shop puts back what it must not sell."""
    threepl_settings: Mapping[str, Any] | None = None
    """Those of the 3PL that ships for the ERP, None where there is none."""

    prefix: str = ""
    """What the names of its connections, flows and secrets begin with, where other pairs run beside it."""

    def name(self, part: str) -> str:
        """Return the name of the connection to one of its parts."""
        return f"{self.prefix}{part}"

    @property
    def label(self) -> str:
        """What the pair is called."""
        return f"{self.erp}-{self.shop}"

    @property
    def settings(self) -> dict[str, Mapping[str, Any]]:
        """The sandbox settings of each part that there is."""
        return {SHOP: self.shop_settings, ERP: self.erp_settings} | ({} if self.threepl_settings is None else {THREEPL: self.threepl_settings})

    @property
    def credentials(self) -> dict[str, Mapping[str, str]]:
        """What the configuration says of each part's credentials."""
        return {SHOP: self.shop_credentials, ERP: self.erp_credentials, THREEPL: {"token": f"{SECRETS}threepl-token"}}

    @property
    def sandboxes(self) -> dict[str, str]:
        """The system of each connection."""
        systems = {SHOP: self.shop, ERP: self.erp, THREEPL: "threepl"}
        return {self.name(part): systems[part] for part in self.settings}

    def takes(self, event: str) -> bool:
        """Tell whether a flow of the shop takes this event."""
        return any((flow["source"], flow["event"]) == (SHOP, event) for flow in self.flows.values())

    @property
    def reference_prefix(self) -> str:
        """What the ERP's reference of a shop order begins with."""
        return str(next(iter(self.flows.values()))["reference_prefix"])


def _flow(source: str, target: str, event: str, mapping: str) -> dict[str, Any]:
    return {"source": source, "target": target, "event": event, "mapping": mapping}


PAIRS: Mapping[str, Pair] = {
    "bng-nopcommerce": Pair(
        short="bng-nop",
        shop="nopcommerce",
        erp="bng",
        shop_settings={"username": "api@shop.example", "password": "shop-demo-password", "webhook_secret": WEBHOOK_SECRET},
        erp_settings={"api_key": "bng-demo-key", "webhook_secret": ERP_WEBHOOK_SECRET, **RATES},
        shop_credentials={"username": "api@shop.example", "password": "file:secrets/shop-password"},
        erp_credentials={"api_key": "file:secrets/erp-key"},
        secrets={"shop-password": "shop-demo-password", "erp-key": "bng-demo-key", "shop-webhook": WEBHOOK_SECRET, "erp-webhook": ERP_WEBHOOK_SECRET},
        flows={
            "shop-orders-to-erp": _flow(SHOP, ERP, "OrderPlaced", "nopcommerce-bng/order_placed") | {"reference_prefix": "SHOP-"},
            "shop-changes-to-erp": _flow(SHOP, ERP, "OrderChanged", "nopcommerce-bng/order_changed"),
            "shop-cancellations-to-erp": _flow(SHOP, ERP, "OrderCancelled", "nopcommerce-bng/order_cancelled"),
            "shop-payments-to-erp": _flow(SHOP, ERP, "PaymentReceived", "nopcommerce-bng/payment_received"),
            "erp-status-to-shop": _flow(ERP, SHOP, "OrderStatusChanged", "bng-nopcommerce/order_status_changed"),
            "erp-shipments-to-shop": _flow(ERP, SHOP, "ShipmentConfirmed", "bng-nopcommerce/shipment_confirmed"),
            "erp-stock-to-shop": _flow(ERP, SHOP, "StockChanged", "bng-nopcommerce/stock_changed"),
            "erp-products-to-shop": _flow(ERP, SHOP, "ProductChanged", "bng-nopcommerce/product_changed") | {"options": {"currency": "USD"}},
        },
    ),
    "bng-magento": Pair(
        short="bng-mag",
        shop="magento",
        erp="bng",
        shop_settings={"access_token": "shop-demo-token", "webhook_secret": WEBHOOK_SECRET},
        erp_settings={"api_key": "bng-demo-key", "webhook_secret": ERP_WEBHOOK_SECRET, **RATES},
        shop_credentials={"access_token": "file:secrets/shop-token"},
        erp_credentials={"api_key": "file:secrets/erp-key"},
        cancels_paid=False,
        secrets={"shop-token": "shop-demo-token", "erp-key": "bng-demo-key", "shop-webhook": WEBHOOK_SECRET, "erp-webhook": ERP_WEBHOOK_SECRET},
        flows={
            "shop-orders-to-erp": _flow(SHOP, ERP, "OrderPlaced", "magento-bng/order_placed") | {"reference_prefix": "SHOP-"},
            "shop-changes-to-erp": _flow(SHOP, ERP, "OrderChanged", "magento-bng/order_changed"),
            "shop-cancellations-to-erp": _flow(SHOP, ERP, "OrderCancelled", "magento-bng/order_cancelled"),
            "shop-payments-to-erp": _flow(SHOP, ERP, "PaymentReceived", "magento-bng/payment_received") | {"options": ACCOUNTS},
            "shop-refunds-to-erp": _flow(SHOP, ERP, "RefundIssued", "magento-bng/refund_issued") | {"options": ACCOUNTS},
            "erp-status-to-shop": _flow(ERP, SHOP, "OrderStatusChanged", "bng-magento/order_status_changed"),
            "erp-shipments-to-shop": _flow(ERP, SHOP, "ShipmentConfirmed", "bng-magento/shipment_confirmed"),
            "erp-invoices-to-shop": _flow(ERP, SHOP, "InvoiceIssued", "bng-magento/invoice_issued"),
            "erp-stock-to-shop": _flow(ERP, SHOP, "StockChanged", "bng-magento/stock_changed"),
            "erp-products-to-shop": _flow(ERP, SHOP, "ProductChanged", "bng-magento/product_changed")
            | {
                "options": {
                    "currency": "USD",
                    "attribute_sets": {**dict.fromkeys(("Accessories", "Kitchen", "Stationery"), "Default"), "Home": "Home", "Apparel": "Apparel"},
                    "attributes": {"Colour": "color", "Size": "size", "Fabric": "fabric", "Washable": "washable"},
                }
            },
        },
    ),
    "brightpearl-nopcommerce": Pair(
        short="bp-nop",
        shop="nopcommerce",
        erp="brightpearl",
        shop_settings={"username": "api@shop.example", "password": "shop-demo-password", "webhook_secret": WEBHOOK_SECRET},
        erp_settings={"account_token": "brightpearl-demo-token", "calls_per_minute": RATES["requests_per_minute"]},
        shop_credentials={"username": "api@shop.example", "password": "file:secrets/shop-password"},
        erp_credentials={"app_ref": "acme_towpath", "account_token": "file:secrets/erp-token"},
        secrets={
            "shop-password": "shop-demo-password",
            "erp-token": "brightpearl-demo-token",
            "shop-webhook": WEBHOOK_SECRET,
            "erp-webhook": ADDRESS_SECRET,
            "threepl-token": "threepl-demo-token",
            "threepl-webhook": THREEPL_SECRET,
        },
        frees_cancelled=False,
        threepl_settings={"token": "threepl-demo-token", "webhook_secret": THREEPL_SECRET, "ships_after_seconds": 1.0},
        flows={
            "shop-orders-to-erp": _flow(SHOP, ERP, "OrderPlaced", "nopcommerce-brightpearl/order_placed")
            | {
                "reference_prefix": "SHOP-",
                "options": {"tax_code": "T20", "exempt_tax_code": "Z", "warehouse_id": 2, "time_zone": "America/Chicago"},
            },
            "shop-cancellations-to-erp": _flow(SHOP, ERP, "OrderCancelled", "nopcommerce-brightpearl/order_cancelled")
            | {"options": {"cancelled_status_id": 5}},
            "shop-payments-to-erp": _flow(SHOP, ERP, "PaymentReceived", "nopcommerce-brightpearl/payment_received")
            | {
                "options": {
                    "payment_methods": {"Payments.Manual": "CASH", "Payments.Card": "CARD"},
                    "offline_methods": ["Payments.Manual"],
                    "debit_nominal_code": "1200",
                    "credit_nominal_code": "1100",
                    "time_zone": "America/Chicago",
                }
            },
            "erp-status-to-shop": _flow(ERP, SHOP, "OrderStatusChanged", "brightpearl-nopcommerce/order_status_changed")
            | {"options": {"statuses": {"1": "none", "2": "none", "3": "20", "4": "20", "5": "40"}}},
            "erp-shipments-to-shop": _flow(ERP, SHOP, "ShipmentConfirmed", "brightpearl-nopcommerce/shipment_confirmed")
            | {"options": {"carriers": {"49": "DHL"}, "told_by_others": [str(EVENT_OWNER)]}},
            "erp-requests-to-threepl": _flow(ERP, THREEPL, "ShipmentRequested", "brightpearl-threepl/shipment_requested")
            | {"reference_prefix": "BP-", "options": {"warehouses": ["2"], "services": {"49": "express"}}},
            "threepl-shipments-to-erp": _flow(THREEPL, ERP, "ShipmentConfirmed", "threepl-brightpearl/shipment_confirmed")
            | {"options": {"event_owner_id": EVENT_OWNER}},
            "threepl-shipments-to-shop": _flow(THREEPL, SHOP, "ShipmentConfirmed", "threepl-nopcommerce/shipment_confirmed"),
            "shop-cancellations-to-threepl": _flow(SHOP, THREEPL, "OrderCancelled", "nopcommerce-threepl/order_cancelled")
            | {"options": {"warehouses": ["2"]}},
            "shop-returns-to-erp": _flow(SHOP, ERP, "ReturnRequested", "nopcommerce-brightpearl/return_requested")
            | {
                "reference_prefix": "SHOP-",
                "options": {
                    "tax_code": "T20",
                    "exempt_tax_code": "Z",
                    "warehouse_id": 2,
                    "time_zone": "America/Chicago",
                    "refund_failed_status_id": 7,
                    "refunded_status_id": 8,
                },
            },
            "erp-refunds-to-shop": _flow(ERP, SHOP, "RefundIssued", "brightpearl-nopcommerce/refund_issued"),
            "erp-stock-to-shop": _flow(ERP, SHOP, "StockChanged", "brightpearl-nopcommerce/stock_changed") | {"options": {"locations": ["2", "3"]}},
            "erp-products-to-shop": _flow(ERP, SHOP, "ProductChanged", "brightpearl-nopcommerce/product_changed")
            | {"options": {"price_list": 2, "currency": "USD"}},
        },
        erp_path="/public-api/acme",
        erp_hook=f"?secret={ADDRESS_SECRET}",
    ),
}


def find_pair(name: str) -> Pair:
    """Return the pair; raises ConfigError that lists the known ones."""
    if name not in PAIRS:
        raise ConfigError(f"--pair: there is no pair {name!r}; known: {', '.join((*PAIRS, ALL))}")
    return PAIRS[name]


def find_pairs(name: str) -> tuple[Pair, ...]:
    """Return the pair of that name, or every pair, each with names of its own; raises ConfigError as `find_pair` does."""
    return tuple(replace(pair, prefix=f"{pair.short}-") for pair in PAIRS.values()) if name == ALL else (find_pair(name),)


def configuration(pairs: Sequence[Pair], ports: Mapping[str, int]) -> dict[str, Any]:
    """Return the YAML content that joins the pairs; `ports` has those of kafka, receiver, registry, and each sandbox by its connection."""
    return {
        "kafka": {"bootstrap_servers": f"127.0.0.1:{ports['kafka']}"},
        "data_dir": "data",
        "health": {"receiver": 0, "poller": 0, "adapter": 0, "processor": 0, "sink": 0, "indexer": 0, "registry": 0},
        "schema_registry": {"port": ports["registry"]},
        "receiver": {"port": ports["receiver"]},
        "connections": {pair.name(part): _connection(pair, part, ports) | _polled(len(pairs)) for pair in pairs for part in pair.settings},
        "flows": {
            f"{pair.prefix}{name}": {**flow, "source": pair.name(flow["source"]), "target": pair.name(flow["target"])}
            for pair in pairs
            for name, flow in pair.flows.items()
        },
    }


def _connection(pair: Pair, part: str, ports: Mapping[str, int]) -> dict[str, Any]:
    patience = {"request_timeout_seconds": 3, "settle_seconds": 4, "probe_seconds": 0.5}
    name = pair.name(part)
    return {
        "system": pair.sandboxes[name],
        "url": f"http://127.0.0.1:{ports[name]}{pair.erp_path if part == ERP else ''}",
        "credentials": {key: value.replace(SECRETS, f"{SECRETS}{pair.prefix}") for key, value in pair.credentials[part].items()},
        "webhook_secret": f"{SECRETS}{name}-webhook",
        "limits": patience | (RATES if part == ERP else {}),
    }


def _polled(pairs: int) -> dict[str, Any]:
    """Return how often the lists of a connection are read: each the more seldom, the more pairs have them read by the same roles."""
    return {} if pairs == 1 else {"poll_seconds": POLL_SECONDS * pairs}
