"""Policies as markup: nothing of what they hold becomes markup itself."""

from __future__ import annotations

import html
import re
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from web import highlighting

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(JSON)
def test_what_is_copied_is_what_is_downloaded(document: Any) -> None:
    markup = highlighting.highlighted(document)
    assert highlighting.pretty(document) == html.unescape(re.sub(r"</?span[^>]*>", "", markup))


@given(JSON)
def test_nothing_but_our_marks_is_markup(document: Any) -> None:
    left = re.sub(r'<span class="json-(key|text)">|</span>', "", highlighting.highlighted(document))
    assert "<" not in left


def test_keys_and_texts_are_told_apart() -> None:
    assert (
        '{\n  <span class="json-key">&#34;a&#34;</span>: <span class="json-text">&#34;b&#34;</span>\n}'
        == highlighting.highlighted({"a": "b"})
    )
