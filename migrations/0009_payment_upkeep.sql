-- What is looked for again and again is found by an index, however many payments there are.
create index payment_notifications_to_forget on payment_notifications (received_at) where state in ('FORGED', 'UNKNOWN_ORDER');
create index payment_attempts_by_age on payment_attempts (created_at, id);
create index gateway_payments_by_change on gateway_payments (updated_at, attempt_id);
