//! Rows that are handed on cell by cell are those that a read gives as records.

use data::{
    Cell, CellSink, Dialect, EntitySchema, Filter, FindOptions, Record, Result, RowSink, Value, json_text,
};

/// The rows of a read, which must be the same in both ways.
pub(crate) async fn found(
    dialect: &dyn Dialect,
    schema: &EntitySchema,
    filter: &Filter,
    options: &FindOptions,
) -> Result<Vec<Record>> {
    let records = dialect.find(schema, filter, options).await;
    let mut handed_on = HandedOn::default();
    let outcome = dialect.find_into(schema, filter, options, &mut handed_on).await;
    match &records {
        // Without an order, a database may give the rows in any.
        Ok(records) => assert_eq!(texts(&handed_on.records), texts(records), "{filter:?} {options:?}"),
        Err(error) => assert_eq!(outcome.map_err(|error| error.kind()), Err(error.kind())),
    }
    records
}

fn texts(records: &[Record]) -> Vec<String> {
    let mut texts: Vec<String> = records.iter().map(text).collect();
    texts.sort();
    texts
}

/// The text tells types apart as far as JavaScript does.
fn text(record: &Record) -> String {
    let mut fields: Vec<_> = record.clone().into_iter().collect();
    fields.sort_by(|a, b| a.0.cmp(&b.0));
    let moments = fields.iter().filter(|(_, value)| matches!(value, Value::Timestamp(_)));
    let moments: Vec<_> = moments.map(|(name, _)| name.clone()).collect();
    format!("{} with moments in {moments:?}", json_text(&Value::object(fields)))
}

#[derive(Default)]
struct HandedOn {
    columns: Vec<String>,
    row: Vec<Value>,
    records: Vec<Record>,
}

impl CellSink for HandedOn {
    fn columns(&mut self, names: &[&str]) -> Result<()> {
        self.columns = names.iter().map(|name| (*name).to_owned()).collect();
        Ok(())
    }

    fn cell(&mut self, cell: Cell<'_>) {
        self.row.push(cell.to_value());
    }

    fn end_row(&mut self) -> Result<()> {
        assert_eq!(self.row.len(), self.columns.len());
        self.records.push(self.columns.iter().cloned().zip(self.row.drain(..)).collect());
        Ok(())
    }
}

impl RowSink for HandedOn {
    fn record(&mut self, record: Record) -> Result<()> {
        self.records.push(record);
        Ok(())
    }
}
