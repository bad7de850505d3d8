// SPDX-License-Identifier: Apache-2.0
//! `ls`, `cat`, `stat`.

use crate::Ended;
use crate::escape::{self, json, json_lines};
use crate::exit::Exit;
use crate::fetch::Fetch;
use crate::session;
use crate::settings::Settings;
use clap::Args;
use futures_util::StreamExt;
use serde_json::{Value, json};
use std::io::{self, BufWriter, Write};
use std::ops::Bound;
use std::time::{SystemTime, UNIX_EPOCH};
use storescope::{
    Bucket, Checksum, Client, GetOptions, GetRange, ListEntry, ListOptions, ObjectMeta,
    ReadOptions, ReadPolicy, Scheme, Store, StoreOptions, StoreUrl,
};

/// List objects whose names begin so, one level deep; or the buckets of `oci://@namespace`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  storescope ls oci://lake@ns/                 one level; folders end in /
  storescope ls oci://lake@ns/2026/ -r -l      all below, with size, time and ETag
  storescope ls oci://@ns                      the buckets
  storescope ls oci://lake@ns/ --json          one JSON object a line
  storescope ls oci://lake@ns/ -r --print0 | xargs -0 -n1 echo

Characters of a name that a terminal would act on are escaped as `ls -b` does (\\033, \\n; a \\ is \\\\); --print0 and --json
tell names as they are.")]
pub(crate) struct Ls {
    /// A bucket, a prefix of names, or a service.
    url: StoreUrl,

    /// Size, time and ETag, too.
    #[arg(short, long)]
    long: bool,

    /// All names below, however deep.
    #[arg(short, long)]
    recursive: bool,

    /// One JSON object a line.
    #[arg(long)]
    json: bool,

    /// Names as they are, a NUL behind each.
    #[arg(long, conflicts_with_all = ["json", "long"])]
    print0: bool,
}

impl Ls {
    pub(crate) fn run(self, settings: &Settings) -> Ended {
        session::run(settings, async |client: &Client| {
            let mut out = BufWriter::new(io::stdout().lock());
            let mut unfit = 0;
            if self.url.bucket().is_none() && self.url.scheme() != Scheme::File {
                let mut buckets = client.buckets(&self.url, StoreOptions::new());
                while let Some(bucket) = buckets.next().await {
                    self.write_bucket(&mut out, &bucket?)?;
                }
            } else {
                let store = client.store(&self.url.with_key(""), StoreOptions::new())?;
                let options = ListOptions::new().delimiter(!self.recursive);
                let mut entries = store.list(self.url.key(), options);
                while let Some(entry) = entries.next().await {
                    let entry = entry?;
                    if self.print0 && has_nul(&entry) {
                        unfit += 1;
                    } else {
                        self.write_entry(&mut out, &entry)?;
                    }
                }
            }
            out.flush()?;
            if unfit > 0 {
                let why = format!(
                    "{unfit} names have a NUL in them, and were left out: --json tells them"
                );
                return Err(Exit::failed(why));
            }
            Ok(())
        })
    }

    fn write_bucket(&self, out: &mut impl Write, bucket: &Bucket) -> io::Result<()> {
        let created = bucket.created.map(rfc3339);
        if self.json {
            return writeln!(
                out,
                "{}",
                json(&json!({ "bucket": bucket.name, "created": created }))
            );
        }
        if self.print0 {
            return write!(out, "{}\0", bucket.name);
        }
        let name = escape::name(&bucket.name);
        match created {
            Some(created) if self.long => writeln!(out, "{created}  {name}"),
            _ if self.long => writeln!(out, "  {name}"),
            _ => writeln!(out, "{name}"),
        }
    }

    fn write_entry(&self, out: &mut impl Write, entry: &ListEntry) -> io::Result<()> {
        let (name, meta) = match entry {
            ListEntry::Prefix(prefix) => (prefix, None),
            ListEntry::Object(meta) => (&meta.key, Some(meta)),
            _ => return Ok(()),
        };
        if self.json {
            let line = meta.map_or_else(|| json!({ "prefix": name }), described);
            return writeln!(out, "{}", json(&line));
        }
        if self.print0 {
            return write!(out, "{name}\0");
        }
        let name = escape::name(name);
        match meta {
            Some(meta) if self.long => {
                let time = meta.last_modified.map(rfc3339).unwrap_or_default();
                let etag = escape::name(meta.etag.as_deref().unwrap_or("-"));
                writeln!(out, "{:>14}  {time:20}  {name}  {etag}", meta.size)
            }
            None if self.long => writeln!(out, "{:>14}  {:20}  {name}", "-", ""),
            _ => writeln!(out, "{name}"),
        }
    }
}

/// Write an object's bytes to standard output. A whole object is checked against the store's checksum.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  storescope cat oci://lake@ns/table.parquet > table.parquet
  storescope cat oci://lake@ns/log.txt --range 0-99      the first hundred bytes
  storescope cat oci://lake@ns/log.txt --range -4096     the last 4096")]
pub(crate) struct Cat {
    /// The object.
    url: StoreUrl,

    /// Only these bytes: FIRST-LAST, FIRST- or -COUNT.
    #[arg(long, value_parser = parse_range, allow_hyphen_values = true)]
    range: Option<GetRange>,
}

impl Cat {
    pub(crate) fn run(self, settings: &Settings) -> Ended {
        session::run(settings, async |client: &Client| {
            let store = client.store(&self.url.with_key(""), StoreOptions::new())?;
            let mut body = self.body(&store).await?;
            let mut out = io::stdout().lock();
            while let Some(bytes) = body.next().await {
                out.write_all(&bytes?)?;
            }
            Ok(out.flush()?)
        })
    }

    async fn body(&self, store: &Store) -> storescope::Result<Fetch> {
        let key = self.url.key();
        let range = match &self.range {
            None => return Fetch::begin(store, key, None).await,
            Some(GetRange::Bounded(range)) => (range.start, Bound::Excluded(range.end)),
            Some(GetRange::From(start)) => (*start, Bound::Unbounded),
            Some(last) => {
                let got = store.get(key, GetOptions::new().range(last.clone())).await?;
                return Ok(Fetch::Answer(got.meta().clone().into(), got.into_stream()));
            }
        };
        let reader = store.reader(key, ReadOptions::new().policy(ReadPolicy::Sequential));
        let stream = reader.stream((Bound::Included(range.0), range.1));
        Ok(Fetch::Parts(reader, stream))
    }
}

/// Tell what an object is: size, times, ETag, checksum, metadata.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  storescope stat oci://lake@ns/table.parquet --json")]
pub(crate) struct Stat {
    /// The object.
    url: StoreUrl,

    /// As a JSON object.
    #[arg(long)]
    json: bool,
}

impl Stat {
    pub(crate) fn run(self, settings: &Settings) -> Ended {
        session::run(settings, async |client: &Client| {
            let store = client.store(&self.url.with_key(""), StoreOptions::new())?;
            let described = described(&store.head(self.url.key()).await?);
            let mut out = io::stdout().lock();
            if self.json {
                return Ok(writeln!(out, "{}", json_lines(&described))?);
            }
            for (name, value) in described.as_object().into_iter().flatten() {
                match value {
                    Value::Null => {}
                    Value::String(text) => writeln!(out, "{name:>16}  {}", escape::name(text))?,
                    Value::Object(items) => {
                        for (item, value) in items {
                            let item = format!("meta {}", escape::name(item));
                            let value = escape::name(value.as_str().unwrap_or_default());
                            writeln!(out, "{item:>16}  {value}")?;
                        }
                    }
                    other => writeln!(out, "{name:>16}  {other}")?,
                }
            }
            Ok(())
        })
    }
}

fn has_nul(entry: &ListEntry) -> bool {
    match entry {
        ListEntry::Object(meta) => meta.key.contains('\0'),
        ListEntry::Prefix(prefix) => prefix.contains('\0'),
        _ => false,
    }
}

fn described(meta: &ObjectMeta) -> Value {
    let checksum = meta.checksum.map(|checksum| match checksum {
        Checksum::Crc32c(crc) => format!("crc32c:{crc:08x}"),
        Checksum::Md5(md5) => {
            md5.iter().fold("md5:".to_owned(), |text, byte| format!("{text}{byte:02x}"))
        }
        _ => "unknown".to_owned(),
    });
    json!({
        "name": meta.key,
        "size": meta.size,
        "etag": meta.etag,
        "last_modified": meta.last_modified.map(rfc3339),
        "content_type": meta.content_type,
        "content_encoding": meta.content_encoding,
        "checksum": checksum,
        "version": meta.version,
        "metadata": meta.metadata,
    })
}

/// `2026-11-22T06:00:00Z`.
pub(crate) fn rfc3339(time: SystemTime) -> String {
    let seconds = time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    jiff::Timestamp::from_second(seconds as i64).map(|time| time.to_string()).unwrap_or_default()
}

fn parse_range(text: &str) -> Result<GetRange, String> {
    let expected = || format!("{text:?} is no range: expected FIRST-LAST, FIRST- or -COUNT");
    let (first, last) = text.split_once('-').ok_or_else(expected)?;
    let number = |text: &str| text.parse::<u64>().map_err(|_| expected());
    Ok(match (first, last) {
        ("", count) => GetRange::Last(number(count)?),
        (first, "") => GetRange::From(number(first)?),
        (first, last) => {
            let (first, last) = (number(first)?, number(last)?);
            if last < first {
                return Err(format!("{text:?} ends before it begins"));
            }
            GetRange::Bounded(first..last + 1)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges() {
        assert_eq!(parse_range("0-99"), Ok(GetRange::Bounded(0..100)));
        assert_eq!(parse_range("7-"), Ok(GetRange::From(7)));
        assert_eq!(parse_range("-7"), Ok(GetRange::Last(7)));
        for bad in ["7", "9-1", "a-b", "-", "1-2-3"] {
            assert!(parse_range(bad).is_err(), "{bad}");
        }
    }
}
