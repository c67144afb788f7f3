"""The calls that write customers: the customer's row, addresses, generic attributes and roles, each by itself and without a check."""

from __future__ import annotations

import uuid
from typing import Final

from towpath.sandbox.kit.messages import Answer, Call, Endpoint, Refusal
from towpath.sandbox.kit.store import Doc, Store
from towpath.sandbox.nopcommerce.api import BASE
from towpath.sandbox.nopcommerce.fields import NO_GUID, row
from towpath.sandbox.nopcommerce.query import identifier
from towpath.sandbox.nopcommerce.shop import FIRST_REGISTERED, REGISTERED, Shop
from towpath.sandbox.nopcommerce.status import broken

FIRST_ADDRESS: Final = 900_000_000
ROLE: Final[Doc] = {
    "name": "Registered",
    "free_shipping": False,
    "tax_exempt": False,
    "active": True,
    "is_system_role": True,
    "system_name": "Registered",
    "enable_password_lifetime": False,
    "override_tax_display_type": False,
    "default_tax_display_type_id": 0,
    "purchased_with_product_id": 0,
    "id": REGISTERED,
}


class Clients:
    """The calls of one shop that write customers. E-mail addresses are unique in the shop's own pages, not here."""

    def __init__(self, store: Store, shop: Shop) -> None:
        self._store, self._shop = store, shop

    def endpoints(self) -> list[Endpoint]:
        """Return the paths."""
        return [
            Endpoint("POST", f"{BASE}/Customer/Create", self.create, write=True),
            Endpoint("PUT", f"{BASE}/Customer/Update", self.update, write=True),
            Endpoint("GET", f"{BASE}/Customer/InsertCustomerAddress/{{customerId}}/{{addressId}}", self.add_address, write=True),
            Endpoint("POST", f"{BASE}/Address/Create", self.create_address, write=True),
            Endpoint("PUT", f"{BASE}/Address/Update", self.update_address, write=True),
            Endpoint("POST", f"{BASE}/GenericAttribute/Create", self.create_attribute, write=True),
            Endpoint("PUT", f"{BASE}/GenericAttribute/Update", self.update_attribute, write=True),
            Endpoint("GET", f"{BASE}/CustomerRole/GetCustomerRoleBySystemName", self.role),
            Endpoint("GET", f"{BASE}/CustomerRole/IsRegistered/{{customerId}}", self.is_registered),
            Endpoint("POST", f"{BASE}/CustomerRole/AddCustomerRoleMapping", self.add_role, write=True),
        ]

    def create(self, call: Call) -> Answer:
        """Answer `POST Customer/Create` with the new row: a guest, until it has the role of those who registered."""
        given = {**row("customer", call), "id": FIRST_REGISTERED + self._store.add("id/customer")}
        if given["customer_guid"] == NO_GUID:
            given["customer_guid"] = str(uuid.uuid4())
        self._store.put("customer", given["id"], given)
        return Answer(body=given)

    def update(self, call: Call) -> Answer:
        """Answer `PUT Customer/Update`: the row is overwritten."""
        given = row("customer", call)
        self._shop.need("customer", given["id"], f"Customer Id={given['id']} is not found")
        self._store.put("customer", given["id"], given)
        self._shop.tell("customer.changed", "customer", given["id"])
        return Answer()

    def add_address(self, call: Call) -> Answer:
        """Answer `GET Customer/InsertCustomerAddress/{customerId}/{addressId}`, which changes the customer's list of addresses."""
        customer, address = (identifier(call.params[name], name) for name in ("customerId", "addressId"))
        self._shop.need("customer", customer, f"Customer Id={customer} is not found")
        self._shop.need("address", address, f"Address Id={address} is not found")
        self._store.put("customer_address", f"{customer}/{address}", {"customer_id": customer, "address_id": address})
        return Answer()

    def create_address(self, call: Call) -> Answer:
        """Answer `POST Address/Create` with the new row."""
        given = {**row("address", call), "id": FIRST_ADDRESS + self._store.add("id/address")}
        self._require_places(given)
        self._store.put("address", given["id"], given)
        return Answer(body=given)

    def update_address(self, call: Call) -> Answer:
        """Answer `PUT Address/Update`; the plugin tells of each customer whose default it is."""
        given = row("address", call)
        self._shop.need("address", given["id"], f"Address Id={given['id']} is not found")
        self._require_places(given)
        self._store.put("address", given["id"], given)
        owners = {
            owner["id"]
            for field in ("billing_address_id", "shipping_address_id")
            for owner in self._store.find("customer", [(field, "=", given["id"])])
        }
        for owner in sorted(owners):
            self._shop.tell("customer.changed", "customer", owner)
        return Answer()

    def create_attribute(self, call: Call) -> Answer:
        """Answer `POST GenericAttribute/Create` with the new row."""
        return Answer(body=self._put_attribute(row("generic_attribute", call)))

    def update_attribute(self, call: Call) -> Answer:
        """Answer `PUT GenericAttribute/Update`."""
        given = row("generic_attribute", call)
        known = self._store.find("generic_attribute", [("entity_id", "=", given["entity_id"])])
        if not any((one["id"], one["key"]) == (given["id"], given["key"]) for one in known):
            raise Refusal(404, "not_found", f"Generic attribute Id={given['id']} is not found")
        self._put_attribute(given)
        return Answer()

    def role(self, call: Call) -> Answer:
        """Answer `GET CustomerRole/GetCustomerRoleBySystemName`."""
        if call.query.get("systemName") != ROLE["system_name"]:
            raise Refusal(404, "not_found", "Customer role is not found")
        return Answer(body=ROLE)

    def is_registered(self, call: Call) -> Answer:
        """Answer `GET CustomerRole/IsRegistered/{customerId}`."""
        customer = identifier(call.params["customerId"], "customerId")
        self._shop.need("customer", customer, f"Customer Id={customer} is not found")
        return Answer(body=self._shop.is_registered(customer))

    def add_role(self, call: Call) -> Answer:
        """Answer `POST CustomerRole/AddCustomerRoleMapping`; one that is there already breaks the table's key."""
        given = row("customer_role_mapping", call)
        self._shop.need("customer", given["customer_id"], f"Customer Id={given['customer_id']} is not found")
        if given["customer_role_id"] != REGISTERED or self._shop.is_registered(given["customer_id"]):
            raise broken("Violation of PRIMARY KEY constraint of customer_role_mapping.")
        self._shop.register(given["customer_id"])
        self._shop.tell("customer.registered", "customer", given["customer_id"])
        return Answer()

    def _require_places(self, given: Doc) -> None:
        for field, kind in (("country_id", "country"), ("state_province_id", "state_province")):
            if given[field] is not None and self._store.get(kind, given[field]) is None:
                raise broken(f"The statement conflicted with the FOREIGN KEY constraint of {kind}.")

    def _put_attribute(self, given: Doc) -> Doc:
        if given["key_group"] != "Customer" or not given["key"]:
            raise Refusal(400, "invalid", "key_group: only Customer is served here, with a key", field="key_group")
        self._shop.need("customer", given["entity_id"], f"Customer Id={given['entity_id']} is not found")
        self._shop.set_attribute(given["entity_id"], given["key"], given["value"])
        self._shop.tell("customer.changed", "customer", given["entity_id"])
        written = self._store.get("generic_attribute", f"Customer/{given['entity_id']}/{given['key']}")
        return written or given
