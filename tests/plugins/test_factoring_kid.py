"""KID schemes of Norwegian factors against the published examples (client 1234, customer 100017, invoice 5067)."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import EncodeError
from plugins.factoring.kid import READINGS, SCHEMES, follows, make_kid, readings_of

PUBLISHED = {
    "standard-15": "000506701000172",
    "sgfinans-16": "9123400005067009",
    "kfinans-20": "01000171234000506714",
    "dnb-20": "51234000506701000176",
    "factonor-16": "1231000170050677",
    "long-21": "100017798802700050675",
}
"""As the page of the accounting system prints them, typed from there: all six layouts."""


def of(scheme, invoice="5067"):
    return {"client": "123" if scheme == "factonor-16" else "1234", "customer": "100017", "invoice": invoice}


@pytest.mark.parametrize("scheme", PUBLISHED)
def test_published_examples(scheme):
    made = readings_of(scheme, **of(scheme)) if scheme in READINGS else {make_kid(scheme, **of(scheme))}
    assert made == {PUBLISHED[scheme]}


def test_they_are_those_of_the_fact_sheet(shared):
    examples = json.loads((shared / "formats/agencies/examples/kid_examples_all.json").read_text())
    assert sorted(examples.values()) == sorted(PUBLISHED.values())
    assert {*SCHEMES, *READINGS} == {*PUBLISHED}


def test_long_scheme_is_held_because_its_readings_part_above_9999():
    assert len(readings_of("long-21", **of("long-21", "9999"))) == 1
    with pytest.raises(EncodeError, match="at most 4 digits"):
        readings_of("long-21", **of("long-21", "10000"))
    with pytest.raises(EncodeError, match="until the factor confirms"):
        make_kid("long-21", **of("long-21"))
    assert not follows("long-21", PUBLISHED["long-21"], **of("long-21")), "a claim that bears it is held"
    with pytest.raises(EncodeError, match="unknown"):
        make_kid("sgfinans", **of("sgfinans"))
    with pytest.raises(EncodeError, match="not held"):
        readings_of("dnb-20", **of("dnb-20"))


@pytest.mark.parametrize(
    ("scheme", "numbers"),
    [
        ("standard-15", {"customer": "12345678"}),  # eight digits in seven places: cutting would make two customers one
        ("standard-15", {"invoice": "12345678"}),
        ("sgfinans-16", {"invoice": "123456789"}),
        ("sgfinans-16", {"client": "12345"}),
        ("factonor-16", {"client": "1234"}),
        ("dnb-20", {"invoice": "50A7"}),
        ("dnb-20", {"invoice": ""}),
    ],
)
def test_number_that_does_not_fit_is_refused(scheme, numbers):
    whole = {"client": "123", "customer": "100017", "invoice": "5067", **numbers}
    with pytest.raises(EncodeError):
        make_kid(scheme, **whole)
    assert not follows(scheme, "9123400005067009", **whole)


@given(st.sampled_from(sorted(SCHEMES)), st.integers(1, 999_999), st.integers(1, 999_999), st.integers(1, 999_999))
def test_no_two_invoices_share_a_kid(scheme, customer, invoice, other):
    made = make_kid(scheme, client="123", customer=str(customer), invoice=str(invoice))
    assert follows(scheme, made, client="123", customer=str(customer), invoice=str(invoice))
    assert follows(scheme, made, client="123", customer=str(customer), invoice=str(other)) == (invoice == other)
