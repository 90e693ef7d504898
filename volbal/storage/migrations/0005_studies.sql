-- Studies: their configuration and life, and every cell as it was computed.
-- Times (_at) are UTC, ratios fractions, money account currency.

create sequence study_ids;

-- owner: the process that works on it. run_at, run_from: when that began, and how many cells were
-- completed then; stored_at: when cells were last stored. prices: per symbol what it runs on, so that a later run is on the same.
create table studies (
    study_id bigint primary key default nextval('study_ids'),
    name varchar not null,
    request json not null,
    sent varchar,
    creation_key varchar unique,
    note varchar not null,
    state varchar not null check (
        state in ('draft', 'running', 'completed', 'failed', 'cancelled', 'interrupted')
    ),
    created_at timestamp not null,
    queued_at timestamp,
    started_at timestamp,
    completed_at timestamp,
    heartbeat_at timestamp,
    owner varchar,
    run_at timestamp,
    run_from bigint,
    stored_at timestamp,
    total bigint not null check (total >= 0),
    completed bigint not null check (completed >= 0 and completed + failed <= total),
    invalid bigint not null check (invalid >= 0),
    failed bigint not null check (failed >= 0),
    error varchar,
    prices json,
    vault json
);

create table study_events (
    study_id bigint not null,
    happened_at timestamp not null,
    state varchar not null,
    sentence varchar not null
);

-- A chunk stands here if and only if its cells are stored: both are written in one transaction.
create table chunks (
    study_id bigint not null,
    symbol varchar not null,
    first_place bigint not null,
    stored_at timestamp not null,
    primary key (study_id, symbol, first_place)
);

-- Cells ever simulated on a symbol; deleting a study takes nothing away.
create table trials (
    symbol varchar primary key,
    cells bigint not null check (cells >= 0)
);

-- No key: the chunks make sure that a cell stands here once, and a key would cost half the speed.
-- The policy of a cell is written out, so that SQL finds it by name; constant columns take no room.
create table cells (
    study_id bigint not null,
    symbol varchar not null,
    cell_id bigint not null,
    valid boolean not null,
    ticks varchar not null,
    trigger_up double not null,
    trigger_down double not null,
    sizing varchar not null,
    rebalance_ratio double not null,
    min_stock_share double not null,
    max_stock_share double not null,
    auto_rebalance boolean not null,
    max_trade_share double not null,
    min_notional double not null,
    lot_size double not null,
    max_orders_per_day double not null,
    commission_rate double not null,
    commission_min double not null,
    slippage double not null,
    withholding_rate double not null,
    cash_rate double not null,
    total_return double,
    cagr double,
    volatility double,
    sharpe_ratio double,
    sortino_ratio double,
    max_drawdown double,
    calmar_ratio double,
    ulcer_index double,
    positive_days double,
    win_rate double,
    profit_factor double,
    avg_holding_days double,
    fill_count double,
    turnover double,
    total_commissions double,
    total_dividends double,
    time_in_guardrails double,
    avg_stock_share double,
    buy_hold_return double,
    excess_return double,
    alpha double,
    beta double,
    information_ratio double,
    bracket_low double,
    bracket_high double
);

create view v_studies as
select
    study_id, name, state, created_at, started_at, completed_at, heartbeat_at, total, completed,
    invalid, failed, if(total = 0, 0.0, 100.0 * completed / total) as percentage, error, note,
    owner, request, prices, vault
from studies;
comment on view v_studies is 'One row per study, one optimization';
comment on column v_studies.study_id is 'Number of the study';
comment on column v_studies.name is 'Its name';
comment on column v_studies.state is 'draft, running, completed, failed, cancelled or interrupted';
comment on column v_studies.created_at is 'When it was saved, UTC';
comment on column v_studies.started_at is 'When it was first started, UTC';
comment on column v_studies.completed_at is 'When it ended, UTC';
comment on column v_studies.heartbeat_at is 'Last sign of life of the process that works on it, UTC';
comment on column v_studies.total is 'Cells of all symbols, invalid ones included';
comment on column v_studies.completed is 'Cells done, invalid ones included';
comment on column v_studies.invalid is 'Cells that break a bound and are not simulated';
comment on column v_studies.failed is 'Cells whose simulation raised an error';
comment on column v_studies.percentage is 'Share done, 0 to 100';
comment on column v_studies.error is 'Why it failed';
comment on column v_studies.note is 'The notes of its user';
comment on column v_studies.owner is 'Process that works or worked on it';
comment on column v_studies.request is 'Its configuration, JSON';
comment on column v_studies.prices is 'What prices each symbol ran on, JSON';
comment on column v_studies.vault is 'What the vault part said of the one cell it was opened for, JSON';

create view v_cells as
select
    s.name as study, c.study_id, c.symbol, c.cell_id, c.valid, c.ticks, c.trigger_up,
    c.trigger_down, c.sizing, c.rebalance_ratio, c.min_stock_share, c.max_stock_share,
    c.auto_rebalance, c.max_trade_share, c.min_notional, c.lot_size, c.max_orders_per_day,
    c.commission_rate, c.commission_min, c.slippage, c.withholding_rate, c.cash_rate,
    c.total_return, c.cagr, c.volatility, c.sharpe_ratio, c.sortino_ratio, c.max_drawdown,
    c.calmar_ratio, c.ulcer_index, c.positive_days, c.win_rate, c.profit_factor,
    c.avg_holding_days, c.fill_count, c.turnover, c.total_commissions, c.total_dividends,
    c.time_in_guardrails, c.avg_stock_share, c.buy_hold_return, c.excess_return, c.alpha, c.beta,
    c.information_ratio, c.bracket_low, c.bracket_high
from cells as c join studies as s using (study_id);
comment on view v_cells is 'One row per parameter combination and symbol of a study';
comment on column v_cells.study is 'Name of the study';
comment on column v_cells.study_id is 'Number of the study';
comment on column v_cells.symbol is 'Symbol it was simulated on';
comment on column v_cells.cell_id is 'Number of the combination in the study, the same for every symbol';
comment on column v_cells.valid is 'False: it breaks a bound and was not simulated';
comment on column v_cells.ticks is 'Tick model: close or limit';
comment on column v_cells.trigger_up is 'Sell trigger above the anchor';
comment on column v_cells.trigger_down is 'Buy trigger below the anchor';
comment on column v_cells.sizing is 'proportional, fixed_percentage or original';
comment on column v_cells.rebalance_ratio is 'How much is traded per distance from the anchor';
comment on column v_cells.min_stock_share is 'Lower guardrail of the stock share';
comment on column v_cells.max_stock_share is 'Upper guardrail of the stock share';
comment on column v_cells.auto_rebalance is 'True: the guardrails themselves may cause orders';
comment on column v_cells.max_trade_share is 'Largest notional of a triggered order, share of equity';
comment on column v_cells.min_notional is 'Smaller orders are skipped, account currency';
comment on column v_cells.lot_size is 'Shares per lot, 0 for fractional';
comment on column v_cells.max_orders_per_day is 'Accepted orders per date';
comment on column v_cells.commission_rate is 'Fee per notional';
comment on column v_cells.commission_min is 'Least fee per order, account currency';
comment on column v_cells.slippage is 'Price given up per fill';
comment on column v_cells.withholding_rate is 'Tax withheld from dividends';
comment on column v_cells.cash_rate is 'Interest on cash per year';
comment on column v_cells.total_return is 'Final equity / capital - 1';
comment on column v_cells.cagr is 'Constant annual growth from the capital to the final equity';
comment on column v_cells.volatility is 'Standard deviation of daily returns, annualised by the root of 252; null: fewer than two daily returns';
comment on column v_cells.sharpe_ratio is 'Mean / standard deviation of daily returns, annualised; no interest subtracted; null: the daily returns do not vary';
comment on column v_cells.sortino_ratio is 'Mean / downside deviation of daily returns (target 0), annualised; null: no day lost money';
comment on column v_cells.max_drawdown is 'Deepest fall of equity from a running peak, <= 0';
comment on column v_cells.calmar_ratio is 'Annual return / depth of the maximum drawdown; null: equity never fell below a peak';
comment on column v_cells.ulcer_index is 'Root mean square of the daily drawdowns: depth and length of the falls';
comment on column v_cells.positive_days is 'Share of days on which equity rose';
comment on column v_cells.win_rate is 'Share of sells above average cost after commission; null: nothing was sold';
comment on column v_cells.profit_factor is 'Gains / losses of the sells against average cost; null: no sell lost money';
comment on column v_cells.avg_holding_days is 'Calendar days from the mean purchase date to the sale, by quantity; null: nothing was sold';
comment on column v_cells.fill_count is 'Number of orders filled';
comment on column v_cells.turnover is 'The smaller of buys and sells / mean equity / years';
comment on column v_cells.total_commissions is 'All commissions paid';
comment on column v_cells.total_dividends is 'Dividends after withholding, counted on their ex-dates';
comment on column v_cells.time_in_guardrails is 'Share of ticks after the first that end with the stock share inside its guardrails';
comment on column v_cells.avg_stock_share is 'Mean share of equity held in stock at day ends';
comment on column v_cells.buy_hold_return is 'Total return of all capital in stock from the first tick, net dividends kept as cash';
comment on column v_cells.excess_return is 'Annual return minus that of a hold with the same average stock share';
comment on column v_cells.alpha is 'Annualised intercept of daily returns on the stock''s daily total returns; null: the stock''s returns do not vary';
comment on column v_cells.beta is 'Slope of daily returns on the stock''s daily total returns; null: the stock''s returns do not vary';
comment on column v_cells.information_ratio is 'Annualised mean / standard deviation of the daily excess over the exposure-matched hold; null: the strategy never differs from the exposure-matched hold';
comment on column v_cells.bracket_low is 'Lower annual return of the two possible orders of a bar''s high and low; null: only limit ticks have a bracket';
comment on column v_cells.bracket_high is 'Higher annual return of the two possible orders of a bar''s high and low; null: only limit ticks have a bracket';
