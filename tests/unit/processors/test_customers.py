"""What is decided of one customer on two sides: echoes, changes of one side and of both, masters, and the first meeting."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.customers import Customer, Other, Rules, is_empty, same
from towpath.errors import DataError
from towpath.events import CustomerChanged, micros
from towpath.testing.events import PLACED_AT, a_customer, an_address

KEY = "shop/customer/7"
NEWEST_WINS = Rules()


def said(side: str, second: float = 0, **fields: Any) -> CustomerChanged:  # noqa: ANN401 - fields of the event
    value = a_customer(connection=side, **fields)
    value["meta"] |= {"key": KEY, "occurred_at": PLACED_AT + timedelta(seconds=second), "event_id": f"{side}/{second}"}
    return value


def told(*events: CustomerChanged, rules: Rules = NEWEST_WINS, customer: Customer | None = None) -> Customer:
    customer = customer or Customer()
    for event in events:
        customer = customer.told(event, rules)
    return customer


def joined(rules: Rules = NEWEST_WINS, **fields: Any) -> Customer:  # noqa: ANN401
    """A customer whom both sides hold alike."""
    return told(said("shop", **fields), said("erp", **fields), rules=rules)


def stands(customer: Customer, name: str = "last_name") -> Any:  # noqa: ANN401
    return customer.stands[name].value


def behind(customer: Customer, rules: Rules = NEWEST_WINS) -> set[str]:
    return {side for side in ("shop", "erp") if customer.differs(side, rules)}


def given_to(customer: Customer, side: str, second: float = 0, *, at: float | None = None) -> Customer:
    """The customer once a side took what it was given, and says at which second of its own clock that was where `at` is there."""
    asked = customer.asked(side, f"e{second}")
    return asked.written(side, f"e{second}", NEWEST_WINS, 0 if at is None else micros(PLACED_AT + timedelta(seconds=at)))


def test_who_is_new_goes_to_the_other_side() -> None:
    assert {"erp"} == behind(told(said("shop")))
    assert {"shop"} == behind(told(said("erp")))


def test_the_other_side_that_says_the_same_is_an_echo() -> None:
    assert set() == behind(joined())


def test_a_change_on_one_side_goes_to_the_other() -> None:
    customer = told(said("shop", 1, last_name="Meier"), customer=joined())
    assert ("Meier", {"erp"}) == (stands(customer), behind(customer))


def test_what_was_written_comes_back_as_an_echo() -> None:
    customer = told(said("shop", 1, last_name="Meier"), said("erp", 2, last_name="Meier"), customer=joined())
    assert ("Meier", set()) == (stands(customer), behind(customer))


def test_what_a_side_took_is_known_of_it_before_it_says_so() -> None:
    customer = given_to(told(said("shop", 1, last_name="Meier"), customer=joined()), "erp", 1)
    assert set() == behind(customer)
    customer = told(said("erp", 0.5, last_name="Schmidt"), customer=customer)
    assert "Schmidt" == stands(customer), "it had the other's change, whatever its clock says"


def test_what_a_side_said_before_it_was_written_is_no_change_though_it_is_heard_later() -> None:
    customer = given_to(told(said("shop", 1, last_name="Meier"), customer=joined()), "erp", at=3)
    late = told(said("erp", 2), customer=customer)
    assert ("Meier", set()) == (stands(late), behind(late))
    news = told(said("erp", 3, last_name="Schmidt"), customer=late)
    assert ("Schmidt", {"shop"}) == (stands(news), behind(news))


def test_only_what_was_asked_last_is_known_to_be_taken() -> None:
    customer = told(said("shop", 1, last_name="Meier"), customer=joined()).asked("erp", "first").asked("erp", "second")
    assert {"erp"} == behind(customer.written("erp", "first", NEWEST_WINS))
    assert set() == behind(customer.written("erp", "second", NEWEST_WINS))


@pytest.mark.parametrize("first", ["shop", "erp"])
@pytest.mark.parametrize(("shop_at", "erp_at", "wins"), [(1, 2, "Erp"), (2, 1, "Shop")])
def test_of_two_changes_the_newest_stands_whichever_is_told_first(first: str, shop_at: float, erp_at: float, wins: str) -> None:
    changes = [said("shop", shop_at, last_name="Shop"), said("erp", erp_at, last_name="Erp")]
    customer = told(*(changes if first == "shop" else changes[::-1]), customer=joined())
    assert (wins, {"erp" if wins == "Shop" else "shop"}) == (stands(customer), behind(customer))


@pytest.mark.parametrize("master", ["shop", "erp"])
@pytest.mark.parametrize("first", ["shop", "erp"])
@pytest.mark.parametrize("second", [0, 2])
def test_of_two_changes_the_masters_stands_whenever_it_was(master: str, first: str, second: float) -> None:
    rules = Rules(masters={"last_name": master})
    changes = [said("shop", 1, last_name="shop"), said("erp", second, last_name="erp")]
    customer = told(*(changes if first == "shop" else changes[::-1]), rules=rules, customer=joined(rules))
    assert master == stands(customer)


def test_of_two_changes_at_one_time_the_one_that_was_told_first_stands_on_both() -> None:
    customer = told(said("shop", 1, last_name="Shop"), said("erp", 1, last_name="Erp"), customer=joined())
    assert ("Shop", {"erp"}) == (stands(customer), behind(customer))


def test_each_field_is_decided_by_itself() -> None:
    rules = Rules(masters={"company": "erp", "*": "shop"})
    changes = said("shop", 1, last_name="Shop", company="Of the shop"), said("erp", 2, last_name="Erp", company="Of the ERP")
    customer = told(*changes, rules=rules, customer=joined(rules))
    assert ("Shop", "Of the ERP", {"shop", "erp"}) == (stands(customer), stands(customer, "company"), behind(customer, rules))


def test_changes_of_different_fields_on_both_sides_are_both_kept() -> None:
    customer = told(said("shop", 1, last_name="Meier"), said("erp", 1, first_name="Zoe"), customer=joined())
    assert ("Meier", "Zoe", {"shop", "erp"}) == (stands(customer), stands(customer, "first_name"), behind(customer))


def test_a_field_can_be_emptied() -> None:
    customer = told(said("shop", 1, company=""), customer=joined(company="Oak Ltd"))
    assert ("", {"erp"}) == (stands(customer, "company"), behind(customer))


def test_at_the_first_meeting_the_side_of_the_key_decides_and_nothing_is_emptied() -> None:
    customer = told(said("erp", 9, last_name="Erp", company="Of the ERP", first_name=""), said("shop", 1, last_name="Shop", company=""))
    assert ("Shop", "Of the ERP", "Zoë") == (stands(customer), stands(customer, "company"), stands(customer, "first_name"))
    assert {"shop", "erp"} == behind(customer)


def test_at_the_first_meeting_a_master_decides() -> None:
    rules = Rules(masters={"*": "erp"})
    assert "Erp" == stands(told(said("shop", 1, last_name="Shop"), said("erp", 0, last_name="Erp"), rules=rules))


def test_an_address_that_is_written_in_another_way_is_no_change() -> None:
    one = an_address(lines=["123 Main Street", "Apt. 4"], city="NEW YORK", region="New York", postcode="10001", country="US")
    other = an_address(lines=["123 Main St., Apartment 4"], city="New York", region="NY", postcode="10001", country="US", phone="", first_name="")
    customer = told(said("shop", billing_address=one), said("erp", 1, billing_address=other))
    assert set() == behind(customer)
    assert one == stands(customer, "billing_address")


def test_an_address_from_the_other_side_keeps_whose_it_is() -> None:
    moved = an_address(lines=["Nebenstraße 6"], first_name="", last_name="", phone="", email="")
    customer = told(said("erp", 1, billing_address=moved), customer=joined())
    wanted = customer.wanted(said("shop"), NEWEST_WINS)
    assert an_address(lines=["Nebenstraße 6"]) == wanted["billing_address"]


def test_only_shared_fields_of_their_own_are_told() -> None:
    rules = Rules(custom_fields=("Customer Type",))
    customer = told(said("shop", custom_fields={"Customer Type": "VIP", "Shoe size": "42"}), rules=rules)
    assert {"Customer Type": "VIP"} == customer.wanted(said("shop"), rules)["custom_fields"]


SEGMENTS = Rules(("Segment",), others={"Segment": Other("Group", {"1": "Retail", "2": "Wholesale"})})


def test_a_field_may_have_another_name_and_other_values_on_one_side() -> None:
    customer = told(said("shop", custom_fields={"Group": "2"}), said("erp", 1, custom_fields={"Segment": "Wholesale"}), rules=SEGMENTS)
    assert set() == behind(customer, SEGMENTS)
    customer = told(said("erp", 2, custom_fields={"Segment": "Retail"}), rules=SEGMENTS, customer=customer)
    assert {"Segment": "Retail", "Group": "1"} == customer.wanted(said("erp"), SEGMENTS)["custom_fields"]
    assert {"shop"} == behind(customer, SEGMENTS)


@pytest.mark.parametrize(("fields", "name"), [({"Group": "3"}, "Group"), ({"Segment": "Gold"}, "Segment")])
def test_a_value_that_means_nothing_is_refused_by_name(fields: dict[str, str], name: str) -> None:
    with pytest.raises(DataError) as caught:
        told(said("shop", custom_fields=fields), rules=SEGMENTS)
    assert f"custom_fields.{name}" == caught.value.field


def test_it_is_the_same_after_it_was_kept() -> None:
    rules = Rules(custom_fields=("Customer Type",))
    customer = told(said("shop", 1, last_name="Meier"), customer=joined(rules), rules=rules).asked("erp", "e1")
    assert customer == Customer.load(customer.dump())
    assert Customer() == Customer.load(None)


@pytest.mark.parametrize(("one", "other", "alike"), [("a@b.example", "A@B.example", True), ("a b", " a  b ", True), ("a", "b", False)])
def test_texts_are_the_same_without_their_spaces_and_e_mail_without_its_case(one: str, other: str, alike: bool) -> None:  # noqa: FBT001
    assert alike == same("email", one, other)


def test_an_address_without_a_place_is_empty() -> None:
    nowhere = an_address(lines=[], city="", postcode="", country="")
    assert is_empty(None)
    assert is_empty(nowhere)
    assert not is_empty(an_address())


EDITS = st.lists(st.tuples(st.sampled_from(["shop", "erp"]), st.sampled_from(["last_name", "company"]), st.sampled_from("abc")), max_size=8)


@given(edits=EDITS, order=st.randoms(use_true_random=False), masters=st.sampled_from([{}, {"*": "shop"}, {"last_name": "erp"}]))
def test_both_sides_end_alike_however_what_they_say_and_what_is_written_to_them_overtake_each_other(
    edits: list[tuple[str, str, str]],
    order: random.Random,
    masters: dict[str, str],
) -> None:
    rules = Rules(masters=masters)
    held = {side: {"last_name": "x", "company": "x"} for side in ("shop", "erp")}
    customer, writes, second = joined(rules, last_name="x", company="x"), 0, 0
    telling: list[CustomerChanged] = []
    giving: list[tuple[str, dict[str, Any], dict[str, Any] | None]] = []

    def change(side: str, fields: dict[str, Any]) -> None:
        nonlocal second
        second += 1
        held[side] |= fields
        telling.append(said(side, second, **held[side]))

    waiting = list(edits)
    while waiting or telling or giving:
        step = order.choice([one for one, there in (("edit", waiting), ("tell", telling), ("give", giving)) if there])
        if step == "edit":
            side, name, value = waiting.pop(0)
            change(side, {name: value})
        elif step == "tell":
            event = telling.pop(0)
            customer = customer.told(event, rules)
            giving += [(side, customer.wanted(event, rules), customer.held(side, event, rules)) for side in sorted(behind(customer, rules))]
        else:
            side, wanted, expected = giving.pop(0)
            assert expected is not None
            fields = {name: wanted[name] for name in held[side] if held[side][name] == expected[name] != wanted[name]}
            if fields:
                change(side, fields)
                writes += 1
    assert held["shop"] == held["erp"]
    assert writes <= 2 * len(edits)
