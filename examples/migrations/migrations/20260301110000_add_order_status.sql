-- schemas: sales
-- description: A constant default is not written into the rows that are there

-- up
ALTER TABLE orders ADD COLUMN status text NOT NULL DEFAULT 'new';

-- down
ALTER TABLE orders DROP COLUMN status;
