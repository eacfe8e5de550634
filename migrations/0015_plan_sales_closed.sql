-- A plan that is taken away is bought by nobody any more, whatever a replica still knows of it: the uid of the resource. One that is made
-- anew under the same name has another.
alter table plan_sales add column closed_uid text check (length(closed_uid) between 1 and 63);
