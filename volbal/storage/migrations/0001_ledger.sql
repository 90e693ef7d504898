-- The ledger: append-only entries, what happened to orders, and the views people may query.
-- Times (_at) are UTC, dates (_on) exchange-local, ratios fractions, money account currency.

create sequence position_ids;
create sequence entry_ids;
create sequence order_ids;
create sequence fill_ids;
create sequence dividend_ids;
create sequence decision_ids;
create sequence valuation_ids;
create sequence event_ids;

-- Everything from quantity to is_open is a cache: the fold of the position's entries.
-- policy and strict are those of its last configuration.
create table positions (
    position_id bigint primary key default nextval('position_ids'),
    ticker varchar not null,
    opened_at timestamp not null,
    quantity decimal(28, 12) not null check (quantity >= 0),
    cash decimal(18, 6) not null check (cash >= 0),
    receivable decimal(18, 6) not null check (receivable >= 0),
    fees decimal(18, 6) not null,
    dividends decimal(18, 6) not null,
    withheld decimal(18, 6) not null,
    contributed decimal(18, 6) not null,
    average_cost decimal(28, 12),
    anchor decimal(28, 12) check (anchor > 0),
    anchor_on date,
    is_open boolean not null,
    last_price decimal(28, 12) check (last_price > 0),
    last_price_at timestamp,
    policy json not null,
    strict boolean not null
);

create table configurations (
    position_id bigint not null references positions (position_id),
    number integer not null check (number > 0),
    configured_at timestamp not null,
    configured_by varchar not null,
    note varchar not null,
    policy json not null,
    strict boolean not null,
    primary key (position_id, number)
);

create table presets (
    name varchar primary key,
    policy json not null,
    saved_at timestamp not null
);

-- The seven legs of an entry sum to exactly 0.
create table entries (
    entry_id bigint primary key default nextval('entry_ids'),
    position_id bigint not null references positions (position_id),
    recorded_at timestamp not null,
    entry_on date not null,
    kind varchar not null check (kind in (
        'open', 'deposit', 'withdrawal', 'fill', 'dividend_accrual', 'dividend_payment',
        'split', 'anchor', 'adjustment', 'close'
    )),
    leg_cash decimal(18, 6) not null,
    leg_shares decimal(18, 6) not null,
    leg_receivable decimal(18, 6) not null,
    leg_commission decimal(18, 6) not null,
    leg_withholding decimal(18, 6) not null,
    leg_income decimal(18, 6) not null,
    leg_external decimal(18, 6) not null,
    quantity decimal(28, 12) not null,
    price decimal(28, 12),
    anchor decimal(28, 12),
    anchor_on date,
    new_shares decimal(28, 12),
    old_shares decimal(28, 12),
    check (
        leg_cash + leg_shares + leg_receivable + leg_commission + leg_withholding + leg_income
        + leg_external = 0
    )
);

create table orders (
    order_id bigint primary key default nextval('order_ids'),
    position_id bigint not null references positions (position_id),
    idempotency_key varchar not null,
    fingerprint varchar not null,
    side varchar not null check (side in ('BUY', 'SELL')),
    quantity decimal(28, 12) not null check (quantity > 0),
    state varchar not null check (
        state in ('submitted', 'partially_filled', 'filled', 'cancelled', 'rejected')
    ),
    filled decimal(28, 12) not null check (filled >= 0 and filled <= quantity),
    submitted_at timestamp not null,
    submitted_on date not null,
    closed_at timestamp,
    reason varchar,
    unique (position_id, idempotency_key),
    check ((closed_at is null) = (state in ('submitted', 'partially_filled')))
);

create table fills (
    fill_id bigint primary key default nextval('fill_ids'),
    order_id bigint not null references orders (order_id),
    position_id bigint not null,
    entry_id bigint not null,
    fill_key varchar,
    fingerprint varchar not null,
    side varchar not null,
    price decimal(28, 12) not null check (price > 0),
    quantity decimal(28, 12) not null check (quantity > 0),
    commission decimal(18, 6) not null check (commission >= 0),
    filled_at timestamp not null,
    outside_guardrails boolean not null,
    unique (order_id, fill_key)
);

create table dividends (
    dividend_id bigint primary key default nextval('dividend_ids'),
    position_id bigint not null references positions (position_id),
    ex_on date not null,
    pay_on date,
    per_share decimal(28, 12) not null check (per_share > 0),
    state varchar not null check (state in ('announced', 'accrued', 'paid')),
    held decimal(28, 12),
    gross decimal(18, 6),
    withheld decimal(18, 6),
    net decimal(18, 6),
    accrual_entry_id bigint,
    payment_entry_id bigint,
    unique (position_id, ex_on)
);

create table decisions (
    decision_id bigint primary key default nextval('decision_ids'),
    position_id bigint not null references positions (position_id),
    decided_at timestamp not null,
    action varchar not null,
    reason varchar not null,
    price decimal(28, 12) not null,
    price_source varchar not null,
    price_made_at timestamp,
    price_age double not null,
    confirmed boolean not null,
    anchor decimal(28, 12),
    distance double,
    buy_level decimal(28, 12),
    sell_level decimal(28, 12),
    held decimal(28, 12) not null,
    cash decimal(18, 6) not null,
    receivable decimal(18, 6) not null,
    orders_today integer not null,
    policy json not null,
    equity decimal(18, 6) not null,
    stock_share double not null,
    stock_share_after double not null,
    wish double not null,
    capped double not null,
    guarded double not null,
    funded double not null,
    rounded double not null,
    side varchar,
    quantity decimal(28, 12) not null,
    notional decimal(18, 6) not null,
    commission decimal(18, 6) not null,
    proposal_key varchar,
    sentence varchar not null
);

-- A position valued at a price after `flow` came in; equity is null where no price was known.
create table valuations (
    valuation_id bigint primary key default nextval('valuation_ids'),
    position_id bigint not null references positions (position_id),
    valued_at timestamp not null,
    price decimal(28, 12),
    quantity decimal(28, 12) not null,
    cash decimal(18, 6) not null,
    receivable decimal(18, 6) not null,
    equity decimal(18, 6),
    flow decimal(18, 6) not null,
    dividend decimal(28, 12) not null,
    split decimal(28, 12) not null
);

create table events (
    event_id bigint primary key default nextval('event_ids'),
    position_id bigint not null references positions (position_id),
    happened_at timestamp not null,
    type varchar not null,
    inputs json not null,
    outputs json not null,
    sentence varchar not null
);

create view v_positions as
select
    position_id, ticker, opened_at, is_open, quantity, cash, receivable, last_price, last_price_at,
    cast(cast(quantity as decimal(38, 12)) * last_price as decimal(18, 6)) as stock_value,
    average_cost, anchor, anchor_on, fees, dividends, withheld, contributed, strict, policy
from positions;
comment on view v_positions is 'One row per position, as its ledger entries add up';
comment on column v_positions.position_id is 'Number of the position';
comment on column v_positions.ticker is 'Symbol of the stock';
comment on column v_positions.opened_at is 'When it was opened, UTC';
comment on column v_positions.is_open is 'False for an archived position';
comment on column v_positions.quantity is 'Shares held';
comment on column v_positions.cash is 'Cash of the position, account currency';
comment on column v_positions.receivable is 'Net dividends accrued and not yet paid';
comment on column v_positions.last_price is 'Last accepted price per share';
comment on column v_positions.last_price_at is 'When that price was made, UTC';
comment on column v_positions.stock_value is 'Shares held at the last accepted price, null before one';
comment on column v_positions.average_cost is 'Moving average cost per share with buy commissions, null while opening shares wait for a price';
comment on column v_positions.anchor is 'Anchor price, null before the first price';
comment on column v_positions.anchor_on is 'Exchange-local date the anchor was set';
comment on column v_positions.fees is 'Commissions paid so far';
comment on column v_positions.dividends is 'Net dividends accrued so far, by ex-date';
comment on column v_positions.withheld is 'Tax withheld from dividends so far';
comment on column v_positions.contributed is 'Money and shares brought in less taken out, at their prices then';
comment on column v_positions.strict is 'True: fills that leave the guardrails are refused';
comment on column v_positions.policy is 'Parameters of the rule, JSON';

create view v_orders as
select
    o.order_id, o.position_id, p.ticker, o.idempotency_key, o.side, o.quantity, o.filled,
    o.quantity - o.filled as remaining, o.state, o.submitted_at, o.submitted_on, o.closed_at,
    o.reason
from orders as o join positions as p using (position_id);
comment on view v_orders is 'One row per order';
comment on column v_orders.order_id is 'Number of the order';
comment on column v_orders.position_id is 'Number of the position';
comment on column v_orders.ticker is 'Symbol of the stock';
comment on column v_orders.idempotency_key is 'Key it was submitted with, unique in its position';
comment on column v_orders.side is 'BUY or SELL';
comment on column v_orders.quantity is 'Shares ordered';
comment on column v_orders.filled is 'Shares filled so far';
comment on column v_orders.remaining is 'Shares not filled';
comment on column v_orders.state is 'submitted, partially_filled, filled, cancelled or rejected';
comment on column v_orders.submitted_at is 'When it was accepted, UTC';
comment on column v_orders.submitted_on is 'Exchange-local date it counts for';
comment on column v_orders.closed_at is 'When it was filled, cancelled or rejected, UTC';
comment on column v_orders.reason is 'Why it was cancelled or rejected';

create view v_fills as
select
    f.fill_id, f.order_id, f.position_id, p.ticker, f.side, f.quantity, f.price,
    abs(e.leg_shares) as notional, f.commission, f.filled_at, e.entry_on as filled_on,
    f.outside_guardrails, f.entry_id
from fills as f join entries as e using (entry_id) join positions as p on p.position_id = f.position_id;
comment on view v_fills is 'One row per execution';
comment on column v_fills.fill_id is 'Number of the fill';
comment on column v_fills.order_id is 'Order it belongs to';
comment on column v_fills.position_id is 'Number of the position';
comment on column v_fills.ticker is 'Symbol of the stock';
comment on column v_fills.side is 'BUY or SELL';
comment on column v_fills.quantity is 'Shares, > 0';
comment on column v_fills.price is 'Price per share';
comment on column v_fills.notional is 'Shares times price, account currency';
comment on column v_fills.commission is 'Fee of this fill';
comment on column v_fills.filled_at is 'When it happened, UTC';
comment on column v_fills.filled_on is 'Exchange-local date it counts for';
comment on column v_fills.outside_guardrails is 'True: it left the guardrails and was recorded all the same';
comment on column v_fills.entry_id is 'Its line in v_ledger';

create view v_dividends as
select
    d.dividend_id, d.position_id, p.ticker, d.ex_on, d.pay_on, d.per_share, d.state, d.held,
    d.gross, d.withheld, d.net, d.accrual_entry_id, d.payment_entry_id
from dividends as d join positions as p using (position_id);
comment on view v_dividends is 'One row per dividend of a position';
comment on column v_dividends.dividend_id is 'Number of the dividend';
comment on column v_dividends.position_id is 'Number of the position';
comment on column v_dividends.ticker is 'Symbol of the stock';
comment on column v_dividends.ex_on is 'Ex-date';
comment on column v_dividends.pay_on is 'Pay date, null where it is not known';
comment on column v_dividends.per_share is 'Gross amount per share';
comment on column v_dividends.state is 'announced, accrued or paid';
comment on column v_dividends.held is 'Shares held at the close before the ex-date, null before it';
comment on column v_dividends.gross is 'Gross amount, null before the ex-date';
comment on column v_dividends.withheld is 'Tax withheld, null before the ex-date';
comment on column v_dividends.net is 'Amount receivable or paid, null before the ex-date';
comment on column v_dividends.accrual_entry_id is 'Line in v_ledger of the accrual';
comment on column v_dividends.payment_entry_id is 'Line in v_ledger of the payment';

create view v_ledger as
select
    e.entry_id, e.position_id, p.ticker, e.recorded_at, e.entry_on, e.kind, e.quantity, e.price,
    e.leg_cash, e.leg_shares, e.leg_receivable, e.leg_commission, e.leg_withholding, e.leg_income,
    e.leg_external, e.anchor, e.anchor_on, e.new_shares, e.old_shares
from entries as e join positions as p using (position_id);
comment on view v_ledger is 'The append-only ledger; the seven legs of a line sum to 0, a positive leg receives';
comment on column v_ledger.entry_id is 'Number of the line';
comment on column v_ledger.position_id is 'Number of the position';
comment on column v_ledger.ticker is 'Symbol of the stock';
comment on column v_ledger.recorded_at is 'When it was recorded, UTC';
comment on column v_ledger.entry_on is 'Exchange-local date it counts for';
comment on column v_ledger.kind is 'open, deposit, withdrawal, fill, dividend_accrual, dividend_payment, split, anchor, adjustment or close';
comment on column v_ledger.quantity is 'Shares gained (> 0) or given up (< 0)';
comment on column v_ledger.price is 'Price per share; for dividends the gross amount per share';
comment on column v_ledger.leg_cash is 'Cash of the position';
comment on column v_ledger.leg_shares is 'Shares at the price traded';
comment on column v_ledger.leg_receivable is 'Net dividends not yet paid';
comment on column v_ledger.leg_commission is 'Commission';
comment on column v_ledger.leg_withholding is 'Tax withheld';
comment on column v_ledger.leg_income is 'Gross dividends, < 0 because they come from there';
comment on column v_ledger.leg_external is 'Outside the position: < 0 brought in, > 0 taken out';
comment on column v_ledger.anchor is 'Anchor after this line, null where it does not move it';
comment on column v_ledger.anchor_on is 'Date that anchor was set';
comment on column v_ledger.new_shares is 'Split: so many new shares ...';
comment on column v_ledger.old_shares is 'Split: ... for so many old ones';

create view v_decisions as
select
    d.decision_id, d.position_id, p.ticker, d.decided_at, d.action, d.reason, d.sentence, d.price,
    d.price_source, d.price_made_at, d.price_age, d.confirmed, d.anchor, d.distance, d.buy_level,
    d.sell_level, d.held, d.cash, d.receivable, d.orders_today, d.equity, d.stock_share,
    d.stock_share_after, d.wish, d.capped, d.guarded, d.funded, d.rounded, d.side, d.quantity,
    d.notional, d.commission, d.proposal_key, d.policy
from decisions as d join positions as p using (position_id);
comment on view v_decisions is 'One row per recorded evaluation, with every number the rule used';
comment on column v_decisions.decision_id is 'Number of the decision';
comment on column v_decisions.position_id is 'Number of the position';
comment on column v_decisions.ticker is 'Symbol of the stock';
comment on column v_decisions.decided_at is 'When the rule was asked, UTC';
comment on column v_decisions.action is 'BUY, SELL, HOLD or SKIP';
comment on column v_decisions.reason is 'Why, as one word';
comment on column v_decisions.sentence is 'Why, in plain words';
comment on column v_decisions.price is 'Price the rule was asked about';
comment on column v_decisions.price_source is 'Where that price came from';
comment on column v_decisions.price_made_at is 'When that price was made, UTC, null if typed';
comment on column v_decisions.price_age is 'Age of the price in seconds';
comment on column v_decisions.confirmed is 'True: somebody vouched for the price';
comment on column v_decisions.anchor is 'Anchor price before the decision';
comment on column v_decisions.distance is 'Price / anchor - 1';
comment on column v_decisions.buy_level is 'Price at which it buys';
comment on column v_decisions.sell_level is 'Price at which it sells';
comment on column v_decisions.held is 'Shares held';
comment on column v_decisions.cash is 'Cash';
comment on column v_decisions.receivable is 'Net dividends not yet paid';
comment on column v_decisions.orders_today is 'Orders accepted on that date before';
comment on column v_decisions.equity is 'Stock value + cash + receivable';
comment on column v_decisions.stock_share is 'Share of equity in stock before';
comment on column v_decisions.stock_share_after is 'Share of equity in stock after the proposed order';
comment on column v_decisions.wish is 'Order the sizing asks for, signed notional, + buys';
comment on column v_decisions.capped is 'The wish after the largest trade';
comment on column v_decisions.guarded is 'After the guardrails';
comment on column v_decisions.funded is 'Shares after cash or shares held';
comment on column v_decisions.rounded is 'Shares after whole lots';
comment on column v_decisions.side is 'Side of the proposed order, null without one';
comment on column v_decisions.quantity is 'Shares of the proposed order, 0 without one';
comment on column v_decisions.notional is 'Expected notional of the proposed order';
comment on column v_decisions.commission is 'Expected fee of the proposed order';
comment on column v_decisions.proposal_key is 'Idempotency key of the proposed order';
comment on column v_decisions.policy is 'Parameters of the rule, JSON';

create view v_equity as
select
    v.valuation_id, v.position_id, p.ticker, v.valued_at, v.price, v.quantity, v.cash,
    v.receivable, v.equity, v.flow, v.dividend, v.split
from valuations as v join positions as p using (position_id);
comment on view v_equity is 'What each position was worth at accepted prices, fills, deposits and withdrawals';
comment on column v_equity.valuation_id is 'Number of the valuation';
comment on column v_equity.position_id is 'Number of the position';
comment on column v_equity.ticker is 'Symbol of the stock';
comment on column v_equity.valued_at is 'When, UTC';
comment on column v_equity.price is 'Price per share it was valued at, null where none was known';
comment on column v_equity.quantity is 'Shares held then';
comment on column v_equity.cash is 'Cash then';
comment on column v_equity.receivable is 'Net dividends not yet paid then';
comment on column v_equity.equity is 'Stock value + cash + receivable, null where it waits for a price';
comment on column v_equity.flow is 'Money or shares brought in (> 0) or taken out (< 0) at that moment';
comment on column v_equity.dividend is 'Net dividend per share that went ex since the valuation before';
comment on column v_equity.split is 'New shares per old one since the valuation before';
