-- What the screens read and keep: the "why" log as one view, and people's own queries.

create table queries (
    name varchar primary key,
    sql varchar not null,
    saved_at timestamp not null
);

create view v_timeline as
select
    e.event_id, e.position_id, p.ticker, e.happened_at, e.type,
    coalesce(d.action, f.side, json_extract_string(e.inputs, '$.side')) as action, d.reason,
    e.sentence,
    coalesce(
        o.filled > 0,
        e.type in (
            'opened', 'deposit', 'withdrawal', 'fill', 'dividend_accrued', 'dividend_paid',
            'split', 'adjustment'
        )
    ) as executed,
    e.inputs, e.outputs, d.decision_id
from events as e
join positions as p using (position_id)
left join decisions as d
    on e.type = 'evaluation'
    and d.decision_id = cast(json_extract_string(e.outputs, '$.decision_id') as bigint)
left join orders as o
    on o.position_id = d.position_id and o.idempotency_key = d.proposal_key
left join fills as f
    on e.type = 'fill'
    and f.fill_id = cast(json_extract_string(e.outputs, '$.fill_id') as bigint);
comment on view v_timeline is 'The "why" log: everything that was asked, decided, done or refused';
comment on column v_timeline.event_id is 'Number of the event, in the order of recording';
comment on column v_timeline.position_id is 'Number of the position';
comment on column v_timeline.ticker is 'Symbol of the stock';
comment on column v_timeline.happened_at is 'When it happened, UTC';
comment on column v_timeline.type is 'evaluation, submission, fill, cancel, reject, refused, dividend_announced, deposit and so on';
comment on column v_timeline.action is 'BUY, SELL, HOLD or SKIP; null where it is about no order';
comment on column v_timeline.reason is 'Evaluations: why, as one word';
comment on column v_timeline.sentence is 'What happened, in plain words';
comment on column v_timeline.executed is 'True: it moved cash, shares or dividends, or is the evaluation whose order was filled';
comment on column v_timeline.inputs is 'What was asked, JSON';
comment on column v_timeline.outputs is 'What came of it, JSON';
comment on column v_timeline.decision_id is 'Evaluations: the line in v_decisions with every number';
