"""KID schemes of Norwegian factors against the published examples (client 1234, customer 100017, invoice 5067)."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import EncodeError
from plugins.factoring.kid import HELD, SCHEMES, follows, make_kid

NAMES = {
    "standard-15": "standard",
    "sgfinans-16": "sgfinans_nordea",
    "kfinans-20": "kfinans",
    "dnb-20": "dnb_mod11",
    "factonor-16": "factonor",
}


@pytest.mark.parametrize("scheme", SCHEMES)
def test_published_examples(scheme, shared):
    examples = json.loads((shared / "formats/agencies/examples/kid_examples_all.json").read_text())
    client = "123" if scheme == "factonor-16" else "1234"
    assert make_kid(scheme, client=client, customer="100017", invoice="5067") == examples[NAMES[scheme]]


def test_long_scheme_is_held_with_its_reason():
    with pytest.raises(EncodeError, match="until the factor confirms"):
        make_kid("long-21", client="1234", customer="100017", invoice="5067")
    assert "long-21" in HELD
    with pytest.raises(EncodeError, match="unknown"):
        make_kid("sgfinans", client="1234", customer="100017", invoice="5067")


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
