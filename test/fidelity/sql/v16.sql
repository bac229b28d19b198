-- What PostgreSQL 16 brought.
create table shop.stored_at_once (a text storage external compression pglz, b jsonb storage main);
create collation shop.ruled (provider = icu, locale = 'en', rules = '& V << w <<< W');
create table shop.ruled_words (word text collate shop.ruled);
