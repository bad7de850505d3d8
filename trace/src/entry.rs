// SPDX-License-Identifier: Apache-2.0
//! One request of a trace, the same for all formats.

use std::fmt;

/// One request of a trace: what was asked for, when, and what became of it.
///
/// A call that asked for several ranges at once has one entry for each, with the same `call`, `at_ns` and `duration_ns`;
/// `nth` counts them from 0. They stand side by side.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Entry {
    /// When it began, in nanoseconds since the trace's start.
    pub at_ns: u64,
    /// How long it took, in nanoseconds, where the trace tells it.
    pub duration_ns: Option<u64>,
    /// Whether a caller asked for it, or it is one HTTP request made for a caller.
    pub level: Level,
    /// What was asked of the store.
    pub operation: Op,
    /// The operation in the trace's own words: `read`, `put_part`, `GET_RANGE`.
    pub detail: String,
    /// Where the object lies, such as `s3://bucket` or `oci://bucket@namespace`, where the trace tells it.
    pub bucket: Option<String>,
    /// The object's name; for listings, the prefix. Empty where there is none, or the trace tells none.
    pub key: String,
    /// The new name, of copies and renames.
    pub to: Option<String>,
    /// Where the range begins. `None` where all of the object was asked for, or where the trace does not tell.
    pub offset: Option<u64>,
    /// The length of the range asked for, or of the payload sent, in bytes. `None`: up to the object's end, or not told.
    /// With no `offset`, of a read: the last so many bytes of the object, or a range whose place the trace does not tell.
    pub length: Option<u64>,
    /// Payload received or sent, in bytes. For a call of several ranges it is the sum, told by the first of them.
    pub bytes: Option<u64>,
    /// How it ended: `ok`, or the outcome in the trace's own words. `None` where the trace does not tell.
    pub outcome: Option<String>,
    /// The number of the call: its own, or, for an attempt, of the call it was made for. Requests of the reading engine
    /// serve many calls and have none.
    pub call: Option<u64>,
    /// Which of the call's ranges it is, from 0.
    pub nth: u32,
    /// Whether the call was made by a reader or stream (`Reader::read_at`, `read_ranges`, `stream`), which coalesces, caches
    /// and reads ahead; otherwise it is one request.
    pub reader: bool,
    /// More of an attempt, where the trace tells it.
    pub attempt: Option<Box<Attempt>>,
}

impl Entry {
    /// Whether it ended well, as far as the trace tells.
    pub fn is_ok(&self) -> bool {
        self.outcome.as_deref().is_none_or(|outcome| outcome == "ok")
    }
}

/// What is known of one HTTP request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Attempt {
    /// The id it was sent with, as the server's record has it.
    pub client_request_id: Option<String>,
    /// The HTTP status; `None` where no answer came.
    pub status: Option<u16>,
    /// The connection it went by.
    pub connection: Option<Connection>,
    /// Whether it was sent because another was late.
    pub hedge: bool,
    /// Nanoseconds by phase, in the order of time.
    pub phases_ns: Vec<(String, u64)>,
}

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum $name { $($(#[$vdoc])* $variant,)+ }

        impl $name {
            /// All of them, in order.
            pub const ALL: &'static [$name] = &[$($name::$variant,)+];

            /// Its word in files.
            pub const fn as_str(self) -> &'static str {
                match self { $($name::$variant => $text,)+ }
            }

            /// The one with this word.
            pub fn from_name(name: &str) -> Option<$name> {
                match name { $($text => Some($name::$variant),)+ _ => None }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { f.write_str(self.as_str()) }
        }
    };
}

words! {
    /// Whether an entry is what a caller asked for, or one HTTP request.
    Level {
        /// What a caller asked for.
        #[default]
        Call = "call",
        /// One HTTP request.
        Attempt = "attempt",
    }
}

words! {
    /// What was asked of the store.
    Op {
        /// A read of an object or of a range of it.
        #[default]
        Get = "get",
        /// A write of an object by one request.
        Put = "put",
        /// The metadata of an object.
        Head = "head",
        /// A page of a listing.
        List = "list",
        /// The removal of objects.
        Delete = "delete",
        /// A copy inside the service, or a change of name.
        Copy = "copy",
        /// A write by parts, or one of its requests.
        Multipart = "multipart",
        /// Anything else, such as the creation of a bucket.
        Other = "other",
    }
}

words! {
    /// The connection that an attempt went by.
    Connection {
        /// Opened for it.
        #[default]
        New = "new",
        /// Used before.
        Reused = "reused",
    }
}

impl Op {
    /// The operation of a word of any of the formats, in any case.
    pub fn of(word: &str) -> Op {
        match word.to_ascii_lowercase().as_str() {
            "get" | "read" | "stream" | "tail" | "get_range" | "getrange" => Op::Get,
            "put" => Op::Put,
            "head" | "stat" => Op::Head,
            "list" | "list_buckets" | "list_uploads" => Op::List,
            "delete" | "delete_many" => Op::Delete,
            "copy" | "rename" => Op::Copy,
            "multipart" | "upload" | "put_part" | "putpart" | "commit_upload" | "abort_upload"
            | "multipartput" | "multipart_put" => Op::Multipart,
            _ => Op::Other,
        }
    }
}
