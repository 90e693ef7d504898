-- Shares of a position that has seen no price yet are worth their opening price, as in v_equity.

create or replace view v_positions as
select
    position_id, ticker, opened_at, is_open, quantity, cash, receivable, last_price, last_price_at,
    cast(cast(quantity as decimal(38, 12)) * coalesce(last_price, average_cost) as decimal(18, 6))
        as stock_value,
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
comment on column v_positions.stock_value is 'Shares held at the last accepted price, before one at the opening price they cost, null without either';
comment on column v_positions.average_cost is 'Moving average cost per share with buy commissions, null while opening shares wait for a price';
comment on column v_positions.anchor is 'Anchor price, null before the first price';
comment on column v_positions.anchor_on is 'Exchange-local date the anchor was set';
comment on column v_positions.fees is 'Commissions paid so far';
comment on column v_positions.dividends is 'Net dividends accrued so far, by ex-date';
comment on column v_positions.withheld is 'Tax withheld from dividends so far';
comment on column v_positions.contributed is 'Money and shares brought in less taken out, at their prices then';
comment on column v_positions.strict is 'True: fills that leave the guardrails are refused';
comment on column v_positions.policy is 'Parameters of the rule, JSON';
