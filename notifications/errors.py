"""The errors of this room; each says who acts."""


class NotificationError(Exception):
    """Root of everything this room raises."""


class BadNotice(NotificationError):
    """What was asked to be told cannot be: unknown type, missing facts, a key used for something else.

    A developer acts; never retried.
    """


class MailDelayed(NotificationError):
    """The mail server cannot take this mail now. Nobody acts: it is tried again."""


class MailRefused(NotificationError):
    """The mail server will never take this mail as it is (unknown recipient, refused content). An operator acts."""


class UnknownNotification(NotificationError):
    """No such notification among the user's own. The caller corrects its request."""
