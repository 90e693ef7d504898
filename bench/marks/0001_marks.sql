-- The smallest ledger: each mark has two legs that sum to zero.
create table marks (id bigint not null, note varchar not null);
create table legs (mark_id bigint not null, amount decimal(18, 6) not null);
