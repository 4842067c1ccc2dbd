"""Excluded addresses are refused unless they can be compared; what is stored is the spelling that is compared."""

import pytest
from django.core.exceptions import ValidationError

from bonds.admin import _known_spelling
from bonds.tests.conftest import account


@pytest.mark.parametrize("typed", ["<7,0>", "< 7, 0 >", " <07,0>"])
def test_a_contract_is_stored_as_the_listener_spells_it(typed):
    assert _known_spelling(typed) == "<7,0>"


def test_an_account_keeps_its_own_spelling():
    assert _known_spelling(f" {account('treasury')} ") == account("treasury")


@pytest.mark.parametrize("typed", ["issuer treasury", "", "<7>", "<7,0", account("treasury")[:-1] + "1"])
def test_anything_else_is_refused_by_name(typed):
    with pytest.raises(ValidationError, match="neither an account address nor a contract"):
        _known_spelling(typed)
