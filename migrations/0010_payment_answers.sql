-- When the gateway was asked for what is booked: what it said before that, and is learnt later, is no news. None: before this was kept.
alter table gateway_payments add column asked_at timestamptz;
grant update (asked_at) on gateway_payments to nakhoda_app;
