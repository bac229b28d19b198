-- What psycopg says, recorded against PostgreSQL 18. Made by record.ts; see the README beside.
-- >>> simple
BEGIN

-- >>> extended types=0 results=0
-- = "shop.hstore"
SELECT
    typname AS name, oid, typarray AS array_oid,
    oid::regtype::text AS regtype, typdelim AS delimiter
FROM pg_type t
WHERE t.oid = to_regtype($1)
ORDER BY t.oid


-- >>> simple
COMMIT

-- >>> extended types=0 results=0
-- = "shop.address"
SELECT
    t.typname AS name, t.oid AS oid, t.typarray AS array_oid,
    t.oid::regtype::text AS regtype,
    coalesce(a.fnames, '{}') AS field_names,
    coalesce(a.ftypes, '{}') AS field_types
FROM pg_type t
LEFT JOIN (
    SELECT
        attrelid,
        array_agg(attname) AS fnames,
        array_agg(atttypid) AS ftypes
    FROM (
        SELECT a.attrelid, a.attname, a.atttypid
        FROM pg_attribute a
        JOIN pg_type t ON t.typrelid = a.attrelid
        WHERE t.oid = to_regtype($1)
        AND a.attnum > 0
        AND NOT a.attisdropped
        ORDER BY a.attnum
    ) x
    GROUP BY attrelid
) a ON a.attrelid = t.typrelid
WHERE t.oid = to_regtype($1)


-- >>> extended types=0 results=0
-- = "shop.mood"
SELECT name, oid, array_oid, regtype, array_agg(label) AS labels
FROM (
    SELECT
        t.typname AS name, t.oid AS oid, t.typarray AS array_oid,
        t.oid::regtype::text AS regtype, e.enumlabel AS label
    FROM pg_type t
    LEFT JOIN  pg_enum e
    ON e.enumtypid = t.oid
    WHERE t.oid = to_regtype($1)
    ORDER BY e.enumsortorder
) x
GROUP BY name, oid, array_oid, regtype


-- >>> extended types=0 results=0
-- = "shop.price_range"
SELECT t.typname AS name, t.oid AS oid, t.typarray AS array_oid,
    t.oid::regtype::text AS regtype,
    r.rngsubtype AS subtype_oid
FROM pg_type t
JOIN pg_range r ON t.oid = r.rngtypid
WHERE t.oid = to_regtype($1)


-- >>> extended types=1005 results=1
-- = "{1,2,3}"
select id, name, born, data, tags from shop.customers where id = any($1) order by id

-- >>> extended types=21 results=0
-- = \x0005
select what from public.plain where id = $1

-- >>> extended results=0
DECLARE "server side" CURSOR FOR select * from public.plain order by id

-- >>> simple
FETCH FORWARD 5 FROM "server side"

-- >>> simple
MOVE 3 FROM "server side"

-- >>> simple
FETCH FORWARD ALL FROM "server side"

-- >>> simple
CLOSE "server side"

-- >>> simple
ROLLBACK

-- >>> simple
DEALLOCATE ALL

-- >>> simple
SELECT t.oid, typarray
FROM pg_type t JOIN pg_namespace ns
    ON typnamespace = ns.oid
WHERE typname = 'hstore';


-- >>> simple
SELECT t.oid, typarray, attname, atttypid
FROM pg_type t
JOIN pg_namespace ns ON typnamespace = ns.oid
JOIN pg_attribute a ON attrelid = typrelid
WHERE typname = 'address' AND nspname = 'shop'
    AND attnum > 0 AND NOT attisdropped
ORDER BY attnum;


-- >>> simple
BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY

-- >>> simple
DECLARE "named" CURSOR WITHOUT HOLD FOR select * from public.plain order by id

-- >>> simple
FETCH FORWARD 3 FROM "named"

-- >>> simple
CLOSE "named"
