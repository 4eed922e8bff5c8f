// What happens at the source: events on one table of 10 columns, 100 to a transaction.

export const TABLE = 'item';
export const EVENTS_PER_TRANSACTION = 100;

/** Of each 100 events 50 insert, 40 update and 10 delete. `write` commits after each transaction. */
export const SCHEMA = `
  CREATE TABLE ${TABLE} (id int8 PRIMARY KEY, small int4, price numeric(14, 2), ratio float8, flag bool, name text,
                         hash text, at timestamptz(3), document jsonb, day date);
  CREATE PROCEDURE write(transactions int) LANGUAGE plpgsql AS $$
  DECLARE
    base int8 := (SELECT coalesce(max(id), 0) FROM ${TABLE});
  BEGIN
    FOR number IN 1..transactions LOOP
      INSERT INTO ${TABLE}
        SELECT i, i % 1000, i * 1.01, i / 7.0, i % 2 = 0, 'Item number ' || i, md5(i::text), '2024-01-01'::timestamptz + i * '1 s'::interval,
               jsonb_build_object('n', i, 'tags', jsonb_build_array('a', i % 10)), '2024-01-01'::date + (i % 1000)::int
        FROM generate_series(base + 1, base + 50) i;
      UPDATE ${TABLE} SET price = price + 1, name = 'Renamed ' || id WHERE id > base AND id <= base + 40;
      DELETE FROM ${TABLE} WHERE id > base + 40 AND id <= base + 50;
      base := base + 50;
      COMMIT;
    END LOOP;
  END $$;`;

/** Everything in one transaction: as many inserts as told. */
export const LARGE_TRANSACTION = `
  INSERT INTO ${TABLE}
    SELECT i, i % 1000, i * 1.01, i / 7.0, i % 2 = 0, 'Item number ' || i, md5(i::text), '2024-01-01'::timestamptz + i * '1 s'::interval,
           jsonb_build_object('n', i), '2024-01-01'::date + (i % 1000)::int
    FROM generate_series(1, $1::int) i`;
