"""The template language."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batches.templating import TemplateError, parse

names = st.builds(
    str.__add__,
    st.sampled_from(string.ascii_letters + "_"),
    st.text(string.ascii_letters + string.digits + "_.-", max_size=8),
)
texts = st.text(max_size=20).filter(lambda text: "{" not in text and "}" not in text)
spaces = st.sampled_from(["", " ", "  ", "\t"])


def test_it_renders() -> None:
    template = parse("Hi {{ name }}, your code is {{code}}. Bye {{name}}!")
    assert template.names == {"name", "code"}
    assert template.render({"name": "Ann", "code": "7"}) == "Hi Ann, your code is 7. Bye Ann!"


def test_a_single_brace_is_text() -> None:
    assert parse("a { b } c").render({}) == "a { b } c"


def test_a_missing_value_is_an_error() -> None:
    with pytest.raises(KeyError):
        parse("{{a}}").render({})


@pytest.mark.parametrize(
    "source", ["{{a", "a}}", "{{a}} }}", "{{ {{a}} }}", "{{}}", "{{ }}", "{{1a}}", "{{a b}}", "{{é}}", "{{a\n{{b}}"]
)
def test_it_refuses(source: str) -> None:
    with pytest.raises(TemplateError):
        parse(source)


def test_the_message_says_where_and_nothing_else() -> None:
    with pytest.raises(TemplateError, match="character 7") as refused:
        parse("secret {{oops")
    assert "secret" not in str(refused.value)


@given(st.lists(st.tuples(texts, spaces, names)), texts)
def test_what_is_written_is_what_is_read(parts: list[tuple[str, str, str]], last: str) -> None:
    source = "".join(f"{text}{{{{{space}{name}{space}}}}}" for text, space, name in parts) + last
    template = parse(source)
    assert template.variables == tuple(name for _, _, name in parts)
    values = {name: f"<{name}>" for name in template.names}
    assert template.render(values) == "".join(f"{text}<{name}>" for text, _, name in parts) + last


@given(st.text(alphabet="{} ab1_", max_size=30))
def test_any_text_is_read_or_refused_with_a_reason(source: str) -> None:
    try:
        template = parse(source)
    except TemplateError as error:
        assert str(error)
    else:
        assert len(template.texts) == len(template.variables) + 1


@given(st.text())
def test_values_are_put_in_as_they_are(value: str) -> None:
    assert parse("{{a}}{{a}}").render({"a": value}) == value * 2
