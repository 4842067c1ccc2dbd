"""The small error tree every room above uses for what a person or a program asked and may not have."""


class DomainError(Exception):
    """A request that is refused and changed nothing. The console shows `message`; the API answers `status` with code, message and field."""

    status = 400
    code = "invalid"

    def __init__(self, message: str, *, code: str | None = None, field: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or self.code
        self.field = field


class NotFound(DomainError):
    """The named thing does not exist. The caller corrects the id."""

    status = 404
    code = "not_found"


class Forbidden(DomainError):
    """The person lacks the permission for this act. A superuser grants it."""

    status = 403
    code = "permission_denied"


class Conflict(DomainError):
    """The state of things does not allow it now: too early, already live. The message says which."""

    status = 409
    code = "conflict"


class Invalid(DomainError):
    """The input breaks a rule that the message names. The caller corrects `field`."""

    status = 422
    code = "invalid"
