"""An agency that fetches, for the conformance suite: it reads sealed messages as `docs/agency-pull.md` describes them, and writes
the reports it would post. The doors themselves are tried in tests/web/test_agency.py.
"""

from __future__ import annotations

import hashlib
import json


class FetchingDesk:
    """Knows claims by Kravport's id; takes every case."""

    def __init__(self, root, _facts):
        self._upload, self._download = root / "upload", root / "download"
        for folder in (self._upload, self._download):
            folder.mkdir(parents=True, exist_ok=True)
        self._claims, self._seen, self._paid, self._told = {}, set(), [], 0

    def work(self, _now):
        for path in sorted(self._upload.iterdir()):
            content = path.read_bytes()
            path.unlink()
            digest = hashlib.sha256(content).hexdigest()
            if digest not in self._seen:
                self._seen.add(digest)
                self._take([json.loads(line) for line in content.splitlines()])

    def _take(self, lines):
        head, *told = lines
        answers = []
        for body in (line["body"] for line in told if "body" in line):
            self._claims[body["claim_id"]] = body["invoice"]["open_minor"]
            items = [item["item_id"] for item in body["items"]]
            number = f"C-{len(self._claims)}"
            answers.append({"claim_id": body["claim_id"], "accepted": True, "case_number": number, "items": items})
        named = {name: head[name] for name in ("kind", "sequence", "file_id")}
        self._write(f"receipt-{head['sequence']}", {"report": "receipt", **named, "answers": answers})

    def balances(self):
        return dict(self._claims)

    def pay_some(self, on, _seed):
        for claim_id in list(self._claims)[:3]:
            minor, self._claims[claim_id] = self._claims[claim_id], 0
            parts = {"principal_minor": minor, "interest_minor": 0, "fees_minor": 0, "unallocated_minor": 0}
            row = {
                "payment_id": f"AP-{len(self._paid)}",
                "kind": "payment",
                "claim_id": claim_id,
                "amount_minor": minor,
            }
            self._paid.append({**row, "received_date": on.isoformat(), **parts})
        return self._paid

    def write_payments(self, _now):
        self._told += 1
        total = sum(row["amount_minor"] for row in self._paid)
        counted = {"currency": "NOK", "count": len(self._paid), "total_minor": total, "payments": self._paid}
        self._write(f"payments-{self._told}", {"report": "payments", "message_id": f"m-{self._told}", **counted})

    def _write(self, name, report):
        (self._download / f"{name}.json").write_text(json.dumps({"format": "kravport-pull-1", **report}))
