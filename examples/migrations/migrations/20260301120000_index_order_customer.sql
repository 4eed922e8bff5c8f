-- schemas: sales
-- no-transaction
-- description: Built while applications write

-- up
CREATE INDEX CONCURRENTLY orders_customer_id ON orders (customer_id);

-- down
DROP INDEX CONCURRENTLY orders_customer_id;
