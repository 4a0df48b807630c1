from __future__ import annotations

import json
from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st

from training.report.markup import Markup, data_block, element

EVIL = '<script>alert("1")</script>&\''


class Reader(HTMLParser):
    """Notes the text and the attributes of what it reads."""

    def __init__(self, markup: str) -> None:
        super().__init__()
        self.text = ""
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(markup)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def test_text_and_attributes_are_escaped() -> None:
    markup = element("p", EVIL, title=EVIL)
    assert "<script" not in markup
    read = Reader(markup)
    assert read.text == EVIL
    assert read.tags == [("p", {"title": EVIL})]


def test_markup_is_taken_as_it_is_and_none_is_left_out() -> None:
    assert element("p", element("b", "a"), None, Markup("<i></i>")) == "<p><b>a</b><i></i></p>"


def test_attributes() -> None:
    markup = element("img", src="x", alt="", class_="a b", aria_hidden="true", hidden=True, title=None, open=False)
    assert markup == '<img src="x" alt="" class="a b" aria-hidden="true" hidden>'


@given(st.text())
def test_data_can_not_end_its_block(text: str) -> None:
    block = data_block({"name": text + "</script><!--"})
    content = block.removeprefix('<script type="application/json">').removesuffix("</script>")
    assert "<" not in content
    assert json.loads(content) == {"name": text + "</script><!--"}
