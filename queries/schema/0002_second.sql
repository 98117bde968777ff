-- Second schema: what was forgotten for good leaves its number behind.
alter table coverage add column forgotten_count bigint default 0; -- documents that the snapshot held and that are gone
