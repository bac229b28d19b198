-- The newest owner's token that the target has shown us, if it is of an owner that this catalog knows nothing of: another process
-- with a copy of it. RESUME MIRROR takes the mirror over with a newer one.
alter table sluice_private.mirrors add column token_met bigint not null default 0;
