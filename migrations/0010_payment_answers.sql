-- When the gateway was asked for what is booked: what it said before that, and is learnt later, is no news. None: before this was kept.
alter table gateway_payments add column asked_at timestamptz;
-- Whoever looks into a payment has some id of it at hand.
create index payment_notifications_of_payment on payment_notifications (gateway_id, received_at) where gateway_id is not null;
create index payment_findings_of_subject on payment_findings (subject);
create index payment_findings_of_top_up on payment_findings (top_up_id) where top_up_id is not null;
grant update (asked_at) on gateway_payments to nakhoda_app;
