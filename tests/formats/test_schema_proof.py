"""A file checked by a second process while it is written: the proof holds for those bytes and no others."""

from __future__ import annotations

import io
import tempfile
from contextlib import contextmanager

import pytest

from gateway.formats import kravport_sls, schema_proof
from gateway.formats.kravport_sls import verifier
from gateway.formats.schema_proof import ProvingSink, is_proven
from tests.plugins.test_intrum_writer import SCHEMA, agreement, export, golden_invoices, plugin


class DiskSink:
    """Keeps files on disk, as the host does; hands them out as bytes."""

    def __init__(self) -> None:
        self.files: dict[str, io.BytesIO] = {}

    @contextmanager
    def open(self, filename: str):
        with tempfile.TemporaryFile() as file:
            yield file
            file.seek(0)
            self.files[filename] = io.BytesIO(file.read())


@pytest.fixture(autouse=True)
def worth_it_at_once(monkeypatch):
    monkeypatch.setattr(schema_proof, "WORTH_BYTES", 1)
    yield
    for process in schema_proof._proofs.values():
        schema_proof._stop(process)
    schema_proof._proofs.clear()


def written(content: bytes) -> io.BytesIO:
    sink = DiskSink()
    with ProvingSink(sink, SCHEMA, kravport_sls.UNIT).open("invoices.001") as stream:
        for start in range(0, len(content), 100):
            stream.write(content[start : start + 100])
    return sink.files["invoices.001"]


def test_a_valid_file_is_proven_once():
    _, content = export(golden_invoices())
    file = written(content)
    assert file.read() == content
    file.seek(0)
    assert is_proven(SCHEMA, file)
    file.seek(0)
    assert not is_proven(SCHEMA, file), "a proof is used up"


@pytest.mark.parametrize(
    "damage", [lambda c: c[:-20], lambda c: c.replace(b'kind="company"', b'kind="firm"'), lambda _: b"x"]
)
def test_an_invalid_file_is_not_proven(damage):
    _, content = export(golden_invoices())
    assert not is_proven(SCHEMA, written(damage(content)))


def test_other_bytes_are_not_proven():
    _, content = export(golden_invoices())
    written(content)
    assert not is_proven(SCHEMA, io.BytesIO(content.replace(b"100.00", b"100.01", 1)))


def test_a_killed_process_proves_nothing_and_the_file_is_checked_here():
    envelope, content = export(golden_invoices())
    file = written(content)
    for process in schema_proof._proofs.values():
        process.kill()
    assert plugin.verify_envelope(envelope, agreement(), file) == envelope.totals


def test_a_proven_file_is_not_checked_again(monkeypatch):
    envelope, content = export(golden_invoices())
    file = written(content)

    def never(*_: object) -> None:
        raise AssertionError("checked twice")

    monkeypatch.setattr(verifier, "compiled", never)
    assert plugin.verify_envelope(envelope, agreement(), file) == envelope.totals


def test_a_writer_that_gives_up_leaves_no_process():
    sink, started = ProvingSink(DiskSink(), SCHEMA, kravport_sls.UNIT), []

    def write_half() -> None:
        with sink.open("invoices.001") as stream:
            stream.write(b"<Invoices>")
            started.append(stream.process)
            raise ValueError("given up")

    with pytest.raises(ValueError, match="given up"):
        write_half()
    assert started[0].poll() is not None
    assert not schema_proof._proofs


def test_a_sink_that_keeps_nothing_needs_no_proof():
    class Nowhere:
        @contextmanager
        def open(self, filename: str):
            yield io.BytesIO()

    with ProvingSink(Nowhere(), SCHEMA, kravport_sls.UNIT).open("invoices.001") as stream:
        stream.write(b"<Invoices>")
    assert not schema_proof._proofs


def test_old_proofs_are_given_up(monkeypatch):
    monkeypatch.setattr(schema_proof, "_KEPT", 1)
    _, content = export(golden_invoices())
    first = written(content)
    written(content.replace(b"\n", b"\n\n", 1))
    assert not is_proven(SCHEMA, first)
    assert len(schema_proof._proofs) == 1
