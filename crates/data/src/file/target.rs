//! Files that are written: each is made beside its place and put there when it is complete.

use std::borrow::Cow;
use std::fs;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use tempfile::NamedTempFile;

use super::cell::text_of;
use super::csv::write_record;
use super::error::file_error;
use super::json::write_object;
use super::place::{file_name, is_one_file, shown_name};
use super::spec::{FileFormat, FileSpec, SqlFlavor};
use super::sql::DumpWriter;
use crate::error::{Error, ErrorKind, Result};
use crate::schema::{Discriminator, EntitySchema};
use crate::table::{ColumnType, Limits, ReadSnapshot, Row, RowBatch, Table, TableColumn, TableStore};
use crate::value::{Value, json_text};

const WRITE_BUFFER: usize = 256 << 10;

/// A file or folder that tables are written to, one after the other: [`begin`](Self::begin), rows by
/// [`insert`](TableStore::insert), [`finish`](Self::finish); at the end [`close`](Self::close). What stood in its place
/// stays until the new file is complete.
pub struct FileTarget {
    spec: FileSpec,
    schemas: Vec<Arc<EntitySchema>>,
    /// Whether everything goes into the file that is named.
    one_file: bool,
    writer: DumpWriter,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    output: Option<Output>,
    /// Whether a table is begun.
    begun: bool,
    /// How many tables and how many rows of the present one are written.
    tables: usize,
    rows: usize,
    /// Whether a table could not be written to its end.
    failed: bool,
    /// Whether one document holds several tables by their names.
    named_lists: bool,
}

/// A file on its way.
struct Output {
    path: PathBuf,
    file: BufWriter<NamedTempFile>,
}

impl FileTarget {
    /// A target. Nothing is written yet.
    pub fn new(spec: FileSpec, schemas: Vec<Arc<EntitySchema>>) -> Self {
        let one_file = is_one_file(&spec.path);
        let writer = DumpWriter { flavor: spec.flavor.unwrap_or(SqlFlavor::Postgres) };
        Self { spec, schemas, one_file, writer, state: Mutex::default() }
    }

    /// Makes ready for so many tables.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] if one file is to hold several tables and its format cannot.
    pub fn expect_tables(&self, tables: usize) -> Result<()> {
        if self.one_file && tables > 1 && !self.spec.format.holds_several() {
            let (path, format) = (self.spec.path.display(), self.spec.format.name());
            let message = format!("{path}: a {format} file holds one table; name a folder for {tables}");
            return Err(Error::new(ErrorKind::Config, message));
        }
        self.state().named_lists = self.one_file && (tables != 1 || self.spec.named_lists);
        Ok(())
    }

    /// Begins a table. `label` is what it is called where it is copied from: an entity or the table itself.
    ///
    /// # Errors
    /// The file cannot be made.
    pub fn begin(&self, label: &str, table: &Table) -> Result<()> {
        let mut state = self.state();
        let name = match self.spec.format {
            FileFormat::Sql => table.name.clone(),
            _ => shown_name(label, &table.name, &self.schemas),
        };
        if state.output.is_none() {
            let path = if self.one_file {
                self.spec.path.clone()
            } else {
                self.spec.path.join(file_name(&name, self.spec.format))
            };
            state.output = Some(Output::create(path)?);
            state.tables = 0;
        }
        let start = self.start_of_table(&name, table, &state);
        state.write(&start)?;
        (state.begun, state.rows) = (true, 0);
        state.tables += 1;
        Ok(())
    }

    /// Ends a table; its file, if it is its own, takes its place.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn finish(&self) -> Result<()> {
        let mut state = self.state();
        state.begun = false;
        if self.spec.format == FileFormat::Json {
            state.write(b"\n]")?;
        }
        if self.one_file { Ok(()) } else { self.put_in_place(&mut state) }
    }

    /// Gives up the table that is begun, and with it the file.
    pub fn abandon(&self) {
        let mut state = self.state();
        state.begun = false;
        state.failed = true;
        // Dropping a temporary file removes it.
        state.output = None;
    }

    /// Ends the copy: a file of several tables takes its place. Without a table none is written.
    ///
    /// # Errors
    /// The file cannot be written, or one of its tables was abandoned.
    pub fn close(&self) -> Result<()> {
        let mut state = self.state();
        if !self.one_file {
            return Ok(());
        }
        if state.failed {
            state.output = None;
            let message = format!(
                "{}: not written, because a table could not be read or written to its end",
                self.spec.path.display()
            );
            return Err(Error::new(ErrorKind::File, message));
        }
        if state.output.is_none() {
            return Ok(());
        }
        self.put_in_place(&mut state)
    }

    fn start_of_table(&self, name: &str, table: &Table, state: &State) -> Vec<u8> {
        let is_first = state.tables == 0;
        let mut start = Vec::new();
        match self.spec.format {
            FileFormat::Csv => {
                let names = table.columns.iter().map(|column| Some(Cow::from(column.name.as_str())));
                write_record(&mut start, names, self.spec.delimiter);
            }
            FileFormat::Json if state.named_lists => {
                let before = if is_first { "{\"entities\":{\n" } else { ",\n" };
                start.extend_from_slice(format!("{before}{}:[", json_text(&Value::from(name))).as_bytes());
            }
            FileFormat::Json => start.extend_from_slice(b"["),
            FileFormat::Ndjson => {}
            FileFormat::Sql => {
                if is_first {
                    start.extend_from_slice(self.writer.header().as_bytes());
                }
                start.extend_from_slice(self.writer.create_table(table).as_bytes());
            }
        }
        start
    }

    fn put_in_place(&self, state: &mut State) -> Result<()> {
        let Some(mut output) = state.output.take() else { return Ok(()) };
        let end: &[u8] = match self.spec.format {
            FileFormat::Json if state.named_lists => b"\n}}\n",
            FileFormat::Json => b"\n",
            _ => b"",
        };
        output.write(end)?;
        output.put_in_place()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The rows as they stand in the file, behind so many others of the table.
    fn encoded(&self, table: &Table, rows: &[Row], rows_before: usize) -> Vec<u8> {
        let mut output = Vec::new();
        match self.spec.format {
            FileFormat::Csv => {
                for row in rows {
                    let cells = row
                        .iter()
                        .zip(&table.columns)
                        .map(|(value, column)| text_of(value, &column.column_type));
                    write_record(&mut output, cells, self.spec.delimiter);
                }
            }
            FileFormat::Json => {
                for (position, row) in rows.iter().enumerate() {
                    output.extend_from_slice(if rows_before + position > 0 { b",\n" } else { b"\n" });
                    write_object(&mut output, table, row);
                }
            }
            FileFormat::Ndjson => {
                for row in rows {
                    write_object(&mut output, table, row);
                    output.push(b'\n');
                }
            }
            FileFormat::Sql => self.writer.write_rows(&mut output, table, rows),
        }
        output
    }
}

impl State {
    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        match &mut self.output {
            Some(output) => output.write(bytes),
            None => Err(Error::new(ErrorKind::Internal, "rows were written to a file that is not begun")),
        }
    }
}

impl Output {
    fn create(path: PathBuf) -> Result<Self> {
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        fs::create_dir_all(folder).map_err(|error| file_error(folder, error))?;
        let mut builder = tempfile::Builder::new();
        builder.prefix(".replicaverse-").suffix(".partial");
        // A file like any other, and not one for its owner alone.
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        let file = builder.tempfile_in(folder).map_err(|error| file_error(folder, error))?;
        Ok(Self { path, file: BufWriter::with_capacity(WRITE_BUFFER, file) })
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.file.write_all(bytes).map_err(|error| file_error(&self.path, error))
    }

    fn put_in_place(self) -> Result<()> {
        let file = self.file.into_inner().map_err(|error| file_error(&self.path, error.into_error()))?;
        file.as_file().sync_all().map_err(|error| file_error(&self.path, error))?;
        file.persist(&self.path).map_err(|error| file_error(&self.path, error.error))?;
        Ok(())
    }
}

#[async_trait]
impl TableStore for FileTarget {
    fn limits(&self) -> Limits {
        let in_json = matches!(self.spec.format, FileFormat::Json | FileFormat::Ndjson);
        let flavor = (self.spec.format == FileFormat::Sql).then_some(self.writer.flavor);
        Limits {
            nan: !in_json && !matches!(flavor, Some(SqlFlavor::Sqlite | SqlFlavor::Mysql)),
            infinity: !in_json && flavor != Some(SqlFlavor::Mysql),
            microseconds: true,
            infinite_timestamp: flavor != Some(SqlFlavor::Mysql),
        }
    }

    fn needs_keys(&self) -> bool {
        false
    }

    async fn list_tables(&self) -> Result<Vec<String>> {
        Ok(Vec::new())
    }

    async fn describe(&self, _name: &str) -> Result<Option<Table>> {
        Ok(None)
    }

    /// The table as a file holds it: columns of any type and lists are JSON. Nothing is made before
    /// [`begin`](FileTarget::begin).
    async fn create_like(&self, source: &Table) -> Result<Table> {
        let columns = source.columns.iter().map(|column| TableColumn {
            name: column.name.clone(),
            column_type: match &column.column_type {
                ColumnType::Any | ColumnType::Array(_) => ColumnType::Json,
                ColumnType::ObjectId | ColumnType::Native(_) => ColumnType::Text(None),
                same => same.clone(),
            },
            nullable: column.nullable,
            generated: false,
        });
        Ok(Table {
            name: source.name.clone(),
            columns: columns.collect(),
            key: source.key.clone(),
            references: Vec::new(),
        })
    }

    async fn snapshot(&self) -> Result<Box<dyn ReadSnapshot>> {
        Err(Error::new(ErrorKind::Unsupported, "a file that is written to cannot be read from"))
    }

    async fn is_empty(&self, _table: &Table, _discriminator: Option<&Discriminator>) -> Result<bool> {
        Ok(true)
    }

    async fn fetch(&self, _table: &Table, _keys: &[Vec<Value>]) -> Result<Vec<Row>> {
        Ok(Vec::new())
    }

    /// Rows stand in the file as they come, so batches must come in their order.
    fn write_concurrency(&self) -> usize {
        0
    }

    async fn insert(&self, table: &Table, batch: &RowBatch) -> Result<()> {
        let RowBatch::Rows(rows) = batch else {
            return Err(Error::new(ErrorKind::Internal, "files take decoded rows, not PostgreSQL's tuples"));
        };
        let mut state = self.state();
        if !state.begun {
            return Err(Error::new(ErrorKind::Internal, "rows were written to a table that is not begun"));
        }
        let bytes = self.encoded(table, rows, state.rows);
        state.write(&bytes)?;
        state.rows += rows.len();
        Ok(())
    }

    async fn upsert(&self, _table: &Table, _rows: &[Row]) -> Result<()> {
        Err(Error::new(ErrorKind::Unsupported, "rows of a file cannot be overwritten"))
    }

    async fn delete(&self, _table: &Table, _keys: &[Vec<Value>]) -> Result<u64> {
        Err(Error::new(ErrorKind::Unsupported, "rows of a file cannot be deleted"))
    }
}
