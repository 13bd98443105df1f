"""Whatever a parser is given, it returns or raises an error of ours."""

import pytest
from fuzz import fuzz
from parsers import PARSERS


@pytest.mark.parametrize("name", PARSERS)
def test_only_our_errors_come(name):
    fuzz(PARSERS[name], examples=200)
