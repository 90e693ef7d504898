-- Prices fetched or imported: one series per symbol and interval, replaced or lengthened as a whole.
-- Bars and amounts are DOUBLE as their sources give them; nothing of the ledger is computed here.

create sequence price_revisions;

-- A new revision with every change of the series, so that results can be kept by it.
create table price_series (
    symbol varchar not null,
    interval varchar not null,
    source varchar not null,
    basis varchar not null,
    fetched_at timestamp not null,
    notes varchar[] not null,
    exchange varchar,
    timezone varchar,
    currency varchar,
    revision bigint not null,
    primary key (symbol, interval)
);

-- No keys: the rows of a series are checked before they are stored, and stored together.
create table bars (
    symbol varchar not null,
    interval varchar not null,
    starts_at timestamp not null,
    open double,
    high double,
    low double,
    close double not null,
    volume double
);

create table price_dividends (
    symbol varchar not null,
    interval varchar not null,
    ex_on date not null,
    amount double not null,
    pay_on date
);

create table price_splits (
    symbol varchar not null,
    interval varchar not null,
    split_on date not null,
    ratio double not null
);

-- The last quote seen of each symbol.
create table quotes (
    symbol varchar primary key,
    price decimal(28, 12) not null check (price > 0),
    made_at timestamp not null,
    session varchar not null,
    currency varchar not null,
    previous_close decimal(28, 12),
    source varchar not null,
    fetched_at timestamp not null
);

create view v_prices as
select
    b.symbol, b.interval, b.starts_at, cast(b.starts_at as date) as session_on, b.open, b.high,
    b.low, b.close, b.volume, s.currency, s.source, s.basis, s.fetched_at
from bars as b join price_series as s using (symbol, interval);
comment on view v_prices is 'One row per stored bar; the prices that come with volbal are not among them';
comment on column v_prices.symbol is 'Symbol of the stock';
comment on column v_prices.interval is 'Spacing of the bars: 1d, or intraday as 1h or 5m';
comment on column v_prices.starts_at is 'Start of the bar, exchange-local; midnight of the session for daily bars';
comment on column v_prices.session_on is 'Exchange-local date';
comment on column v_prices.open is 'First price, null where the source has only closes';
comment on column v_prices.high is 'Highest price, null where the source has only closes';
comment on column v_prices.low is 'Lowest price, null where the source has only closes';
comment on column v_prices.close is 'Last price';
comment on column v_prices.volume is 'Shares traded, null where the source has none';
comment on column v_prices.currency is 'Currency of the prices, null where the source does not say; GBp is pence';
comment on column v_prices.source is 'Where the series comes from';
comment on column v_prices.basis is 'What was adjusted in the prices';
comment on column v_prices.fetched_at is 'When the series was last fetched or imported, UTC';

create view v_price_dividends as
select symbol, interval, ex_on, amount, pay_on from price_dividends;
comment on view v_price_dividends is 'Dividends of the stored series, whoever holds the stock';
comment on column v_price_dividends.symbol is 'Symbol of the stock';
comment on column v_price_dividends.interval is 'Series it belongs to';
comment on column v_price_dividends.ex_on is 'Ex-date';
comment on column v_price_dividends.amount is 'Gross amount per share, split-adjusted';
comment on column v_price_dividends.pay_on is 'Pay date, null where it is not known';

create view v_price_splits as
select symbol, interval, split_on, ratio from price_splits;
comment on view v_price_splits is 'Splits of the stored series; its bars are adjusted for them';
comment on column v_price_splits.symbol is 'Symbol of the stock';
comment on column v_price_splits.interval is 'Series it belongs to';
comment on column v_price_splits.split_on is 'First date at the new number of shares';
comment on column v_price_splits.ratio is 'New shares per old one';

create view v_quotes as
select symbol, price, made_at, session, currency, previous_close, source, fetched_at from quotes;
comment on view v_quotes is 'The last quote seen of each symbol';
comment on column v_quotes.symbol is 'Symbol of the stock';
comment on column v_quotes.price is 'Price per share';
comment on column v_quotes.made_at is 'When that price was made, UTC';
comment on column v_quotes.session is 'Part of the trading day it was made in';
comment on column v_quotes.currency is 'Currency of the price';
comment on column v_quotes.previous_close is 'Close of the session before, null where it is not known';
comment on column v_quotes.source is 'Who gave it';
comment on column v_quotes.fetched_at is 'When it was asked for, UTC';
