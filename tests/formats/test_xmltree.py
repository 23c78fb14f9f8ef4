"""XML from outside must not reach entities, networks or the stack, and a schema fault must name its line."""

from __future__ import annotations

import io
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import DecodeError, EncodeError
from gateway.formats.xmltree import (
    CutShort,
    Doctype,
    XmlSchema,
    XmlWriter,
    iter_elements,
    validate_xml,
    xml_escape_attribute,
)

XSD = """<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" targetNamespace="urn:t" elementFormDefault="qualified">
<xs:element name="list"><xs:complexType><xs:sequence><xs:element name="item" maxOccurs="unbounded">
<xs:complexType><xs:attribute name="n" type="xs:int" use="required"/></xs:complexType>
</xs:element></xs:sequence></xs:complexType></xs:element></xs:schema>"""
GOOD = b'<?xml version="1.0"?>\n<list xmlns="urn:t">\n<item n="1"/>\n<item n="2"/>\n</list>\n'


@pytest.fixture(scope="module")
def schema(tmp_path_factory):
    path = tmp_path_factory.mktemp("xsd") / "list.xsd"
    path.write_text(XSD)
    return path


def elements(data, **options):
    return list(iter_elements(io.BytesIO(data), **options))


def test_elements_come_with_namespace_attributes_and_line():
    first, second = elements(GOOD)[:2]
    assert first == ("start", "list", "urn:t", {}, 2)
    assert second == ("start", "item", "urn:t", {"n": "1"}, 3)


def test_marks_and_blanks_around_the_document_change_nothing():
    wrapped = b"\xef\xbb\xbf\r\n " + GOOD + b"\r\n\r\n\x1a"
    assert [event[:4] for event in elements(wrapped)] == [event[:4] for event in elements(GOOD)]


@pytest.mark.parametrize(
    "declaration",
    [b"<!DOCTYPE a>", b'<!DOCTYPE a SYSTEM "http://example.test/x.dtd">', b'<!DOCTYPE a [<!ENTITY b "c">]>'],
)
def test_a_document_type_declaration_is_refused(schema, declaration):
    data = declaration + b"<a/>"
    with pytest.raises(Doctype):
        elements(data)
    with pytest.raises(Doctype):
        validate_xml(io.BytesIO(data), schema)


def test_depth_and_endless_tokens_are_capped():
    with pytest.raises(DecodeError, match="nests too deep"):
        elements(b"<a>" * 65)
    with pytest.raises(DecodeError, match="does not end"):
        elements(b"<a><!--" + b"x" * 3_000_000)


def test_a_charset_nobody_can_read_is_an_error_of_the_file():
    with pytest.raises(DecodeError, match="charset"):
        elements(b'<?xml version="1.0" encoding="x-invented"?><a/>')


def test_an_error_of_the_caller_is_not_taken_for_a_charset():
    parser_fault = iter_elements(io.BytesIO(GOOD))
    next(parser_fault)
    with pytest.raises(KeyError):
        parser_fault.throw(KeyError("mine"))


def test_every_cut_is_noticed(schema):
    whole = GOOD.rstrip()
    checked = XmlSchema(schema)
    for length in range(len(whole)):
        with pytest.raises(DecodeError):
            checked.validate_stream(io.BytesIO(whole[:length]))
        with pytest.raises(CutShort):
            elements(whole[:length])


def test_a_valid_document_passes_and_a_fault_names_its_line(schema):
    validate_xml(io.BytesIO(GOOD), schema)
    with pytest.raises(DecodeError, match=r"line 4.*'x'"):
        validate_xml(io.BytesIO(GOOD.replace(b'"2"', b'"x"')), schema)


def test_a_stream_that_cannot_seek_is_checked_as_well(schema):
    class Pipe(io.BytesIO):
        def seekable(self):
            return False

    with pytest.raises(DecodeError, match="item"):
        validate_xml(Pipe(GOOD.replace(b'"2"', b'"x"')), schema)


@given(st.text(st.characters(codec="utf-8", exclude_characters="\ufffe\uffff", exclude_categories=["Cc", "Cs"])))
def test_attributes_and_text_survive_reading(value):
    out = io.BytesIO()
    writer = XmlWriter(out)
    writer.start("a", {"v": value + '\n\t"<&>'})
    writer.leaf("b", value + "\r\n&<>")
    writer.empty("c")
    writer.end()
    writer.close()
    root = ET.fromstring(out.getvalue())
    assert root.get("v") == value + '\n\t"<&>'
    assert root.findtext("b") == value + "\r\n&<>"


@pytest.mark.parametrize("wrong", ["\x00", "a\x1b", "\ufffe", "\ud800"])
def test_what_xml_cannot_carry_is_refused(wrong):
    with pytest.raises(EncodeError):
        xml_escape_attribute(wrong)


def test_an_element_left_open_is_noticed():
    writer = XmlWriter(io.BytesIO())
    writer.start("a")
    with pytest.raises(EncodeError, match="a was never closed"):
        writer.close()
