"""System checks of the deployment: what a development default would leave open is refused once the product has a database of its own."""

from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register


@register(Tags.security)
def check_secret_key(app_configs: Sequence[Any] | None, **_: Any) -> list[CheckMessage]:
    """Sessions and the queue's own tokens are signed with it: a key that everybody can read in the source signs nothing."""
    if settings.DATABASE_IS_GIVEN and settings.SECRET_KEY == settings.DEVELOPMENT_SECRET_KEY:
        return [Error("SECRET_KEY must be set where DATABASE_URL is: the development key is public", id="config.E001")]
    return []
