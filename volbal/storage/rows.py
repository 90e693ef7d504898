"""Stored things that exist as rows only: what `records` takes and gives back."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from volbal.domain.decision import Decision
from volbal.domain.ledger import Entry
from volbal.domain.study_states import StudyState


@dataclass(frozen=True, slots=True)
class StoredEntry:
    """A line of the ledger with its number."""

    entry_id: int
    position_id: int
    recorded_at: datetime
    entry: Entry


@dataclass(frozen=True, slots=True)
class DividendAccrual:
    """What an ex-date brought: shares held at the close before, and money."""

    held: Decimal
    gross: Decimal
    withheld: Decimal
    net: Decimal
    entry_id: int


@dataclass(frozen=True, slots=True)
class StoredDecision:
    """A decision as recorded. proposal_key: None where nothing is proposed."""

    decision: Decision
    decided_at: datetime
    proposal_key: str | None


@dataclass(frozen=True, slots=True)
class StoredValuation:
    """A valuation with what it was computed from."""

    valuation_id: int
    position_id: int
    price: Decimal | None
    quantity: Decimal
    cash: Decimal
    receivable: Decimal
    equity: Decimal | None
    flow: Decimal


@dataclass(frozen=True, slots=True)
class Event:
    """One line of the "why" log: what was asked, what came of it, one sentence."""

    position_id: int
    happened_at: datetime
    type: str
    inputs: Mapping[str, object]
    outputs: Mapping[str, object]
    sentence: str
    event_id: int = 0


@dataclass(frozen=True, slots=True)
class StoredSeries:
    """The head of a price series.

    exchange, timezone, currency: where it trades, None where the source does not say. revision:
    another one after every change of its rows, given by the store.
    """

    symbol: str
    interval: str
    source: str
    basis: str
    fetched_at: datetime
    notes: tuple[str, ...]
    exchange: str | None
    timezone: str | None
    currency: str | None
    revision: int = 0


@dataclass(frozen=True, slots=True)
class StoredClose:
    """The last stored daily close of a symbol, who gave the series, and where it trades."""

    on: date
    close: float
    source: str
    exchange: str | None


@dataclass(frozen=True, slots=True)
class StoredQuote:
    """The last quote seen of a symbol."""

    symbol: str
    price: Decimal
    made_at: datetime
    session: str
    currency: str
    previous_close: Decimal | None
    source: str
    fetched_at: datetime


@dataclass(frozen=True, slots=True)
class StudyEvent:
    """One line of a study's history."""

    happened_at: datetime
    state: StudyState
    sentence: str


@dataclass(frozen=True, slots=True)
class StoredStudy:
    """A study as its row has it; see the table for the columns."""

    study_id: int
    request: Mapping[str, Any]
    sent: str | None
    note: str
    state: StudyState
    created_at: datetime
    queued_at: datetime | None
    started_at: datetime | None
    completed_at: datetime | None
    heartbeat_at: datetime | None
    owner: str | None
    run_at: datetime | None
    run_from: int | None
    stored_at: datetime | None
    total: int
    completed: int
    invalid: int
    failed: int
    error: str | None
    prices: Mapping[str, Any] | None
    vault: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class LogFilter:
    """Which lines of the "why" log; None and empty stand for all.

    since, before: aware, half-open. executed_only: what moved cash, shares or dividends, and the
    evaluations whose orders were filled.
    """

    since: datetime | None = None
    before: datetime | None = None
    types: tuple[str, ...] = ()
    actions: tuple[str, ...] = ()
    position_ids: tuple[int, ...] = ()
    executed_only: bool = False


@dataclass(frozen=True, slots=True)
class LogLine:
    """An event with its stock, and the decision of an evaluation."""

    event_id: int
    position_id: int
    ticker: str
    happened_at: datetime
    type: str
    action: str | None
    reason: str | None
    sentence: str
    executed: bool
    inputs: Mapping[str, object]
    outputs: Mapping[str, object]
    decision_id: int | None


@dataclass(frozen=True, slots=True)
class DividendLine:
    """A dividend with the shares that count for it.

    paid_on: when the cash came, None before. held, gross, withheld, net: None before the ex-date
    is worked off. quantity: until then, what is held by the close before the ex-date; 0 after.
    """

    dividend_id: int
    position_id: int
    ticker: str
    ex_on: date
    pay_on: date | None
    paid_on: date | None
    per_share: Decimal
    state: str
    held: Decimal | None
    gross: Decimal | None
    withheld: Decimal | None
    net: Decimal | None
    quantity: Decimal
    withholding_rate: float
    is_open: bool


@dataclass(frozen=True, slots=True)
class ViewColumn:
    """A column of a documented view. view_comment, comment: what they hold."""

    view: str
    view_comment: str
    name: str
    type: str
    comment: str | None


@dataclass(frozen=True, slots=True)
class StoredAutopilot:
    """Whether a position runs by itself, and through which bars it has."""

    position_id: int
    is_on: bool
    seen_until: datetime


@dataclass(frozen=True, slots=True)
class WaitingAutopilot:
    """What an autopilot waits for, and since when: the code of the error, and what was told."""

    code: str
    sentence: str
    since: datetime
