"""Everything volbal can refuse, as one tree.

    VolbalError
    ├── InvalidInput             a value the user gave cannot be used (HTTP 422, CLI exit 2)
    │   ├── InvalidPrices        rows of a price series (market.validation)
    │   │   └── UnadjustedPrices a split shows in them
    │   ├── AmbiguousDates       of a file: day or month first? (market.cells)
    │   ├── StoredMeanwhile      other prices than at the preview (services.price_import)
    │   ├── BarsLost             a file without bars that are stored (services.price_import)
    │   ├── KeyTooLong           an idempotency key (domain.orders)
    │   ├── PositionClosed       archived: it takes nothing new (domain.position)
    │   └── DividendNotAccrued   paid before its ex-date came (domain.dividends)
    ├── PriceUnavailable         no source can give the prices asked for (HTTP 503)
    │   └── Offline, RateLimited, UnknownSymbol, RangeUnavailable, UpstreamBroken (market.yahoo)
    ├── MissingIdempotencyKey    an order came without a key (domain.orders; HTTP 400)
    ├── PositionNotFound, OrderNotFound, DividendNotFound (HTTP 404)
    ├── Refused                  leaves one `refused` event (domain.ledger; HTTP 409)
    │   ├── IdempotencyConflict, OrderOpen, Overfill, DailyOrderCap, GuardrailBreach
    │   ├── ProposalOutdated
    │   ├── OrderClosed
    │   └── InsufficientCash, InsufficientShares
    ├── StudyNotFound            (HTTP 404)
    ├── StudyNotStartable, StudyRunning, PricesChanged, VaultOpened (HTTP 409)
    ├── DatabaseBusy             another program holds the file (storage.startup; HTTP 503)
    ├── DatabaseUnusable         left as it is, the newest backup named
    │   └── DatabaseDamaged, DatabaseTooNew, DatabaseNotWritable
    ├── FormOutdated             the ledger has grown since the form was drawn (ui.holdings)
    ├── BackupFailed, BackupUnusable
    └── SqlRefused, SqlTooLarge  user SQL (storage.sandbox)

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

    @property
    def reason(self) -> str:
        """The message without the field, for a sentence that says itself what it is about."""
        return self.message.removeprefix(f"{self.field}: ")

    def __str__(self) -> str:
        return self.message


class PriceUnavailable(VolbalError):
    """No source can give the prices asked for; says what can be had instead."""

    code = "price_unavailable"
