"""The content view: trees, lines, cuts, and bytes that are neither."""

from __future__ import annotations

import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from admin.file_content import LINES_MAX, NODES_MAX, SHOWN_BYTES, content_of


def shown(data):
    return content_of(io.BytesIO(data), len(data))


def nodes(node):
    return 1 + sum(nodes(child) for child in node.children)


def test_xml_becomes_a_tree_without_namespaces():
    content = shown(b'<?xml version="1.0"?><a xmlns="urn:x"><b k="1">text</b><b/></a>')
    assert (content.tree.tag, [child.tag for child in content.tree.children]) == ("a", ["b", "b"])
    assert content.tree.children[0].attributes == [("k", "1")]
    assert content.tree.children[0].text == "text"
    assert not content.is_cut


def test_entities_are_not_followed():
    content = shown(b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>')
    assert "root" not in str(content)


def test_a_large_tree_is_cut_and_says_so():
    content = shown(b"<a>" + b"<b/>" * 3000 + b"</a>")
    assert nodes(content.tree) <= NODES_MAX + 1
    assert content.is_cut


def test_a_file_longer_than_what_is_read_is_shown_as_far_as_it_goes():
    content = shown(b"<a>" + b"<b>x</b>" * 20_000 + b"</a>")
    assert content.tree.tag == "a"
    assert content.is_cut


def test_lines_keep_their_columns():
    content = shown("30 12\n9 \xe5".encode("iso-8859-1"))
    assert content.lines == ["30·12", "9·å"]
    assert content.encoding == "ISO 8859-1"
    assert content.ruler == "....:"


def test_the_ruler_counts_tens():
    assert shown(b"x" * 25).ruler == "....:....1....:....2....:"


def test_many_lines_are_cut():
    content = shown(b"x\n" * (LINES_MAX + 1))
    assert len(content.lines) == LINES_MAX
    assert content.is_cut


def test_a_letter_cut_in_two_is_left_out():
    data = ("å" * SHOWN_BYTES).encode()
    assert shown(data).encoding == "UTF-8"


def test_deep_nesting_does_not_end_the_page():
    assert shown(b"<a>" * 5000) is not None


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.binary(max_size=300), st.text(alphabet="<>/a&;\"'= \n", max_size=80).map(str.encode)))
def test_no_bytes_raise(data):
    content = shown(data)
    assert content.tree is not None or isinstance(content.lines, list)


@pytest.mark.parametrize("data", [b"", b"\x00\x01", b"\xff\xfe<", b"<", b"<a", b"\xef\xbb\xbf<a/>"])
def test_odd_beginnings(data):
    assert shown(data) is not None
