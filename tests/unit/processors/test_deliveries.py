"""Every event's deliveries can be written by a form: all that neither the flow nor the event's head tells is what the form is given."""

from __future__ import annotations

import pytest

from processors.deliveries import DELIVERY, GIVEN
from towpath.avro_form import form_of
from towpath.codec import default_codec
from towpath.events import AGGREGATES

TOLD = dict.fromkeys(("flow", "source", "target", "mapping", "mapping_version", "event_type"), "x")


@pytest.mark.parametrize("event", AGGREGATES)
def test_deliveries_of_an_event_have_a_form(event: str) -> None:
    schemas = default_codec().by_name
    made = form_of(schemas[DELIVERY].parsed, TOLD, ("document", "related"), schemas[event].parsed["fields"][0]["type"])
    assert made is not None
    assert GIVEN == made[1]
