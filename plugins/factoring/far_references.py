"""The factor's own arithmetic of references: what a debtor pays by, made anew on the far side."""

from __future__ import annotations

from plugins.factoring.far_files import Facts, Item

_KIDS = {
    "standard-15": "{invoice:07d}{customer:07d}",
    "sgfinans-16": "9{client:04d}{invoice:08d}00",
    "kfinans-20": "{customer:07d}{client:04d}{invoice:07d}1",
    "dnb-20": "5{client:04d}{invoice:07d}{customer:07d}",
    "factonor-16": "{client:03d}{customer:06d}{invoice:06d}",
}


def is_finnish(facts: Facts) -> bool:
    """Return whether the layout is one of Finland, where debtors pay by reference number and the bank tells of it in KTL."""
    return facts.get("layout", "").startswith(("fall-", "svea-"))


def reference_of(item: Item, facts: Facts) -> str:
    """Return the reference printed on an invoice: that of the file, else that of the scheme the factor prescribes.

    Where a Finnish factor leaves it to the creditor, this one has seen that it prints the invoice's number.
    """
    if item.reference:
        return item.reference
    client = int(facts["client_number"])
    if is_finnish(facts):
        base = f"{client}0{item.number:08d}" if facts.get("reference_scheme") == "laskuraha" else str(item.number)
        return base + _seven_three_one(base)
    scheme = facts["kid_scheme"]
    base = _KIDS[scheme].format(client=client, customer=item.customer, invoice=item.number)
    return base + _check_character(base, is_mod11=scheme == "dnb-20")


def _seven_three_one(base: str) -> str:
    return str(-sum(int(sign) * (7, 3, 1)[place % 3] for place, sign in enumerate(reversed(base))) % 10)


def _check_character(base: str, *, is_mod11: bool) -> str:
    """Mod 10 over the spelled-out products, mod 11 with its two exceptions."""
    if is_mod11:
        rest = 11 - sum(int(sign) * (2 + place % 6) for place, sign in enumerate(reversed(base))) % 11
        return {10: "-", 11: "0"}.get(rest, str(rest))
    spelled = "".join(str(int(sign) * (2 - place % 2)) for place, sign in enumerate(reversed(base)))
    return str((10 - sum(map(int, spelled)) % 10) % 10)
