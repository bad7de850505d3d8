// SPDX-License-Identifier: Apache-2.0
//! `ls`, `cat`, `stat`.

use crate::escape::{self, json, json_lines};
use crate::exit::{Ended, Exit};
use crate::fetch::Fetch;
use crate::figures::rfc3339;
use crate::filter::Filter;
use crate::names::{Meant, Names};
use crate::place::{relative, root};
use crate::session::{self, Work};
use crate::settings::Settings;
use crate::tally::Tally;
use clap::Args;
use futures_util::stream::{self, BoxStream};
use futures_util::{StreamExt, TryStreamExt};
use serde_json::{Value, json};
use std::future::ready;
use std::io::{self, BufWriter, Write};
use std::ops::Bound;
use std::sync::Arc;
use storescope::{
    Bucket, Checksum, Client, GetOptions, GetRange, ListEntry, ListOptions, ObjectMeta,
    ReadOptions, ReadPolicy, Scheme, Store, StoreOptions, StoreUrl,
};

/// List objects whose names begin so, one level deep; or the buckets of `oci://@namespace`.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
#[command(after_help = "Examples:
  storescope ls oci://lake@ns/                 one level; folders end in /
  storescope ls oci://lake@ns/2026/ -r -l      all below, with size, time and ETag
  storescope ls oci://@ns                      the buckets
  storescope ls oci://lake@ns/ --json          one JSON object a line
  storescope ls oci://lake@ns/ -r --print0 | xargs -0 -n1 echo
  storescope ls 's3://lake/2026/*/part-?.csv'  names and folders that match
  storescope ls -r s3://lake/ --include '*.csv' --exclude 'tmp/'

In a pattern, * and ? match within a folder, ** across folders, [a-z] one character. With -r, what
is below the folders that match is listed, too.

Characters of a name that a terminal would act on are escaped as `ls -b` does (\\033, \\n; a \\ is
\\\\); --print0 and --json tell names as they are.")]
pub(crate) struct Ls {
    /// A bucket, a prefix of names, a pattern, or a service.
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

    #[command(flatten)]
    names: Names,

    #[command(flatten)]
    filter: Filter,
}

impl Ls {
    pub(crate) fn run(self, settings: &Settings) -> Ended {
        session::perform(settings, &self)
    }

    /// What the URL means, as far as the filter takes it.
    async fn entries(
        &self,
        client: &Client,
    ) -> Result<BoxStream<'static, Result<ListEntry, Exit>>, Exit> {
        let store = root(client, &self.url)?;
        let key = self.url.key();
        let meant = self.names.meant(client, &self.url, self.recursive, false).await?;
        let (entries, folder, nothing) = match meant {
            Meant::Name => {
                let options = ListOptions::new().delimiter(!self.recursive);
                let folder = &key[..key.rfind('/').map_or(0, |slash| slash + 1)];
                (store.list(key, options).boxed(), folder.to_owned(), None)
            }
            Meant::Pattern(pattern) => {
                let entries = if self.recursive {
                    pattern.objects(&store, true).map_ok(ListEntry::Object).boxed()
                } else {
                    pattern.entries(&store)
                };
                let nothing = pattern.matched_nothing(&store);
                (entries, pattern.folder().to_owned(), Some(nothing))
            }
        };
        let mut entries = Box::pin(entries.peekable());
        if let (Some(nothing), None) = (nothing, entries.as_mut().peek().await) {
            return Err(nothing);
        }
        let filter = self.filter.clone();
        let taken = entries.map_err(Exit::from).try_filter_map(move |entry| {
            let name = match &entry {
                ListEntry::Object(meta) => &meta.key,
                ListEntry::Prefix(prefix) => prefix,
                _ => return ready(Ok(None)),
            };
            let is_taken = relative(name, &folder).map(|name| filter.takes(name));
            ready(is_taken.map(|is_taken| is_taken.then_some(entry)))
        });
        Ok(taken.boxed())
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

impl Work for Ls {
    async fn work(&self, client: &Client, _: &Arc<Tally>) -> Ended {
        // Line by line: other commands of a file may write between them.
        let (mut out, mut line) = (BufWriter::new(io::stdout()), Vec::new());
        let mut unfit = 0;
        if self.url.bucket().is_none() && self.url.scheme() != Scheme::File {
            let mut buckets = client.buckets(&self.url, StoreOptions::new());
            while let Some(bucket) = buckets.next().await {
                let bucket = bucket?;
                if !self.filter.takes(&bucket.name) {
                    continue;
                }
                self.write_bucket(&mut line, &bucket)?;
                out.write_all(&line)?;
                line.clear();
            }
        } else {
            let mut entries = self.entries(client).await?;
            while let Some(entry) = entries.next().await {
                let entry = entry?;
                if self.print0 && has_nul(&entry) {
                    unfit += 1;
                    continue;
                }
                self.write_entry(&mut line, &entry)?;
                out.write_all(&line)?;
                line.clear();
            }
        }
        out.flush()?;
        if unfit > 0 {
            let why =
                format!("{unfit} names have a NUL in them, and were left out: --json tells them");
            return Err(Exit::failed(why));
        }
        Ok(())
    }
}

/// Write an object's bytes to standard output. A whole object is checked against the store's checksum.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  storescope cat oci://lake@ns/table.parquet > table.parquet
  storescope cat oci://lake@ns/log.txt --range 0-99      the first hundred bytes
  storescope cat oci://lake@ns/log.txt --range -4096     the last 4096
  storescope cat 's3://lake/logs/2026-11-*.txt'          all that match, in the order of their names")]
pub(crate) struct Cat {
    /// The object, or a pattern.
    url: StoreUrl,

    /// Only these bytes: FIRST-LAST, FIRST- or -COUNT.
    #[arg(long, value_parser = parse_range, allow_hyphen_values = true)]
    range: Option<GetRange>,

    #[command(flatten)]
    names: Names,
}

impl Cat {
    pub(crate) fn run(self, settings: &Settings) -> Ended {
        session::perform(settings, &self)
    }

    async fn body(&self, store: &Store, key: &str) -> storescope::Result<Fetch> {
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

impl Work for Cat {
    async fn work(&self, client: &Client, _: &Arc<Tally>) -> Ended {
        let store = root(client, &self.url)?;
        let mut names = named(client, &store, &self.url, self.names).await?;
        let mut out = io::stdout().lock();
        while let Some(key) = names.try_next().await? {
            let mut body = self.body(&store, &key).await?;
            while let Some(bytes) = body.next().await {
                out.write_all(&bytes?)?;
            }
        }
        Ok(out.flush()?)
    }
}

/// The name of a URL, or those that match it.
async fn named(
    client: &Client,
    store: &Store,
    url: &StoreUrl,
    names: Names,
) -> Result<BoxStream<'static, Result<String, Exit>>, Exit> {
    Ok(match names.meant(client, url, false, true).await? {
        Meant::Name => stream::iter([Ok(url.key().to_owned())]).boxed(),
        Meant::Pattern(pattern) => {
            pattern.chosen(store, false, &Filter::default()).map_ok(|meta| meta.key).boxed()
        }
    })
}

/// Tell what an object is: size, times, ETag, checksum, metadata.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  storescope stat oci://lake@ns/table.parquet --json
  storescope stat 's3://lake/2026/*.parquet' --json      one JSON object a line")]
pub(crate) struct Stat {
    /// The object, or a pattern.
    url: StoreUrl,

    /// As a JSON object; of a pattern, one a line.
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    names: Names,
}

impl Stat {
    pub(crate) fn run(self, settings: &Settings) -> Ended {
        session::perform(settings, &self)
    }

    fn write(&self, described: &Value, of_many: bool) -> io::Result<()> {
        let mut out = io::stdout().lock();
        if self.json {
            let json = if of_many { json(described) } else { json_lines(described) };
            return writeln!(out, "{json}");
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
        if of_many { writeln!(out) } else { Ok(()) }
    }
}

impl Work for Stat {
    async fn work(&self, client: &Client, _: &Arc<Tally>) -> Ended {
        let store = root(client, &self.url)?;
        let of_many = self.names.pattern(&self.url)?.is_some();
        let mut names = named(client, &store, &self.url, self.names).await?;
        while let Some(key) = names.try_next().await? {
            self.write(&described(&store.head(&key).await?), of_many)?;
        }
        Ok(())
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
