-- Mails are nobody's history: what was sent, given up or discarded is taken away after a while, with the address it went to.
grant delete on emails to nakhoda_app;

-- For administrators who look for what became of a mail.
create index emails_by_recipient on emails (recipient, id);
create index emails_dead on emails (id) where status = 'DEAD';
