"""Everything volbal can refuse, as one tree.

    VolbalError
    ├── InvalidInput          a value the user gave cannot be used (HTTP 422, CLI exit 2)
    └── PriceUnavailable      no source can give the prices asked for (HTTP 503)

Each error carries a stable ``code`` for machines and writes its own sentence for people:
what happened, with which value, what is allowed, what to do.
"""


class VolbalError(Exception):
    """Base of every refusal; anything else that reaches a user is a bug."""

    code = "error"


class InvalidInput(VolbalError):
    """A value cannot be used; names the field, the value and what is allowed."""

    def __init__(self, field: str, problem: str, allowed: str) -> None:
        super().__init__(field, problem, allowed)
        self.field = field
        self.allowed = allowed
        self.code = f"invalid_{field}"
        self.message = f"{field}: {problem}; {allowed}."

    def __str__(self) -> str:
        return self.message


class PriceUnavailable(VolbalError):
    """No source can give the prices asked for; says what can be had instead."""

    code = "price_unavailable"
