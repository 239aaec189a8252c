//! Rows of JSON as Parquet: the schema is Parquet's own message text, and decides what becomes of each member.
//!
//! Nested members are taken apart into columns with definition and repetition levels ("Dremel", Melnik et al. 2010; the
//! Parquet format specification, "Nested Encoding"). Everything may be absent. The same rows give the same bytes.

use std::sync::Arc;

use parquet::basic::{Compression, ConvertedType, LogicalType, Type as Physical};
use parquet::column::writer::ColumnWriter;
use parquet::data_type::ByteArray;
use parquet::errors::ParquetError;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use parquet::schema::types::{Type, TypePtr};
use serde_json::Value;

/// The largest page, in bytes: Security Lake asks for pages of at most 1 MB.
const PAGE_BYTES_MAX: usize = 1 << 20;

/// A column while it is filled.
#[derive(Debug)]
struct Column {
    values: Values,
    definition: Vec<i16>,
    repetition: Vec<i16>,
}

#[derive(Debug)]
enum Values {
    Flags(Vec<bool>),
    Integers(Vec<i64>),
    Numbers(Vec<f64>),
    Texts(Vec<ByteArray>),
}

/// A table.
pub(super) struct Table {
    schema: TypePtr,
}

impl Table {
    /// The table with this schema, in Parquet's message text. Fields are optional; a list is a group with the annotation
    /// LIST around one repeated group around its elements.
    ///
    /// # Errors
    /// A sentence: the text is no schema, or has a type that is not written here.
    pub(super) fn new(message: &str) -> Result<Self, String> {
        let schema = Arc::new(parse_message_type(message).map_err(|error| error.to_string())?);
        let mut columns = Vec::new();
        collect(&schema, &mut columns)?;
        Ok(Self { schema })
    }

    /// The rows as a file. A member that the schema does not have is left out; a value of another type is absent, but
    /// where text is wanted, anything else is its JSON.
    ///
    /// # Errors
    /// A sentence: no memory, or a row group that is too large.
    pub(super) fn file(&self, rows: &[Value]) -> Result<Vec<u8>, String> {
        let mut columns = Vec::new();
        collect(&self.schema, &mut columns)?;
        for row in rows {
            let mut next = 0;
            for field in self.schema.get_fields() {
                let place = Place { definition: 0, repetition: 0, lists: 0 };
                shred(field, member(row, field), place, &mut columns, &mut next);
            }
        }
        self.write(&columns).map_err(|error| error.to_string())
    }

    /// Makes text of what the schema has as text and the row as something else, as [`Self::file`] does.
    pub(super) fn texts(&self, row: &mut Value) {
        self.schema.get_fields().iter().for_each(|field| texts(field, row));
    }

    /// The members of a row that the schema has no column for, as dotted paths.
    #[cfg(test)]
    pub(super) fn left_out(&self, row: &Value) -> Vec<String> {
        let mut found = Vec::new();
        tests::left_out(&self.schema, row, "", &mut found);
        found
    }

    fn write(&self, columns: &[Column]) -> Result<Vec<u8>, ParquetError> {
        let properties = WriterProperties::builder()
            .set_created_by(format!("countersign {}", env!("CARGO_PKG_VERSION")))
            .set_compression(Compression::SNAPPY)
            .set_data_page_size_limit(PAGE_BYTES_MAX)
            .set_statistics_enabled(EnabledStatistics::Chunk)
            .build();
        let mut writer = SerializedFileWriter::new(Vec::new(), Arc::clone(&self.schema), Arc::new(properties))?;
        let mut group = writer.next_row_group()?;
        let mut columns = columns.iter();
        while let Some(mut output) = group.next_column()? {
            let missing = || ParquetError::General("a column is missing".into());
            let column = columns.next().ok_or_else(missing)?;
            let levels = (Some(column.definition.as_slice()), Some(column.repetition.as_slice()));
            match (output.untyped(), &column.values) {
                (ColumnWriter::BoolColumnWriter(writer), Values::Flags(values)) => {
                    writer.write_batch(values, levels.0, levels.1)
                }
                (ColumnWriter::Int64ColumnWriter(writer), Values::Integers(values)) => {
                    writer.write_batch(values, levels.0, levels.1)
                }
                (ColumnWriter::DoubleColumnWriter(writer), Values::Numbers(values)) => {
                    writer.write_batch(values, levels.0, levels.1)
                }
                (ColumnWriter::ByteArrayColumnWriter(writer), Values::Texts(values)) => {
                    writer.write_batch(values, levels.0, levels.1)
                }
                _ => Err(ParquetError::General("a column has another type".into())),
            }?;
            output.close()?;
        }
        group.close()?;
        writer.into_inner()
    }
}

/// Makes the columns of a schema, in their order.
fn collect(of: &Type, columns: &mut Vec<Column>) -> Result<(), String> {
    if of.is_group() {
        return of.get_fields().iter().try_for_each(|field| collect(field, columns));
    }
    let values = match of.get_physical_type() {
        Physical::BOOLEAN => Values::Flags(Vec::new()),
        Physical::INT64 => Values::Integers(Vec::new()),
        Physical::DOUBLE => Values::Numbers(Vec::new()),
        Physical::BYTE_ARRAY => Values::Texts(Vec::new()),
        other => return Err(format!("`{}` has the type {other}, which is not written here", of.name())),
    };
    columns.push(Column { values, definition: Vec::new(), repetition: Vec::new() });
    Ok(())
}

fn texts(field: &Type, row: &mut Value) {
    let Some(value) = row.get_mut(field.name()).filter(|value| !value.is_null()) else { return };
    if let Some(element) = element(field) {
        // Elements have no names of their own.
        if element.is_group() {
            let items = value.as_array_mut().into_iter().flatten();
            items.for_each(|item| element.get_fields().iter().for_each(|field| texts(field, item)));
        }
    } else if field.is_group() {
        field.get_fields().iter().for_each(|field| texts(field, value));
    } else if field.get_physical_type() == Physical::BYTE_ARRAY && !value.is_string() {
        *value = Value::String(value.to_string());
    }
}

/// Where a value stands: how much of its path is there, at which list it goes on, and how many lists are around it.
#[derive(Clone, Copy)]
struct Place {
    definition: i16,
    repetition: i16,
    lists: i16,
}

impl Place {
    /// One optional level further in.
    const fn deeper(self) -> Self {
        Self { definition: self.definition + 1, ..self }
    }
}

fn member<'a>(row: &'a Value, field: &Type) -> Option<&'a Value> {
    row.get(field.name()).filter(|value| !value.is_null())
}

/// The type of the elements, when this is a list.
fn element(of: &Type) -> Option<&TypePtr> {
    let info = of.get_basic_info();
    let is_list = info.converted_type() == ConvertedType::LIST || info.logical_type_ref() == Some(&LogicalType::List);
    if !is_list {
        return None;
    }
    let [repeated] = of.get_fields() else { return None };
    if repeated.is_group() { repeated.get_fields().first() } else { None }
}

fn shred(of: &Type, value: Option<&Value>, at: Place, columns: &mut [Column], next: &mut usize) {
    if !of.is_group() {
        if let Some(column) = columns.get_mut(*next) {
            column.push(value, at);
        }
        *next += 1;
        return;
    }
    if let Some(element) = element(of) {
        let items = value.and_then(Value::as_array).map(Vec::as_slice);
        return list(element, items, at, columns, next);
    }
    let object = value.filter(|value| value.is_object());
    let inside = if object.is_some() { at.deeper() } else { at };
    for field in of.get_fields() {
        shred(field, object.and_then(|object| member(object, field)), inside, columns, next);
    }
}

fn list(element: &Type, items: Option<&[Value]>, at: Place, columns: &mut [Column], next: &mut usize) {
    let begin = *next;
    let Some(items) = items.filter(|items| !items.is_empty()) else {
        // An empty list is there, and holds nothing.
        let at = if items.is_some() { at.deeper() } else { at };
        return shred(element, None, at, columns, next);
    };
    let lists = at.lists + 1;
    for (place, item) in items.iter().enumerate() {
        *next = begin;
        let repetition = if place == 0 { at.repetition } else { lists };
        let inside = Place { definition: at.definition + 2, repetition, lists };
        shred(element, Some(item).filter(|item| !item.is_null()), inside, columns, next);
    }
}

impl Column {
    fn push(&mut self, value: Option<&Value>, at: Place) {
        let taken = value.is_some_and(|value| match &mut self.values {
            Values::Flags(values) => value.as_bool().map(|flag| values.push(flag)).is_some(),
            Values::Integers(values) => integer(value).map(|number| values.push(number)).is_some(),
            Values::Numbers(values) => value.as_f64().map(|number| values.push(number)).is_some(),
            Values::Texts(values) => {
                let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                values.push(ByteArray::from(text.into_bytes()));
                true
            }
        });
        self.definition.push(at.definition + i16::from(taken));
        self.repetition.push(at.repetition);
    }
}

/// A whole number: also a large one that is written as text.
fn integer(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_str()?.parse().ok())
}

#[cfg(test)]
pub(super) mod tests {
    use parquet::file::reader::{FileReader, SerializedFileReader};
    use parquet::record::Field;
    use serde_json::json;

    use super::*;

    pub(super) fn left_out(of: &Type, row: &Value, path: &str, found: &mut Vec<String>) {
        let Some(object) = row.as_object().filter(|_| of.is_group()) else { return };
        for (name, value) in object.iter().filter(|(_, value)| !value.is_null()) {
            let path = format!("{path}{name}");
            match of.get_fields().iter().find(|field| field.name() == name) {
                None => found.push(path),
                Some(field) => match (element(field), value.as_array()) {
                    (Some(element), Some(items)) => {
                        items.iter().for_each(|item| left_out(element, item, &format!("{path}."), found));
                    }
                    (Some(_), None) => found.push(path),
                    (None, _) if field.is_group() => {
                        if value.is_object() {
                            left_out(field, value, &format!("{path}."), found)
                        } else {
                            found.push(path)
                        }
                    }
                    // What is not text becomes its JSON; a number has to be one.
                    (None, _) => {
                        let fits = match field.get_physical_type() {
                            Physical::BOOLEAN => value.is_boolean(),
                            Physical::INT64 => integer(value).is_some(),
                            Physical::DOUBLE => value.is_number(),
                            _ => true,
                        };
                        if !fits {
                            found.push(path);
                        }
                    }
                },
            }
        }
    }

    /// A row that was read back.
    pub(in super::super) fn object(row: &parquet::record::Row) -> Value {
        row.get_column_iter()
            .map(|(name, field)| (name.clone(), value(field)))
            .collect::<serde_json::Map<_, _>>()
            .into()
    }

    fn value(field: &Field) -> Value {
        match field {
            Field::Null => Value::Null,
            Field::Bool(flag) => json!(flag),
            Field::Long(number) | Field::TimestampMillis(number) => json!(number),
            Field::Double(number) => json!(number),
            Field::Str(text) => json!(text),
            Field::Group(row) => object(row),
            Field::ListInternal(list) => list.elements().iter().map(value).collect(),
            other => panic!("{other:?}"),
        }
    }

    const SCHEMA: &str = "message rows {
        optional binary name (STRING);
        optional int64 count;
        optional group inner { optional boolean flag; optional double share; }
        optional group items (LIST) { repeated group list { optional group element {
            optional binary word (STRING);
            optional group tags (LIST) { repeated group list { optional binary element (STRING); } }
        } } }
    }";

    #[test]
    fn nested_rows_come_back_as_they_were() {
        let rows = [
            json!({ "name": "a", "count": 1, "inner": { "flag": true, "share": 0.5 },
                    "items": [ { "word": "x", "tags": ["p", "q"] }, { "tags": [] }, { "word": "y" } ] }),
            json!({ "count": "9007199254740993", "inner": {}, "items": [] }),
            json!({ "name": { "other": [1] }, "inner": null, "count": "no number" }),
            json!({}),
        ];
        let table = Table::new(SCHEMA).unwrap();
        let file = table.file(&rows).unwrap();
        assert_eq!(file, table.file(&rows).unwrap(), "the same rows, the same bytes");
        let reader = SerializedFileReader::new(bytes::Bytes::from(file)).unwrap();
        let read: Vec<Value> = reader.get_row_iter(None).unwrap().map(|row| object(&row.unwrap())).collect();
        let wanted = [
            json!({ "name": "a", "count": 1, "inner": { "flag": true, "share": 0.5 },
                    "items": [ { "word": "x", "tags": ["p", "q"] }, { "word": null, "tags": [] }, { "word": "y", "tags": null } ] }),
            json!({ "name": null, "count": 9_007_199_254_740_993_i64, "inner": { "flag": null, "share": null }, "items": [] }),
            json!({ "name": "{\"other\":[1]}", "count": null, "inner": null, "items": null }),
            json!({ "name": null, "count": null, "inner": null, "items": null }),
        ];
        assert_eq!(read, wanted);
        assert_eq!(table.left_out(&json!({ "x": 1, "inner": { "y": 2 }, "count": "z" })), ["x", "inner.y", "count"]);
    }

    #[test]
    fn a_schema_that_cannot_be_written_is_refused() {
        assert!(Table::new("message rows { optional int96 old; }").is_err());
        assert!(Table::new("rows").is_err());
        // No rows are a file too.
        assert!(!Table::new(SCHEMA).unwrap().file(&[]).unwrap().is_empty());
    }
}
