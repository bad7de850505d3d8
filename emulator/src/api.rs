// SPDX-License-Identifier: Apache-2.0
//! What the operations of an API take: every header, query parameter and member of a body, and
//! whether it is honoured. A request with one that is not is refused by its name before it acts.
//!
//! Each API has a table of lines `place TAB names TAB operations TAB verdict TAB values TAB shown
//! by`. The tables are data: the emulator reads them, judges compare them with the models of
//! boto3 and of Oracle's SDK, and `docs/EMULATOR-API.md` is made of them.

use std::collections::HashMap;
use std::sync::LazyLock;

use http::StatusCode;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;

use crate::error::ApiError;

/// The table of OCI's native API.
pub(crate) static OCI: LazyLock<Table> =
    LazyLock::new(|| Table::parse(include_str!("api/oci.tsv")));

/// Says in an answer to HEAD, too, what is not implemented.
pub(crate) const NOT_IMPLEMENTED: HeaderName = HeaderName::from_static("x-storescope-refused");

/// Where a request has something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Place {
    /// The request as such.
    Operation,
    Header,
    Query,
    Body,
}

/// The table of one API.
#[derive(Debug)]
pub(crate) struct Table {
    operations: HashMap<&'static str, Verdict>,
    rows: HashMap<&'static str, Vec<Row>>,
    /// Rows of names that begin so.
    prefixes: Vec<(&'static str, Row)>,
}

/// A line of the table.
#[derive(Clone, Debug)]
struct Row {
    place: Place,
    operations: Vec<&'static str>,
    verdict: Verdict,
}

#[derive(Clone, Debug)]
enum Verdict {
    /// It is honoured, or has no effect by its meaning.
    Taken,
    /// These values are honoured.
    Only(Vec<&'static str>),
    Refused,
}

/// What a request asks for that is not implemented.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) place: Place,
    pub(crate) name: String,
}

impl Refused {
    #[cfg(feature = "s3")]
    pub(crate) fn header(name: &str) -> Refused {
        Refused { place: Place::Header, name: name.to_owned() }
    }

    /// In the words of S3.
    pub(crate) fn message(&self) -> String {
        let what = match self.place {
            Place::Operation => "The operation you requested is",
            Place::Header => "A header you provided implies functionality that is",
            Place::Query => "A parameter you provided implies functionality that is",
            Place::Body => "An element of the body you provided implies functionality that is",
        };
        format!("{what} not implemented")
    }

    /// The name as a header's value.
    pub(crate) fn value(&self) -> HeaderValue {
        let text: String = self.name.chars().filter(|c| (' '..='~').contains(c)).collect();
        HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("?"))
    }
}

impl From<Refused> for ApiError {
    fn from(refused: Refused) -> ApiError {
        ApiError::new(
            StatusCode::NOT_IMPLEMENTED,
            "NotImplemented",
            format!("{}: {}", refused.message(), refused.name),
        )
    }
}

impl Table {
    /// Reads a table; lines that begin with `#` are for the reader.
    ///
    /// # Panics
    ///
    /// If a line is not one of a table: it is part of the program.
    pub(crate) fn parse(text: &'static str) -> Table {
        let mut table =
            Table { operations: HashMap::new(), rows: HashMap::new(), prefixes: Vec::new() };
        for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let fields: Vec<_> = line.split('\t').collect();
            let [place, names, operations, verdict, values, _] = fields[..] else {
                panic!("not a line of the table: {line}");
            };
            let verdict = match verdict {
                "honoured" | "no effect" => Verdict::Taken,
                "only" => Verdict::Only(values.split(' ').collect()),
                "refused" => Verdict::Refused,
                other => panic!("not a verdict: {other}"),
            };
            let place = match place {
                "operation" => Place::Operation,
                "header" => Place::Header,
                "query" => Place::Query,
                "body" => Place::Body,
                other => panic!("not a place: {other}"),
            };
            table.add(names, Row { place, operations: operations.split(' ').collect(), verdict });
        }
        table
    }

    fn add(&mut self, names: &'static str, row: Row) {
        if row.place == Place::Operation {
            let named = row.operations.iter().map(|name| (*name, row.verdict.clone()));
            return self.operations.extend(named);
        }
        for name in names.split(' ') {
            match name.strip_suffix('*') {
                Some(prefix) => self.prefixes.push((prefix, row.clone())),
                None => self.rows.entry(name).or_default().push(row.clone()),
            }
        }
    }

    /// Whether an operation is served.
    pub(crate) fn check_operation(&self, operation: &str) -> Result<(), Refused> {
        match self.operations.get(operation) {
            Some(Verdict::Taken) => Ok(()),
            _ => Err(Refused { place: Place::Operation, name: operation.to_owned() }),
        }
    }

    /// Every header that a row names, or that is the API's own: such a header without a row is
    /// refused, as it may be one that came after this emulator. Others are not of the API.
    pub(crate) fn check_headers(
        &self,
        operation: &str,
        headers: &HeaderMap,
        own: &str,
    ) -> Result<(), Refused> {
        for (name, value) in headers {
            let (name, value) = (name.as_str(), value.to_str().unwrap_or_default());
            let is_known = self.row(Place::Header, name, operation).is_some();
            if is_known || name.starts_with(own) || name.starts_with("if-") {
                self.check(Place::Header, name, operation, value)?;
            }
        }
        Ok(())
    }

    /// One parameter of the query, or one member of a body.
    pub(crate) fn check(
        &self,
        place: Place,
        name: &str,
        operation: &str,
        value: &str,
    ) -> Result<(), Refused> {
        match self.row(place, name, operation).map(|row| &row.verdict) {
            Some(Verdict::Taken) => Ok(()),
            Some(Verdict::Only(values))
                if values.iter().any(|only| only.eq_ignore_ascii_case(value)) =>
            {
                Ok(())
            }
            _ => Err(Refused { place, name: name.to_owned() }),
        }
    }

    /// Every member of a JSON body below `path`, as far down as the table has lines; a null is
    /// none.
    pub(crate) fn check_members(
        &self,
        operation: &str,
        path: &str,
        value: &Value,
    ) -> Result<(), ApiError> {
        match value {
            Value::Array(items) => {
                items.iter().try_for_each(|item| self.check_members(operation, path, item))
            }
            Value::Object(members) => members
                .iter()
                .filter(|(_, value)| !value.is_null())
                .try_for_each(|(name, value)| {
                    let path =
                        if path.is_empty() { name.clone() } else { format!("{path}/{name}") };
                    self.check_member(operation, &path, value)
                }),
            _ => Ok(()),
        }
    }

    fn check_member(&self, operation: &str, path: &str, value: &Value) -> Result<(), ApiError> {
        if !self.knows(path, operation) {
            return Err(ApiError::bad_request(
                "InvalidParameter",
                format!("'{path}' is not a member of the body of {operation}"),
            ));
        }
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        self.check(Place::Body, path, operation, &text)?;
        if self.has_members(path, operation) {
            return self.check_members(operation, path, value);
        }
        Ok(())
    }

    /// Whether the body of an operation may have such a member at all.
    pub(crate) fn knows(&self, path: &str, operation: &str) -> bool {
        self.row(Place::Body, path, operation).is_some()
    }

    /// Whether the table has lines of what is in a member of a body.
    pub(crate) fn has_members(&self, path: &str, operation: &str) -> bool {
        let is_below = |name: &str| name.strip_prefix(path).is_some_and(|n| n.starts_with('/'));
        self.rows.iter().any(|(name, rows)| {
            is_below(name) && rows.iter().any(|row| row.is_of(Place::Body, operation))
        })
    }

    fn row(&self, place: Place, name: &str, operation: &str) -> Option<&Row> {
        let rows = self.rows.get(name).map(Vec::as_slice).unwrap_or_default();
        let begins = |prefix: &str| name.len() > prefix.len() && name.starts_with(prefix);
        let by_prefix = self.prefixes.iter().filter(|(prefix, _)| begins(prefix));
        rows.iter().chain(by_prefix.map(|(_, row)| row)).find(|row| row.is_of(place, operation))
    }
}

impl Row {
    fn is_of(&self, place: Place, operation: &str) -> bool {
        let is_of = |one: &&str| *one == "*" || *one == operation;
        self.place == place && self.operations.iter().any(is_of)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "# place\n\
        operation\t-\tPut Get\thonoured\t\t\n\
        operation\t-\tLock\trefused\t\t\n\
        header\tx-a if-match\tPut\thonoured\t\tt\n\
        header\tx-meta-*\tPut\thonoured\t\tt\n\
        header\tx-b\tPut\tonly\tone TWO\tt\n\
        header\tx-b\tGet\trefused\t\t\n\
        query\tid\t*\tno effect\t\twhy\n";

    fn headers(name: &'static str, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(HeaderName::from_static(name), HeaderValue::from_static(value))])
    }

    #[test]
    fn what_has_no_row_is_refused_by_its_name() {
        let table = Table::parse(TABLE);
        for (operation, name, value, good) in [
            ("Put", "x-a", "1", true),
            ("Get", "x-a", "1", false),
            ("Put", "x-b", "two", true),
            ("Put", "x-b", "three", false),
            ("Get", "x-b", "one", false),
            ("Put", "x-meta-k", "1", true),
            ("Put", "x-meta-", "1", false),
            ("Put", "if-match", "1", true),
            ("Get", "if-match", "1", false),
            ("Put", "accept", "1", true),
        ] {
            let checked = table.check_headers(operation, &headers(name, value), "x-");
            let refused = Refused { place: Place::Header, name: name.to_owned() };
            assert_eq!(checked, if good { Ok(()) } else { Err(refused) }, "{operation} {name}");
        }
        assert!(table.check(Place::Query, "id", "Get", "").is_ok());
        assert!(table.check(Place::Query, "ID", "Get", "").is_err());
        assert!(table.check_operation("Get").is_ok());
        assert!(table.check_operation("Lock").is_err());
        assert!(table.check_operation("New").is_err());
    }
}
