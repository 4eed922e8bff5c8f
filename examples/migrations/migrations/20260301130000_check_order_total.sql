-- schemas: sales
-- description: New rows are checked from now on, old ones are not read

-- up
ALTER TABLE orders ADD CONSTRAINT orders_total CHECK (total >= 0) NOT VALID;

-- down
ALTER TABLE orders DROP CONSTRAINT orders_total;
