"""The deployment's own checks: what they refuse, and that a development machine is left alone."""

from config.checks import check_secret_key


def test_the_public_key_is_refused_beside_a_database_of_its_own(settings):
    settings.DATABASE_IS_GIVEN, settings.SECRET_KEY = True, settings.DEVELOPMENT_SECRET_KEY
    (error,) = check_secret_key(None)
    assert (error.id, error.is_serious()) == ("config.E001", True)
    assert "SECRET_KEY" in error.msg


def test_a_key_of_its_own_or_the_embedded_database_is_fine(settings):
    settings.DATABASE_IS_GIVEN, settings.SECRET_KEY = True, "a key nobody else knows"
    assert check_secret_key(None) == []
    settings.DATABASE_IS_GIVEN, settings.SECRET_KEY = False, settings.DEVELOPMENT_SECRET_KEY
    assert check_secret_key(None) == []
