-- So that people's money is read by what they ask for, however much there is of it.

-- What an account came to with all transfers up to one of them: beside an entry that moved the customer's other account.
create index transfers_of_account on transfers (account_id, id);

-- What somebody means to pay.
create index transactions_pending_of_user on transactions (user_id) where status = 'PENDING';

-- What somebody spent in a time.
create index transactions_settled_of_user on transactions (user_id, decided_at) where status in ('COMPLETED', 'REVERSED');
