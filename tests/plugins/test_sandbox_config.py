"""``kravport sandbox``: the example of the guide makes an agency of each plugin, and a wrong file is told without a trace."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from gateway.demo.misbehaviour import WAYS
from gateway.demo.sandboxes import METHODS, mailboxes
from gateway.errors import ConfigurationError

GUIDE = (Path(__file__).parents[2] / "docs" / "sandboxes.md").read_text(encoding="utf-8")
EXAMPLE = json.loads(re.search(r"```json\n(.*?)```", GUIDE, re.DOTALL)[1])


def config(tmp_path, **changes):
    file = tmp_path / "sandboxes.json"
    file.write_text(json.dumps({**EXAMPLE, "root": str(tmp_path / "root"), **changes}))
    return file


def test_the_example_of_the_guide_plays_all_five(tmp_path):
    _, boxes = mailboxes(config(tmp_path))
    assert sorted(boxes) == ["esp", "factoring", "intrum", "kravia", "lowell"]
    for box in boxes.values():
        box.work()
        assert box.agency.balances() == {}
    assert {key for key, box in boxes.items() if box.api} == {"kravia", "lowell"}
    assert boxes["lowell"].api.trouble.ways == {"timeout_after_commit", "rate_limited", "expired_token"}
    assert boxes["factoring"].line == {"wrong_host_key"}
    assert boxes["factoring"].agency.ways == {"duplicate", "late"}


def test_an_agency_whose_post_is_bad_still_hears_where_to_push(tmp_path):
    bad = {**EXAMPLE["agencies"][4], "misbehaviour": {"ways": ["duplicate"]}}
    root, boxes = mailboxes(config(tmp_path, agencies=[bad]))
    (root / "kravia" / "webhook.json").write_text('{"url": "https://hook.example"}')
    assert json.loads((boxes["kravia"].api.root / "webhook.json").read_text()) == {"url": "https://hook.example"}


def test_the_guide_names_every_order_and_misbehaviour(tmp_path):
    _, boxes = mailboxes(config(tmp_path))
    orders = METHODS.union(*(getattr(box.agency, "orders", ()) for box in boxes.values()))
    assert [name for name in sorted(orders | WAYS) if f"`{name}`" not in GUIDE] == []


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"agencies": [{"key": "lowell"}]}, "'password' is a required property"),
        ({"agencies": [{"key": "nobody", "password": "x", "facts": {}}]}, "no agency plugin 'nobody'"),
        ({"agencies": [{"key": "kravia", "password": "x", "facts": {}}]}, "sandbox kravia: its facts do not do"),
        ({"agencies": [{**EXAMPLE["agencies"][4], "misbehaviour": {"ways": ["sulks"]}}]}, "misbehaviour sulks"),
    ],
)
def test_what_is_wrong_with_a_configuration_is_said(tmp_path, change, why):
    with pytest.raises(ConfigurationError, match=why):
        mailboxes(config(tmp_path, **change))


@pytest.mark.parametrize(
    ("order", "why"),
    [
        ({"method": "set_status", "args": ["kp-1"]}, "set_status: "),
        ({"method": "lose_receipts"}, "lose_receipts: "),
        ({"method": "pay", "args": ["kp-1", 100, {"date": "2026-11-24"}]}, "pay: no case kp-1"),
        ({"method": "close"}, "no order 'close'"),
    ],
)
def test_an_order_that_cannot_be_obeyed_is_answered_and_stops_nothing(tmp_path, order, why):
    root, boxes = mailboxes(config(tmp_path, agencies=[EXAMPLE["agencies"][4]]))
    (root / "kravia" / "orders" / "0001.json").write_text(json.dumps([{"method": "balances"}, order]))
    boxes["kravia"].work()
    done = json.loads((root / "kravia" / "orders" / "0001.done").read_text())
    assert done["results"] == [{}]
    assert why in done["error"]
