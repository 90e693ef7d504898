-- Keys of deposits and withdrawals: each stands for one of them, of its position, for ever.

create table transfer_keys (
    position_id bigint not null references positions (position_id),
    idempotency_key varchar not null,
    kind varchar not null check (kind in ('deposit', 'withdrawal')),
    amount decimal(18, 6) not null check (amount > 0),
    primary key (position_id, idempotency_key)
);
