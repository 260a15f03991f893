//! Walks through a parsed file: takes known keys out of tables, remembers where their values stand, and notes every fault.

use std::collections::BTreeMap;
use std::ops::Range;

use toml_edit::{Item, Table, TableLike, Value};

use super::expand::Surroundings;
use super::fault::{Findings, hint};

/// Where values stand in the file.
pub(super) type Span = Range<usize>;

/// What a parser of one value says: the value, or what is wrong and what would be right.
pub(super) type Parsed<T> = Result<T, String>;

/// The file that is walked through, and what was found in it.
pub(super) struct Walk<'a> {
    pub(super) findings: Findings<'a>,
    pub(super) surroundings: &'a Surroundings<'a>,
}

/// A table whose keys are taken one by one; what is left over at its end is unknown.
pub(super) struct Section<'d> {
    name: &'static str,
    table: &'d dyn TableLike,
    span: Span,
    known: Vec<&'static str>,
    places: Places,
}

/// What was read, and where.
pub(super) struct Found<T> {
    /// The value.
    pub(super) value: T,
    /// Where it came from.
    pub(super) places: Places,
}

/// Where the values of a table stand, by key.
#[derive(Debug, Clone, Default)]
pub(super) struct Places {
    name: &'static str,
    table: Span,
    values: BTreeMap<&'static str, Vec<Span>>,
}

/// A text with everything in `${…}` in place.
struct Text {
    value: String,
    written: String,
    span: Span,
}

impl Places {
    /// `name.key`, as faults show it.
    pub(super) fn key(&self, key: &str) -> String {
        format!("{}.{key}", self.name)
    }

    /// Whether the file gives a value for `key`.
    pub(super) fn has(&self, key: &str) -> bool {
        self.values.contains_key(key)
    }

    /// Where the value of `key` stands, or the table if it has none.
    pub(super) fn of(&self, key: &str) -> &Span {
        self.nth(key, 0)
    }

    /// Where the element `at` of the list `key` stands.
    pub(super) fn nth(&self, key: &str, at: usize) -> &Span {
        self.values.get(key).and_then(|spans| spans.get(at).or(spans.first())).unwrap_or(&self.table)
    }
}

impl<'d> Section<'d> {
    pub(super) fn new(name: &'static str, table: &'d dyn TableLike, span: Span) -> Section<'d> {
        let places = Places { name, table: span.clone(), values: BTreeMap::new() };
        Section { name, table, span, known: Vec::new(), places }
    }

    fn take(&mut self, key: &'static str) -> Option<&'d Item> {
        self.known.push(key);
        let item = self.table.get(key).filter(|item| !item.is_none())?;
        self.places.values.insert(key, vec![item.span().unwrap_or_else(|| self.span.clone())]);
        Some(item)
    }

    /// Notes that the value of `key` is wrong.
    pub(super) fn fault(&self, walk: &mut Walk<'_>, key: &'static str, what: impl Into<String>) {
        walk.findings.add(self.places.of(key), self.places.key(key), what);
    }

    /// A text under `key`, run through `parse`.
    pub(super) fn text<T>(&mut self, walk: &mut Walk<'_>, key: &'static str, parse: impl Fn(&str) -> Parsed<T>) -> Option<T> {
        let item = self.take(key)?;
        let text = item.as_value().and_then(|value| walk.text(value, self.places.of(key), &self.places.key(key)));
        if item.as_value().is_none() {
            self.fault(walk, key, format!("is {}, write a text in quotes", kind(item)));
        }
        let text = text?;
        walk.parse(&text, &self.places.key(key), parse)
    }

    /// The same, and its absence is a fault; `example` is what could stand there.
    pub(super) fn required<T>(
        &mut self,
        walk: &mut Walk<'_>,
        key: &'static str,
        example: &str,
        parse: impl Fn(&str) -> Parsed<T>,
    ) -> Option<T> {
        if self.table.get(key).is_none() {
            self.known.push(key);
            self.fault(walk, key, format!("is missing, write `{key} = {example}`"));
            return None;
        }
        self.text(walk, key, parse)
    }

    /// The same for a list of at least one; a bare text is a list of one.
    pub(super) fn required_list<T>(
        &mut self,
        walk: &mut Walk<'_>,
        key: &'static str,
        example: &str,
        parse: impl Fn(&str) -> Parsed<T>,
    ) -> Option<Vec<T>> {
        let list = self.list(walk, key, true, parse);
        if !self.places.has(key) {
            self.fault(walk, key, format!("is missing, write `{key} = {example}`"));
        } else if list.as_ref().is_some_and(Vec::is_empty) {
            self.fault(walk, key, format!("is empty, write `{key} = {example}`"));
        }
        list
    }

    /// Notes that `key` stands there without `other`.
    pub(super) fn incomplete<T>(&self, walk: &mut Walk<'_>, key: &'static str, other: &str) -> Option<T> {
        self.fault(walk, key, format!("stands without `{other}`, write both or neither"));
        None
    }

    /// A list of texts under `key`, each run through `parse`; with `or_one` a bare text is a list of one.
    pub(super) fn list<T>(
        &mut self,
        walk: &mut Walk<'_>,
        key: &'static str,
        or_one: bool,
        parse: impl Fn(&str) -> Parsed<T>,
    ) -> Option<Vec<T>> {
        let item = self.take(key)?;
        let Some(array) = item.as_array() else {
            if or_one && item.is_str() {
                return self.text(walk, key, parse).map(|one| vec![one]);
            }
            self.fault(walk, key, format!("is {}, write a list of texts: `[\"…\", \"…\"]`", kind(item)));
            return None;
        };
        let spans: Vec<Span> = array.iter().map(|value| value.span().unwrap_or_else(|| self.places.of(key).clone())).collect();
        let dotted = self.places.key(key);
        let mut values = Vec::new();
        let mut whole = true;
        for (value, span) in array.iter().zip(&spans) {
            let text = walk.text(value, span, &dotted);
            match text.and_then(|text| walk.parse(&text, &dotted, &parse)) {
                Some(value) => values.push(value),
                None => whole = false,
            }
        }
        if !spans.is_empty() {
            self.places.values.insert(key, spans);
        }
        whole.then_some(values)
    }

    /// `true` or `false` under `key`.
    pub(super) fn flag(&mut self, walk: &mut Walk<'_>, key: &'static str) -> Option<bool> {
        let item = self.take(key)?;
        let flag = item.as_bool();
        if flag.is_none() {
            self.fault(walk, key, format!("is {}, write `true` or `false` without quotes", kind(item)));
        }
        flag
    }

    /// Whether `key` has been looked at and stands there.
    pub(super) fn has(&self, key: &str) -> bool {
        self.places.has(key)
    }

    /// Looks at `key` without reading it; says whether it stands there.
    pub(super) fn skip(&mut self, key: &'static str) -> bool {
        self.take(key).is_some()
    }

    /// A whole number within `range` under `key`.
    pub(super) fn count<N>(&mut self, walk: &mut Walk<'_>, key: &'static str, range: std::ops::RangeInclusive<N>) -> Option<N>
    where
        N: TryFrom<i64> + PartialOrd + std::fmt::Display,
    {
        let item = self.take(key)?;
        let wanted = format!("write a whole number from {} to {}", range.start(), range.end());
        let Some(number) = item.as_integer() else {
            self.fault(walk, key, format!("is {}, {wanted} without quotes", kind(item)));
            return None;
        };
        let count = N::try_from(number).ok().filter(|count| range.contains(count));
        if count.is_none() {
            self.fault(walk, key, format!("{number} is out of range, {wanted}"));
        }
        count
    }

    /// Refuses what is left over: `later` are keys that are known to the documentation, but to no part that is here.
    pub(super) fn finish<T>(mut self, walk: &mut Walk<'_>, later: &[&str], value: T) -> Found<T> {
        self.known.sort_unstable();
        for (key, item) in self.table.iter().filter(|(key, _)| !self.known.contains(key)) {
            let span = key_span(self.table, key).or_else(|| item.span()).unwrap_or_else(|| self.span.clone());
            let dotted = if self.name.is_empty() { key.to_owned() } else { format!("{}.{key}", self.name) };
            walk.findings.add(&span, dotted, unknown(key, &self.known, later));
        }
        Found { value, places: self.places }
    }
}

impl<'a> Walk<'a> {
    /// The table `name` of the file's top level; an empty one where it is missing.
    pub(super) fn table<'d>(&mut self, root: &'d Table, empty: &'d Table, name: &'static str) -> Section<'d> {
        match root.get(name) {
            None => Section::new(name, empty, 0..0),
            Some(item) => match item.as_table_like() {
                Some(table) => Section::new(name, table, header(root, name, item)),
                None => {
                    let what = match item {
                        Item::ArrayOfTables(_) => format!("is written `[[{name}]]`, but there is only one: write `[{name}]`"),
                        Item::None | Item::Value(_) | Item::Table(_) => format!("is {}, write a table: `[{name}]`", kind(item)),
                    };
                    self.findings.add(&header(root, name, item), name, what);
                    Section::new(name, empty, 0..0)
                }
            },
        }
    }

    /// The tables `[[name]]` of the file's top level.
    pub(super) fn tables<'d>(&mut self, root: &'d Table, name: &'static str) -> Vec<Section<'d>> {
        let Some(item) = root.get(name) else { return Vec::new() };
        if let Some(tables) = item.as_array_of_tables() {
            return tables.iter().map(|table| Section::new(name, table, table.span().unwrap_or(0..0))).collect();
        }
        let inline: Option<Vec<_>> = item.as_array().and_then(|array| array.iter().map(Value::as_inline_table).collect());
        if let Some(tables) = inline {
            return tables.into_iter().map(|table| Section::new(name, table, table.span().unwrap_or(0..0))).collect();
        }
        let what = match item {
            Item::Table(_) => format!("is written `[{name}]`, but there may be several: write `[[{name}]]`"),
            Item::None | Item::Value(_) | Item::ArrayOfTables(_) => format!("is {}, write tables: `[[{name}]]`", kind(item)),
        };
        self.findings.add(&header(root, name, item), name, what);
        Vec::new()
    }

    fn text(&mut self, value: &Value, span: &Span, key: &str) -> Option<Text> {
        let Some(written) = value.as_str() else {
            self.findings.add(span, key, format!("is {}, write a text in quotes", value_kind(value)));
            return None;
        };
        match self.surroundings.expand(written) {
            Err(what) => {
                self.findings.add(span, key, what);
                None
            }
            Ok(text) if text.trim().is_empty() => {
                self.findings.add(span, key, "is empty, write a value or leave the key out");
                None
            }
            Ok(text) if text.chars().any(char::is_control) => {
                self.findings.add(span, key, "holds a control character (a line break, perhaps), write it in one plain line");
                None
            }
            Ok(text) => Some(Text { value: text, written: written.to_owned(), span: span.clone() }),
        }
    }

    /// Parses a text; what came out of `${…}` is never shown in a fault.
    fn parse<T>(&mut self, text: &Text, key: &str, parse: impl Fn(&str) -> Parsed<T>) -> Option<T> {
        match parse(&text.value) {
            Ok(value) => Some(value),
            Err(what) => {
                self.findings.add(&text.span, key, what.replace(&text.value, &text.written));
                None
            }
        }
    }
}

fn unknown(key: &str, known: &[&str], later: &[&str]) -> String {
    if later.contains(&key) {
        return "is not built yet in this version, leave it out".to_owned();
    }
    format!("is not known, {}", hint(key, known))
}

fn header(root: &Table, name: &str, item: &Item) -> Span {
    item.span().or_else(|| key_span(root, name)).unwrap_or(0..0)
}

fn key_span(table: &dyn TableLike, key: &str) -> Option<Span> {
    table.get_key_value(key).and_then(|(key, _)| key.span())
}

fn kind(item: &Item) -> &'static str {
    match item {
        Item::None => "nothing",
        Item::Value(value) => value_kind(value),
        Item::Table(_) => "a table",
        Item::ArrayOfTables(_) => "a list of tables",
    }
}

fn value_kind(value: &Value) -> &'static str {
    match value {
        Value::String(_) => "a text",
        Value::Integer(_) | Value::Float(_) => "a number",
        Value::Boolean(_) => "true or false",
        Value::Datetime(_) => "a date",
        Value::Array(_) => "a list",
        Value::InlineTable(_) => "a table",
    }
}
