"""The pages of claims and architectures: what stands on them is what the numbers beside them make of them."""

import re

import pytest

from table_pages import numbers, script, text_of

each = pytest.mark.parametrize("name", ["architectures", "claims"])


@each
def test_the_page_is_what_the_numbers_make_it(name):
    assert script(name).page(text_of(name), numbers(name)) == text_of(name)


@each
@pytest.mark.parametrize(
    ("key", "other"), [("exponent", "-0.123"), ("lower", "-0.9"), ("verdict", "undecided"), ("prediction", "-0.75")]
)
def test_another_number_makes_another_page(name, key, other):
    """The test above can fail."""
    rows = numbers(name)
    next(row for row in rows if row["prediction"])[key] = other
    assert script(name).page(text_of(name), rows) != text_of(name)


@each
def test_a_page_without_marks_is_refused(name):
    with pytest.raises(ValueError, match="must hold"):
        script(name).page("nothing here", [])


@each
def test_the_commands_on_the_page_are_those_of_the_script(name):
    (commands,) = re.findall(r"```bash\n(.*?)```", text_of(name), re.DOTALL)
    lines = script(name).__doc__.splitlines()
    assert [line.strip() for line in lines if line.startswith("    ")] == commands.splitlines()
