-- schemas: reports
-- clusters: us
-- description: Only where reports are made

-- up
CREATE TABLE daily_totals (
  day date PRIMARY KEY,
  orders bigint NOT NULL,
  total numeric NOT NULL
);

-- down
DROP TABLE daily_totals;
