-- What the screens keep beside the ledger: paper autopilots, and which positions are the sample.

-- seen_until: bars that closed by then are done; the next one is the first after it.
create table autopilots (
    position_id bigint primary key,
    is_on boolean not null,
    seen_until timestamp not null
);

-- The only positions that may be deleted. is_going: their removal has begun and must be finished.
create table samples (
    position_id bigint primary key,
    is_going boolean not null default false
);

create view v_autopilots as
select a.position_id, p.ticker, a.is_on, a.seen_until
from autopilots as a join positions as p using (position_id);
comment on view v_autopilots is 'Positions that a paper autopilot runs or ran';
comment on column v_autopilots.position_id is 'Number of the position';
comment on column v_autopilots.ticker is 'Symbol of the stock';
comment on column v_autopilots.is_on is 'False: switched off';
comment on column v_autopilots.seen_until is 'Bars that closed by then are done, UTC';
