//! Columns of Parquet and Arrow files as the fields of rows. In: a schema and the names that options
//! give; then record batches. Out: text or tokens, id, source and queries of one row at a time.
//!
//! Types are checked once, when a file is opened. Strings are read as bytes and checked row by row,
//! so that invalid UTF-8 costs its row and not the file; they are copied once, out of their batch.

use std::fmt::Write;
use std::ops::Range;
use std::path::Path;

use arrow_array::cast::AsArray;
use arrow_array::temporal_conversions::as_datetime;
use arrow_array::types::{
    ArrowTimestampType, Date32Type, Date64Type, Decimal32Type, Decimal64Type, Decimal128Type,
    Decimal256Type, DecimalType, Float16Type, Float32Type, Float64Type, Int8Type, Int16Type,
    Int32Type, Int64Type, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType, TimestampSecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{
    AnyDictionaryArray, Array, ArrayRef, BinaryArray, BinaryViewArray, FixedSizeBinaryArray,
    FixedSizeListArray, LargeBinaryArray, LargeListArray, LargeListViewArray, ListArray,
    ListViewArray, PrimitiveArray, RecordBatch, StructArray,
};
use arrow_buffer::NullBuffer;
use arrow_schema::{DataType, Field, Fields as ArrowFields, SchemaRef, TimeUnit};
use longweave_common::{Code, Error, Result};

use crate::fields::{Bad, Fields, TOKEN_BYTES, no_token};
use crate::location::Position;
use crate::{CorpusOptions, Origin};

/// Most names of columns in an error.
const MOST_NAMES: usize = 100;

/// The use of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Text,
    Id,
    Source,
    Queries,
    Tokens,
}

/// How bytes are written as a string.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bytes {
    /// They are one, in UTF-8.
    Text,
    /// In lower-case hexadecimal digits.
    Hex,
    /// In hexadecimal digits, grouped as 8-4-4-4-12.
    Uuid,
}

/// A column that an option names.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    pub(crate) role: Role,
    /// As the option gives it.
    name: String,
    /// With the option, for messages.
    shown: String,
    /// Indices of the column, and of the fields within structs.
    pub(crate) path: Vec<usize>,
    pub(crate) bytes: Bytes,
}

/// The columns that options name, found in a schema.
#[derive(Clone, Debug)]
pub(crate) struct Columns {
    pub(crate) wanted: Vec<Wanted>,
    join: String,
}

impl Role {
    const ALL: [Role; 5] = [Role::Text, Role::Id, Role::Source, Role::Queries, Role::Tokens];

    fn option(self) -> &'static str {
        match self {
            Role::Text => "textField",
            Role::Id => "idField",
            Role::Source => "sourceField",
            Role::Queries => "queryField",
            Role::Tokens => "tokensField",
        }
    }

    fn field(self, options: &CorpusOptions) -> Option<&String> {
        match self {
            Role::Text => Some(&options.text_field).filter(|_| options.tokens_field.is_none()),
            Role::Id => options.id_field.as_ref(),
            Role::Source => options.source_field.as_ref(),
            Role::Queries => options.query_field.as_ref(),
            Role::Tokens => options.tokens_field.as_ref(),
        }
    }

    /// Whether a file without the column has rows nevertheless.
    fn may_be_absent(self, options: &CorpusOptions) -> bool {
        matches!(self, Role::Source | Role::Queries) && options.origin != Origin::SideFile
    }

    pub(crate) fn expected(self) -> &'static str {
        match self {
            Role::Text | Role::Queries => "strings or lists of strings",
            Role::Id => {
                "strings, integers, whole numbers, decimals, UUIDs, bytes, dates or timestamps"
            }
            Role::Source => "strings, numbers, booleans, UUIDs, bytes, dates or timestamps",
            Role::Tokens => "lists of integers",
        }
    }

    pub(crate) fn fits(self, data_type: &DataType) -> bool {
        match data_type {
            DataType::Null => true,
            _ if self == Role::Tokens => {
                item(data_type).is_some_and(|item| item.is_integer() || *item == DataType::Null)
            }
            DataType::Dictionary(_, value) => self.fits(value),
            _ if is_bytes(data_type) => true,
            _ if matches!(self, Role::Text | Role::Queries) => {
                item(data_type).is_some_and(|item| is_bytes(item) || is_dictionary_of_bytes(item))
            }
            DataType::Boolean => self == Role::Source,
            DataType::FixedSizeBinary(_)
            | DataType::Date32
            | DataType::Date64
            | DataType::Timestamp(..) => true,
            _ => data_type.is_integer() || data_type.is_floating() || data_type.is_decimal(),
        }
    }
}

/// Bytes of any length, perhaps strings.
pub(crate) fn is_bytes(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::Utf8
            | DataType::LargeUtf8
            | DataType::Utf8View
            | DataType::Binary
            | DataType::LargeBinary
            | DataType::BinaryView
    )
}

fn is_dictionary_of_bytes(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Dictionary(_, value) if is_bytes(value))
}

/// The type of a list's elements.
pub(crate) fn item(data_type: &DataType) -> Option<&DataType> {
    match data_type {
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::FixedSizeList(item, _)
        | DataType::ListView(item)
        | DataType::LargeListView(item) => Some(item.data_type()),
        _ => None,
    }
}

/// Where the column `name` is: the column of that name, else a field of a struct whose name is the
/// longest possible part of `name` before a dot.
fn find(fields: &ArrowFields, name: &str) -> Option<Vec<usize>> {
    if let Some((at, _)) = fields.find(name) {
        return Some(vec![at]);
    }
    name.rmatch_indices('.').find_map(|(dot, _)| {
        let (at, field) = fields.find(&name[..dot])?;
        let DataType::Struct(inner) = field.data_type() else { return None };
        let mut path = find(inner, &name[dot + 1..])?;
        path.insert(0, at);
        Some(path)
    })
}

/// The field at a path, which [`find`] gave for these fields.
pub(crate) fn at<'a>(fields: &'a ArrowFields, path: &[usize]) -> &'a Field {
    let field = &fields[path[0]];
    match (field.data_type(), &path[1..]) {
        (DataType::Struct(inner), rest @ [_, ..]) => at(inner, rest),
        _ => field,
    }
}

/// The fields with those at paths changed by `change`, and without the others where `only`.
pub(crate) fn change(
    fields: &ArrowFields,
    paths: &[&[usize]],
    only: bool,
    with: &impl Fn(&Field) -> Field,
) -> ArrowFields {
    let changed = fields.iter().enumerate().filter_map(|(i, field)| {
        let below: Vec<&[usize]> = below(paths, i).collect();
        match field.data_type() {
            _ if below.is_empty() => (!only).then(|| field.clone()),
            DataType::Struct(inner) if below.iter().all(|path| !path.is_empty()) => {
                let inner = change(inner, &below, only, with);
                Some(field.as_ref().clone().with_data_type(DataType::Struct(inner)).into())
            }
            _ => Some(with(field).into()),
        }
    });
    changed.collect()
}

/// The paths that begin with `at`, without it.
pub(crate) fn below<'a>(
    paths: &'a [&'a [usize]],
    at: usize,
) -> impl Iterator<Item = &'a [usize]> + 'a {
    paths.iter().filter(move |path| path.first() == Some(&at)).map(|path| &path[1..])
}

/// The columns and the fields of structs as an option names them.
fn names(fields: &ArrowFields, before: &str, out: &mut Vec<String>) {
    for field in fields {
        let name = format!("{before}{}", field.name());
        match field.data_type() {
            _ if out.len() > MOST_NAMES => return,
            DataType::Struct(inner) if !inner.is_empty() => names(inner, &format!("{name}."), out),
            _ => out.push(name),
        }
    }
}

fn missing(path: &Path, shown: &str, name: &str, fields: &ArrowFields) -> Error {
    let mut columns = Vec::new();
    names(fields, "", &mut columns);
    let more = if columns.len() > MOST_NAMES { ", …" } else { "" };
    columns.truncate(MOST_NAMES);
    let message =
        format!("{} has no column {shown}; it has {}{more}", path.display(), columns.join(", "));
    Error::new(Code::MissingColumn, message)
        .with("file", path.display().to_string())
        .with("column", name)
        .with("columns", columns)
}

impl Columns {
    /// Finds the columns that options name. `bytes` says how the bytes of a field become an id or a
    /// source.
    ///
    /// Errors: `MISSING_COLUMN` for a text or an id that is not there, `COLUMN_TYPE`.
    pub(crate) fn find(
        path: &Path,
        fields: &ArrowFields,
        options: &CorpusOptions,
        bytes: impl Fn(&[usize], &Field) -> Bytes,
    ) -> Result<Columns> {
        let mut wanted = Vec::new();
        for role in Role::ALL {
            let Some(name) = role.field(options) else { continue };
            let shown = options.field(role.option(), name);
            let Some(place) = find(fields, name) else {
                if role.may_be_absent(options) {
                    continue;
                }
                return Err(missing(path, &shown, name, fields));
            };
            let field = at(fields, &place);
            if !role.fits(field.data_type()) {
                let message = format!(
                    "the column {shown} of {} holds {}, not {}; name another column, or convert it",
                    path.display(),
                    shortened(field.data_type()),
                    role.expected()
                );
                return Err(Error::new(Code::ColumnType, message)
                    .with("file", path.display().to_string())
                    .with("column", name.as_str())
                    .with("found", shortened(field.data_type())));
            }
            let bytes = match role {
                Role::Text | Role::Queries | Role::Tokens => Bytes::Text,
                Role::Id | Role::Source => bytes(&place, field),
            };
            wanted.push(Wanted { role, name: name.clone(), shown, path: place, bytes });
        }
        Ok(Columns { wanted, join: options.text_join.clone() })
    }

    /// The paths of the columns.
    pub(crate) fn paths(&self) -> Vec<&[usize]> {
        self.wanted.iter().map(|wanted| wanted.path.as_slice()).collect()
    }

    /// The same in a schema of only these columns.
    pub(crate) fn projected(mut self, schema: &SchemaRef) -> Columns {
        for wanted in &mut self.wanted {
            if let Some(path) = find(schema.fields(), &wanted.name) {
                wanted.path = path;
            }
        }
        self
    }

    /// The column of a text, with the option.
    pub(crate) fn shown(&self, path: &[usize]) -> &str {
        self.wanted.iter().find(|w| w.path == path).map_or("", |w| &w.shown)
    }

    /// Resolves the columns in a batch.
    fn batch(&self, batch: &RecordBatch) -> Batch {
        let column = |role: Role| {
            let wanted = self.wanted.iter().find(|wanted| wanted.role == role)?;
            let mut array = batch.columns().get(wanted.path[0])?;
            let mut nulls = None;
            for &step in &wanted.path[1..] {
                let outer = array.as_any().downcast_ref::<StructArray>()?;
                nulls = NullBuffer::union(nulls.as_ref(), outer.nulls());
                array = outer.columns().get(step)?;
            }
            let mut column = Column::new(array, wanted.bytes);
            column.nulls = NullBuffer::union(nulls.as_ref(), column.nulls.as_ref());
            Some(column)
        };
        Batch {
            rows: batch.num_rows(),
            text: column(Role::Text),
            id: column(Role::Id),
            source: column(Role::Source),
            queries: column(Role::Queries),
            tokens: column(Role::Tokens),
        }
    }

    /// Why a value cannot be used.
    #[cold]
    fn bad(&self, role: Role, fault: &Fault) -> Bad {
        let name = self.wanted.iter().find(|wanted| wanted.role == role).map_or("", |w| &w.name);
        match fault {
            Fault::Utf8(at) => Bad::new(
                Code::BadUtf8,
                format!("invalid UTF-8 at byte {at} of the column \"{name}\""),
            ),
            Fault::Value(what) => {
                Bad::new(Code::BadRow, format!("the column \"{name}\" holds {what}"))
            }
        }
    }
}

/// A type in a message: of a struct only that it is one.
fn shortened(data_type: &DataType) -> String {
    match data_type {
        DataType::Struct(fields) => {
            let names: Vec<&str> = fields.iter().take(8).map(|f| f.name().as_str()).collect();
            format!("a struct of {}", names.join(", "))
        }
        _ => {
            let name = data_type.to_string();
            name[..name.floor_char_boundary(120)].to_owned()
        }
    }
}

/// The columns of a batch.
struct Batch {
    rows: usize,
    text: Option<Column>,
    id: Option<Column>,
    source: Option<Column>,
    queries: Option<Column>,
    tokens: Option<Column>,
}

/// The record batches of a file, one after another.
pub(crate) trait Batches: Send {
    /// The next batch, which comes after `before` rows; `None` after the last.
    fn next(&mut self, before: u64) -> Result<Option<RecordBatch>>;
    /// The position of a row of the last batch, which came after `before` rows.
    fn position(&self, before: u64, row: u64) -> Position;
    /// Rows in all, as the file says.
    fn count(&self) -> Result<u64>;
}

/// Lends the rows of batches.
pub(crate) struct Cursor {
    batches: Box<dyn Batches>,
    columns: Columns,
    batch: Option<Batch>,
    /// The next row of the batch.
    row: usize,
    /// Rows of earlier batches.
    before: u64,
}

impl Cursor {
    /// The rows of batches with these columns, of which the first comes after `before` rows.
    pub(crate) fn new(batches: impl Batches + 'static, columns: Columns, before: u64) -> Cursor {
        Cursor { batches: Box::new(batches), columns, batch: None, row: 0, before }
    }

    /// Reads batches up to one with another row. Returns whether there is one.
    fn fill(&mut self) -> Result<bool> {
        while self.batch.as_ref().is_none_or(|batch| self.row >= batch.rows) {
            let read = self.batch.take().map_or(0, |batch| batch.rows as u64);
            (self.row, self.before) = (0, self.before.saturating_add(read));
            let Some(batch) = self.batches.next(self.before)? else { return Ok(false) };
            self.batch = Some(self.columns.batch(&batch));
        }
        Ok(true)
    }

    /// Whether the next row's strings have more than `bytes` bytes, and whether the rows are at
    /// their end.
    pub(crate) fn is_longer(&mut self, bytes: u64) -> Result<(bool, bool)> {
        let over = !self.fill()?;
        Ok((self.batch.as_ref().is_some_and(|batch| batch.is_longer(self.row, bytes)), over))
    }

    /// Reads the next row into `fields`. `None` after the last, `Some(Some(bad))` for a bad one.
    #[allow(clippy::option_option)] // end of rows, and whether the row is bad, are two questions
    pub(crate) fn next(&mut self, fields: &mut Fields) -> Result<Option<Option<Bad>>> {
        self.fill()?;
        let row = self.row;
        self.row += 1;
        Ok(self.batch.as_ref().map(|batch| batch.read(row, &self.columns, fields)))
    }

    /// The position of the row that was read last.
    pub(crate) fn position(&self) -> Position {
        self.batches.position(self.before, (self.row as u64).saturating_sub(1))
    }

    /// Rows in all, as the file says.
    pub(crate) fn count(&self) -> Result<u64> {
        self.batches.count()
    }
}

impl Batch {
    /// Whether the strings and tokens of a row have more than `bytes` bytes.
    fn is_longer(&self, row: usize, bytes: u64) -> bool {
        let columns = [&self.text, &self.id, &self.source];
        let strings = columns.into_iter().flatten().map(|column| column.length(row)).sum::<u64>();
        let tokens = self.tokens.as_ref().map_or(0, |column| column.items(row).len() as u64);
        strings + TOKEN_BYTES * tokens > bytes
    }

    /// Reads a row into `fields`. Returns why it is bad, if it is.
    fn read(&self, row: usize, columns: &Columns, fields: &mut Fields) -> Option<Bad> {
        fields.clear();
        fields.has_text = true;
        if let Some(text) = self.text.as_ref().filter(|text| !text.is_null(row))
            && let Err(fault) = text.text(row, &columns.join, &mut fields.text)
        {
            return Some(columns.bad(Role::Text, &fault));
        }
        if let Some(tokens) = &self.tokens {
            fields.has_tokens = true;
            if let Err(fault) = tokens.tokens(row, &mut fields.tokens) {
                return Some(columns.bad(Role::Tokens, &fault));
            }
        }
        if let Some(id) = self.id.as_ref().filter(|id| !id.is_null(row)) {
            fields.has_id = true;
            if let Err(fault) = id.value(row, Role::Id, &mut fields.id) {
                return Some(columns.bad(Role::Id, &fault));
            }
        }
        if let Some(source) = self.source.as_ref().filter(|source| !source.is_null(row)) {
            fields.has_source = true;
            if let Err(fault) = source.value(row, Role::Source, &mut fields.source) {
                return Some(columns.bad(Role::Source, &fault));
            }
        }
        if let Some(queries) = self.queries.as_ref().filter(|queries| !queries.is_null(row))
            && let Err(fault) = queries.strings(row, &mut |query| {
                fields.queries.push(query.to_owned());
            })
        {
            return Some(columns.bad(Role::Queries, &fault));
        }
        None
    }
}

/// Why a value cannot be used.
enum Fault {
    /// The first byte that is not valid UTF-8.
    Utf8(usize),
    /// The value, and why not.
    Value(String),
}

/// A column of a batch.
pub(crate) struct Column {
    /// Rows without a value, also because a struct around it is null.
    nulls: Option<NullBuffer>,
    values: Values,
}

enum Values {
    Short(BinaryArray),
    Long(LargeBinaryArray),
    Views(BinaryViewArray),
    Fixed(FixedSizeBinaryArray),
    /// Bytes that are not a string.
    Encoded(Bytes, Box<Values>),
    Dictionary {
        keys: Vec<usize>,
        values: Box<Column>,
    },
    List(Lists, Box<Column>),
    Other(ArrayRef),
}

enum Lists {
    Short(ListArray),
    Long(LargeListArray),
    Fixed(FixedSizeListArray),
    ShortViews(ListViewArray),
    LongViews(LargeListViewArray),
}

impl Lists {
    fn range(&self, row: usize) -> Range<usize> {
        let (start, length) = match self {
            Lists::Short(array) => {
                (array.value_offsets()[row] as usize, array.value_length(row) as usize)
            }
            Lists::Long(array) => {
                (array.value_offsets()[row] as usize, array.value_length(row) as usize)
            }
            Lists::Fixed(array) => (array.value_offset_at(row), array.value_length() as usize),
            Lists::ShortViews(array) => {
                (array.value_offset(row) as usize, array.value_size(row) as usize)
            }
            Lists::LongViews(array) => {
                (array.value_offset(row) as usize, array.value_size(row) as usize)
            }
        };
        start..start + length
    }
}

impl Column {
    pub(crate) fn new(array: &ArrayRef, bytes: Bytes) -> Column {
        let list = |lists: Lists, items: &ArrayRef| {
            Values::List(lists, Box::new(Column::new(items, bytes)))
        };
        let encoded = |values: Values| match bytes {
            Bytes::Text => values,
            Bytes::Hex | Bytes::Uuid => Values::Encoded(bytes, Box::new(values)),
        };
        let values = match array.data_type() {
            DataType::Utf8 => Values::Short(array.as_string::<i32>().clone().into()),
            DataType::LargeUtf8 => Values::Long(array.as_string::<i64>().clone().into()),
            DataType::Utf8View => Values::Views(array.as_string_view().clone().to_binary_view()),
            DataType::Binary => encoded(Values::Short(array.as_binary::<i32>().clone())),
            DataType::LargeBinary => encoded(Values::Long(array.as_binary::<i64>().clone())),
            DataType::BinaryView => encoded(Values::Views(array.as_binary_view().clone())),
            DataType::FixedSizeBinary(_) => {
                encoded(Values::Fixed(array.as_fixed_size_binary().clone()))
            }
            DataType::Dictionary(..) => dictionary(array.as_any_dictionary(), bytes),
            DataType::List(_) => {
                let array = array.as_list::<i32>();
                list(Lists::Short(array.clone()), array.values())
            }
            DataType::LargeList(_) => {
                let array = array.as_list::<i64>();
                list(Lists::Long(array.clone()), array.values())
            }
            DataType::FixedSizeList(..) => {
                let array = array.as_fixed_size_list();
                list(Lists::Fixed(array.clone()), array.values())
            }
            DataType::ListView(_) => {
                let array = array.as_list_view::<i32>();
                list(Lists::ShortViews(array.clone()), array.values())
            }
            DataType::LargeListView(_) => {
                let array = array.as_list_view::<i64>();
                list(Lists::LongViews(array.clone()), array.values())
            }
            _ => Values::Other(array.clone()),
        };
        Column { nulls: array.logical_nulls(), values }
    }

    pub(crate) fn is_null(&self, row: usize) -> bool {
        self.nulls.as_ref().is_some_and(|nulls| nulls.is_null(row))
    }

    /// Bytes of a value that is a string or a list of strings; 0 for others.
    fn length(&self, row: usize) -> u64 {
        if self.is_null(row) {
            return 0;
        }
        match &self.values {
            Values::Dictionary { keys, values } => values.length(keys[row]),
            Values::List(lists, items) => lists.range(row).map(|i| items.length(i)).sum(),
            Values::Encoded(_, values) => values.bytes(row).map_or(0, |b| 2 * b.len() as u64),
            values => values.bytes(row).map_or(0, |b| b.len() as u64),
        }
    }

    /// Elements of a list, by their places among all elements; none for null.
    fn items(&self, row: usize) -> Range<usize> {
        match &self.values {
            Values::List(lists, _) if !self.is_null(row) => lists.range(row),
            _ => 0..0,
        }
    }

    /// Appends the token ids of a list; none for null.
    fn tokens(&self, row: usize, out: &mut Vec<u32>) -> Result<(), Fault> {
        let range = self.items(row);
        let Values::List(_, items) = &self.values else { return Ok(()) };
        if range.clone().any(|item| items.is_null(item)) {
            return Err(Fault::Value(no_token("null")));
        }
        match &items.values {
            Values::Other(array) if !range.is_empty() => integers(array, range, out),
            _ => Ok(()),
        }
    }

    /// Appends a string, or the strings of a list with `join` between them.
    fn text(&self, row: usize, join: &str, out: &mut String) -> Result<(), Fault> {
        let mut first = true;
        self.strings(row, &mut |text| {
            if !std::mem::take(&mut first) {
                out.push_str(join);
            }
            out.push_str(text);
        })
    }

    /// Gives a string, or the strings of a list that are not null, to `take`.
    fn strings(&self, row: usize, take: &mut impl FnMut(&str)) -> Result<(), Fault> {
        match &self.values {
            Values::Dictionary { keys, values } => values.strings(keys[row], take),
            Values::List(lists, items) => lists
                .range(row)
                .filter(|&i| !items.is_null(i))
                .try_for_each(|i| items.strings(i, take)),
            values => match values.bytes(row) {
                Some(bytes) => {
                    let text = std::str::from_utf8(bytes);
                    take(text.map_err(|e| Fault::Utf8(e.valid_up_to()))?);
                    Ok(())
                }
                None => Ok(()),
            },
        }
    }

    /// Appends an id or a source that is not null.
    pub(crate) fn value_of_id(&self, row: usize, out: &mut String) -> Result<(), String> {
        self.value(row, Role::Id, out).map_err(|fault| match fault {
            Fault::Utf8(at) => format!("invalid UTF-8 at byte {at} of the id"),
            Fault::Value(what) => format!("the id is {what}"),
        })
    }

    fn value(&self, row: usize, role: Role, out: &mut String) -> Result<(), Fault> {
        match &self.values {
            Values::Dictionary { keys, values } => values.value(keys[row], role, out),
            Values::Encoded(bytes, values) => {
                hexadecimal(values.bytes(row).unwrap_or_default(), *bytes, out);
                Ok(())
            }
            Values::Other(array) => other(array, row, role, out),
            _ => self.strings(row, &mut |text| out.push_str(text)),
        }
    }
}

impl Values {
    fn bytes(&self, row: usize) -> Option<&[u8]> {
        match self {
            Values::Short(array) => Some(array.value(row)),
            Values::Long(array) => Some(array.value(row)),
            Values::Views(array) => Some(array.value(row)),
            Values::Fixed(array) => Some(array.value(row)),
            Values::Encoded(..)
            | Values::Dictionary { .. }
            | Values::List(..)
            | Values::Other(_) => None,
        }
    }
}

fn dictionary(array: &dyn AnyDictionaryArray, bytes: Bytes) -> Values {
    let values = array.values();
    // Without values every key is null.
    let keys = if values.is_empty() { vec![0; array.len()] } else { array.normalized_keys() };
    Values::Dictionary { keys, values: Box::new(Column::new(values, bytes)) }
}

/// Appends integers as token ids.
fn integers(array: &ArrayRef, range: Range<usize>, out: &mut Vec<u32>) -> Result<(), Fault> {
    macro_rules! copy {
        ($kind:ident) => {{
            out.reserve(range.len());
            for &value in &array.as_primitive::<$kind>().values()[range] {
                let id = u32::try_from(value).map_err(|_| Fault::Value(no_token(value)))?;
                out.push(id);
            }
        }};
    }
    match array.data_type() {
        DataType::Int8 => copy!(Int8Type),
        DataType::Int16 => copy!(Int16Type),
        DataType::Int32 => copy!(Int32Type),
        DataType::Int64 => copy!(Int64Type),
        DataType::UInt8 => copy!(UInt8Type),
        DataType::UInt16 => copy!(UInt16Type),
        DataType::UInt32 => copy!(UInt32Type),
        DataType::UInt64 => copy!(UInt64Type),
        _ => {}
    }
    Ok(())
}

fn hexadecimal(bytes: &[u8], form: Bytes, out: &mut String) {
    for (i, byte) in bytes.iter().enumerate() {
        if form == Bytes::Uuid && matches!(i, 4 | 6 | 8 | 10) {
            out.push('-');
        }
        for digit in [byte >> 4, byte & 15] {
            out.push(char::from(b"0123456789abcdef"[usize::from(digit)]));
        }
    }
}

/// Appends a number, a boolean or a time.
fn other(array: &ArrayRef, row: usize, role: Role, out: &mut String) -> Result<(), Fault> {
    macro_rules! integer {
        ($kind:ident) => {{
            // A `String` takes whatever is written to it.
            let _ = write!(out, "{}", array.as_primitive::<$kind>().value(row));
        }};
    }
    let float = |value: f64, shown: String, out: &mut String| {
        if role == Role::Id && !(value.is_finite() && value.fract() == 0.0) {
            return Err(Fault::Value(format!("{shown}, which is not a whole number")));
        }
        out.push_str(if value == 0.0 { "0" } else { &shown });
        Ok(())
    };
    match array.data_type() {
        DataType::Int8 => integer!(Int8Type),
        DataType::Int16 => integer!(Int16Type),
        DataType::Int32 => integer!(Int32Type),
        DataType::Int64 => integer!(Int64Type),
        DataType::UInt8 => integer!(UInt8Type),
        DataType::UInt16 => integer!(UInt16Type),
        DataType::UInt32 => integer!(UInt32Type),
        DataType::UInt64 => integer!(UInt64Type),
        DataType::Boolean => {
            out.push_str(if array.as_boolean().value(row) { "true" } else { "false" })
        }
        DataType::Decimal32(..) => decimal(array.as_primitive::<Decimal32Type>(), row, out),
        DataType::Decimal64(..) => decimal(array.as_primitive::<Decimal64Type>(), row, out),
        DataType::Decimal128(..) => decimal(array.as_primitive::<Decimal128Type>(), row, out),
        DataType::Decimal256(..) => decimal(array.as_primitive::<Decimal256Type>(), row, out),
        DataType::Float16 => {
            let value = array.as_primitive::<Float16Type>().value(row);
            return float(value.to_f64(), value.to_f32().to_string(), out);
        }
        DataType::Float32 => {
            let value = array.as_primitive::<Float32Type>().value(row);
            return float(value.into(), value.to_string(), out);
        }
        DataType::Float64 => {
            let value = array.as_primitive::<Float64Type>().value(row);
            return float(value, value.to_string(), out);
        }
        DataType::Date32 => {
            let days = array.as_primitive::<Date32Type>().value(row);
            let date = as_datetime::<Date32Type>(days.into()).map(|time| time.date());
            return time(date, "", days.into(), out);
        }
        DataType::Date64 => {
            let milliseconds = array.as_primitive::<Date64Type>().value(row);
            let date = as_datetime::<Date64Type>(milliseconds).map(|time| time.date());
            return time(date, "", milliseconds, out);
        }
        DataType::Timestamp(unit, zone) => {
            let zone = if zone.is_some() { "Z" } else { "" };
            return match unit {
                TimeUnit::Second => timestamp::<TimestampSecondType>(array, row, zone, out),
                TimeUnit::Millisecond => {
                    timestamp::<TimestampMillisecondType>(array, row, zone, out)
                }
                TimeUnit::Microsecond => {
                    timestamp::<TimestampMicrosecondType>(array, row, zone, out)
                }
                TimeUnit::Nanosecond => timestamp::<TimestampNanosecondType>(array, row, zone, out),
            };
        }
        _ => {}
    }
    Ok(())
}

/// Appends a decimal: an integer where it is whole, else its digits.
fn decimal<T: DecimalType>(array: &PrimitiveArray<T>, row: usize, out: &mut String) {
    let shown = array.value_as_string(row);
    let whole = shown.split_once('.').filter(|(_, fraction)| fraction.bytes().all(|b| b == b'0'));
    out.push_str(whole.map_or(shown.as_str(), |(whole, _)| whole));
}

fn timestamp<T: ArrowTimestampType>(
    array: &ArrayRef,
    row: usize,
    zone: &str,
    out: &mut String,
) -> Result<(), Fault> {
    let value = array.as_primitive::<T>().value(row);
    time(as_datetime::<T>(value), zone, value, out)
}

/// Appends a date or time in ISO 8601, which is how the library's types print themselves.
fn time(
    time: Option<impl std::fmt::Debug>,
    zone: &str,
    value: i64,
    out: &mut String,
) -> Result<(), Fault> {
    let Some(time) = time else {
        return Err(Fault::Value(format!("{value}, beyond the dates of the calendar")));
    };
    // A `String` takes whatever is written to it.
    let _ = write!(out, "{time:?}{zone}");
    Ok(())
}
/// A field whose strings are read as bytes of the same layout.
pub(crate) fn as_bytes(field: &Field) -> Field {
    fn bytes(data_type: &DataType) -> DataType {
        let inner = |item: &Field| std::sync::Arc::new(as_bytes(item));
        match data_type {
            DataType::Utf8 => DataType::Binary,
            DataType::LargeUtf8 => DataType::LargeBinary,
            DataType::Utf8View => DataType::BinaryView,
            DataType::Dictionary(key, value) => {
                DataType::Dictionary(key.clone(), Box::new(bytes(value)))
            }
            DataType::List(item) => DataType::List(inner(item)),
            DataType::LargeList(item) => DataType::LargeList(inner(item)),
            DataType::FixedSizeList(item, size) => DataType::FixedSizeList(inner(item), *size),
            DataType::ListView(item) => DataType::ListView(inner(item)),
            DataType::LargeListView(item) => DataType::LargeListView(inner(item)),
            _ => data_type.clone(),
        }
    }
    field.clone().with_data_type(bytes(field.data_type()))
}
