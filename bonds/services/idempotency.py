"""One answer per Idempotency-Key, kept for ever: the effect and its answer commit together."""

import hashlib
import json
from collections.abc import Callable
from typing import Any

from django.contrib.auth.models import AbstractBaseUser
from django.db import connection, transaction

from bonds.errors import Invalid
from bonds.models import IdempotencyKey


class KeyReused(Invalid):
    """The key was already used for another request. Nothing was done; the caller takes a fresh key."""

    code = "idempotency_key_reused"


def once(
    *, key: str | None, actor: AbstractBaseUser, path: str, body: Any, act: Callable[[], tuple[int, dict[str, Any]]]
) -> tuple[int, dict[str, Any]]:
    """Run `act` at most once for this key and return its (status code, answer); without a key simply run it.

    `act` runs inside this transaction; when it raises, nothing is stored and the key stays free. Raises KeyReused when the key was used by
    another person, for another path or with another body, and Invalid when it is empty or longer than 200 characters.
    """
    if key is None:
        with transaction.atomic():
            return act()
    if not key.strip() or len(key) > 200:
        raise Invalid("Idempotency-Key must have 1 to 200 characters", field="Idempotency-Key")
    body_hash = hashlib.sha256(json.dumps(body, sort_keys=True, default=str).encode()).hexdigest()
    with transaction.atomic():
        _lock(key)
        known = IdempotencyKey.objects.filter(pk=key).first()
        if known is None:
            status_code, answer = act()
            IdempotencyKey.objects.create(
                key=key, actor_id=actor.pk, path=path, body_hash=body_hash, status_code=status_code, answer=answer
            )
            return status_code, answer
        if (known.actor_id, known.path, known.body_hash) != (actor.pk, path, body_hash):
            raise KeyReused("this Idempotency-Key was used for another request", field="Idempotency-Key")
        return known.status_code, known.answer


def _lock(key: str) -> None:
    """Two requests with one key run one after the other: the second then finds the first one's answer."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"idempotency:{key}"])
