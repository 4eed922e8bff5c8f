-- schemas: sales
-- description: Old rows are read, without a lock that blocks

-- up
ALTER TABLE orders VALIDATE CONSTRAINT orders_total;

-- down
-- Nothing to take back: the constraint goes with the migration before.
