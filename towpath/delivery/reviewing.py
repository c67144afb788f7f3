"""What somebody has to decide of a customer: whether it is one who is there already. The question is a dead letter, the answer a delivery. No I/O."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Final

from towpath.codec import Codec
from towpath.errors import DataError

DUPLICATE: Final = "duplicate"
"""The field that a dead letter names where the question is open; its value has the ids of the candidates, a comma between."""
MERGED, REJECTED = "merged", "rejected"
"""The outcomes of the receipts that close the question."""
MATCH: Final = "Match"
"""What of a customer's document says who is meant: an id, a confidence, or which of those who are there are not meant (false: none of them is)."""
NOT: Final = "Not"
"""What of `Match` has the ids of those who are not meant."""


def decided(codec: Codec, value: bytes | None, candidate: str, rejected: Collection[str] = ()) -> bytes:
    """Return the delivery with the customer it asks about said to be this candidate, or none of the `rejected` where that is empty.

    One that is made then may be one of the same name and address: who was rejected tells it from them. Raises DataError for a record that asks
    nothing.
    """
    delivery = codec.decode_as("Delivery", value)
    related = {name: json.loads(text) for name, text in delivery["related"].items()}
    asked = [document for document in related.values() if isinstance(document.get(MATCH), dict)]
    if not asked:
        raise DataError("the record asks about no customer", field="related")
    for document in asked:
        document[MATCH] = candidate or {NOT: sorted(rejected)}
    texts = {name: json.dumps(document, ensure_ascii=False) for name, document in related.items()}
    return codec.encode("Delivery", {**delivery, "related": texts})
