// SPDX-License-Identifier: Apache-2.0
//! What a histogram is keyed by: small, closed sets, so that a key is an index and never a string.

use std::fmt;

/// Declares a closed set of names: an enum, its members in order, and their spelling in tags.
macro_rules! names {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum $name { $($(#[$vdoc])* $variant,)+ }

        impl $name {
            /// Every member, in the order of its index.
            pub const ALL: &'static [$name] = &[$($name::$variant,)+];

            /// The spelling in tags, reports and JSON.
            pub const fn as_str(self) -> &'static str {
                match self { $($name::$variant => $text,)+ }
            }

            /// The member spelled so, if there is one.
            pub fn from_name(name: &str) -> Option<$name> {
                match name { $($text => Some($name::$variant),)+ _ => None }
            }

            pub(crate) const fn index(self) -> usize { self as usize }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { f.write_str(self.as_str()) }
        }
    };
}

names! {
    /// Whether a value belongs to what a caller asked for, or to one HTTP request made for it.
    Level {
        /// What a caller asked for; as many attempts as it took.
        Call = "call",
        /// One HTTP request.
        Attempt = "attempt",
    }
}

names! {
    /// What was asked of the store.
    Operation {
        /// A read of an object or of a range of it.
        Get = "get",
        /// The metadata of an object.
        Head = "head",
        /// A write of an object by one request.
        Put = "put",
        /// A page of a listing (attempt), or the next page (call).
        List = "list",
        /// The removal of an object.
        Delete = "delete",
        /// The creation of a bucket.
        CreateBucket = "create_bucket",
        /// The removal of a bucket.
        DeleteBucket = "delete_bucket",
        /// A page of the buckets of a namespace.
        ListBuckets = "list_buckets",
        /// The name of the tenancy's namespace (OCI).
        GetNamespace = "get_namespace",
        /// A part of a multipart write.
        PutPart = "put_part",
        /// A write by parts (call), or the request that begins one (attempt).
        Upload = "upload",
        /// The request that makes an object of its parts.
        CommitUpload = "commit_upload",
        /// The request that discards the parts of a write that was given up.
        AbortUpload = "abort_upload",
        /// A page of the writes by parts that were begun and not ended.
        ListUploads = "list_uploads",
        /// A change of an object's name.
        Rename = "rename",
        /// A copy inside the service: the request, or the question how far it is.
        Copy = "copy",
        /// The removal of many objects by one request.
        DeleteMany = "delete_many",
    }
}

names! {
    /// What was measured. Times are nanoseconds; the three `Bytes…` are bytes.
    Phase {
        /// Waiting for admission.
        Queue = "queue",
        /// Building the request.
        Prepare = "prepare",
        /// Making a signature; absent where one was reused.
        Sign = "sign",
        /// Waiting for a connection of the pool; absent where one was at hand.
        Pool = "pool",
        /// Resolving the host's name; absent on a reused connection, as are the next two.
        Dns = "dns",
        /// Opening the TCP connection.
        Connect = "connect",
        /// The TLS handshake.
        Tls = "tls",
        /// From a usable connection to the last byte of the request written.
        Send = "send",
        /// From the last byte of the request written to the first byte of the response read.
        Ttfb = "ttfb",
        /// Receiving what follows the first byte, less `paused`.
        Body = "body",
        /// Bytes were ready and the consumer did not poll.
        Paused = "paused",
        /// The caller was blocked.
        Wait = "wait",
        /// Sleeping between two attempts of a call.
        Backoff = "backoff",
        /// The whole attempt or call.
        Total = "total",
        /// Bytes asked for, where the request says how many.
        BytesAsked = "bytes_asked",
        /// Bytes of payload received (reads) or sent (writes); of attempts, and of calls of other clients
        /// ([`record_call`](crate::timing::Scope::record_call)).
        BytesDelivered = "bytes_delivered",
        /// Bytes received that nobody had asked for or wanted any more.
        BytesDiscarded = "bytes_discarded",
    }
}

impl Phase {
    /// Whether the values are bytes; otherwise they are nanoseconds.
    pub const fn is_bytes(self) -> bool {
        matches!(self, Phase::BytesAsked | Phase::BytesDelivered | Phase::BytesDiscarded)
    }

    /// Whether the phase is split by size class and connection.
    pub const fn is_split(self) -> bool {
        matches!(self, Phase::Ttfb | Phase::Total)
    }

    /// The phases that, summed, make up an attempt's total: the first members of the enum, in its order. `record.rs` and
    /// `event.rs` rely on that: the index of a phase is its place here.
    pub const PARTS: &'static [Phase] = &[
        Phase::Queue,
        Phase::Prepare,
        Phase::Sign,
        Phase::Pool,
        Phase::Dns,
        Phase::Connect,
        Phase::Tls,
        Phase::Send,
        Phase::Ttfb,
        Phase::Body,
        Phase::Paused,
    ];
}

/// `PARTS` are the first members, in their order.
const _: () = {
    let mut at = 0;
    while at < Phase::PARTS.len() {
        assert!(Phase::PARTS[at].index() == at);
        at += 1;
    }
};

names! {
    /// How an attempt or a call ended.
    Outcome {
        /// Success.
        Ok = "ok",
        /// 404.
        NotFound = "not_found",
        /// 304, 409, 412: the condition did not hold.
        Precondition = "precondition",
        /// 401, 403.
        Auth = "auth",
        /// 429.
        Throttled = "throttled",
        /// Any other 3xx or 4xx; a call that was refused before anything was sent.
        Client = "client",
        /// 5xx.
        Server = "server",
        /// No connection.
        Connect = "connect",
        /// A time-out.
        Timeout = "timeout",
        /// The connection broke.
        Reset = "reset",
        /// The answer was not what the request asked for: an ignored Range, a wrong Content-Range, a malformed document,
        /// bytes that do not match their checksum.
        Invalid = "invalid",
        /// The caller dropped it.
        Cancelled = "cancelled",
    }
}

impl Outcome {
    /// The outcome of a response with this status, once it is whole.
    pub const fn of_status(status: u16) -> Outcome {
        match status {
            200..=299 => Outcome::Ok,
            404 => Outcome::NotFound,
            304 | 409 | 412 => Outcome::Precondition,
            401 | 403 => Outcome::Auth,
            429 => Outcome::Throttled,
            500.. => Outcome::Server,
            _ => Outcome::Client,
        }
    }
}

names! {
    /// The size of an attempt's payload.
    SizeClass {
        /// No payload, or not known.
        None = "-",
        /// At most 64 KiB.
        Le64K = "le64K",
        /// At most 1 MiB.
        Le1M = "le1M",
        /// At most 8 MiB.
        Le8M = "le8M",
        /// At most 64 MiB.
        Le64M = "le64M",
        /// More.
        Gt64M = "gt64M",
    }
}

impl SizeClass {
    /// The class of a payload of so many bytes.
    pub const fn of(bytes: u64) -> SizeClass {
        const KIB: u64 = 1 << 10;
        const MIB: u64 = 1 << 20;
        if bytes <= 64 * KIB {
            SizeClass::Le64K
        } else if bytes <= MIB {
            SizeClass::Le1M
        } else if bytes <= 8 * MIB {
            SizeClass::Le8M
        } else if bytes <= 64 * MIB {
            SizeClass::Le64M
        } else {
            SizeClass::Gt64M
        }
    }
}

names! {
    /// The connection an attempt went by.
    Connection {
        /// None was had, or a call rather than an attempt.
        None = "-",
        /// Opened for this attempt.
        New = "new",
        /// Taken from the pool.
        Reused = "reused",
    }
}

/// The key of one histogram. Its text is the `.hlog` tag, such as `attempt/get/ttfb/ok/le64K/reused`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    /// Call or attempt.
    pub level: Level,
    /// What was asked of the store.
    pub operation: Operation,
    /// What was measured.
    pub phase: Phase,
    /// How it ended.
    pub outcome: Outcome,
    /// Size class, for `ttfb` and `total`.
    pub size: SizeClass,
    /// Connection, for `ttfb` and `total`.
    pub connection: Connection,
}

impl Key {
    /// The key a tag spells, if it is one of ours.
    pub fn from_tag(tag: &str) -> Option<Key> {
        let mut parts = tag.split('/');
        let key = Key {
            level: Level::from_name(parts.next()?)?,
            operation: Operation::from_name(parts.next()?)?,
            phase: Phase::from_name(parts.next()?)?,
            outcome: Outcome::from_name(parts.next()?)?,
            size: SizeClass::from_name(parts.next()?)?,
            connection: Connection::from_name(parts.next()?)?,
        };
        parts.next().is_none().then_some(key)
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Key { level, operation, phase, outcome, size, connection } = self;
        write!(f, "{level}/{operation}/{phase}/{outcome}/{size}/{connection}")
    }
}

/// Where a group (level, operation, outcome) stands in a recorder's table.
pub(super) const GROUPS: usize = Level::ALL.len() * Operation::ALL.len() * Outcome::ALL.len();

pub(super) fn group_index(level: Level, operation: Operation, outcome: Outcome) -> usize {
    (level.index() * Operation::ALL.len() + operation.index()) * Outcome::ALL.len()
        + outcome.index()
}

const SPLIT: usize = SizeClass::ALL.len() * Connection::ALL.len();

/// Slots of a group: one a phase, and for `ttfb` and `total` one a size class and connection.
pub(super) const SLOTS: usize = Phase::ALL.len() + 2 * SPLIT;

pub(super) fn slot_index(phase: Phase, size: SizeClass, connection: Connection) -> usize {
    let base = match phase {
        Phase::Ttfb => Phase::ALL.len(),
        Phase::Total => Phase::ALL.len() + SPLIT,
        other => return other.index(),
    };
    base + size.index() * Connection::ALL.len() + connection.index()
}

/// Every key a recorder can hold, with its group and slot.
pub(super) fn all_keys() -> impl Iterator<Item = (usize, usize, Key)> {
    Level::ALL.iter().flat_map(|&level| {
        Operation::ALL.iter().flat_map(move |&operation| {
            Outcome::ALL.iter().flat_map(move |&outcome| {
                all_slots().map(move |(slot, phase, size, connection)| {
                    let key = Key { level, operation, phase, outcome, size, connection };
                    (group_index(level, operation, outcome), slot, key)
                })
            })
        })
    })
}

fn all_slots() -> impl Iterator<Item = (usize, Phase, SizeClass, Connection)> {
    Phase::ALL.iter().flat_map(|&phase| {
        let (sizes, connections) = if phase.is_split() {
            (SizeClass::ALL, Connection::ALL)
        } else {
            (&SizeClass::ALL[..1], &Connection::ALL[..1])
        };
        sizes.iter().flat_map(move |&size| {
            connections.iter().map(move |&connection| {
                (slot_index(phase, size, connection), phase, size, connection)
            })
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_key_has_a_place_of_its_own_and_a_tag_that_reads_back() {
        let mut places = HashSet::new();
        for (group, slot, key) in all_keys() {
            assert!(group < GROUPS && slot < SLOTS, "{key}");
            assert!(places.insert((group, slot)), "{key} shares its place");
            assert_eq!(Key::from_tag(&key.to_string()), Some(key));
        }
        assert_eq!(Key::from_tag("attempt/get/ttfb/ok/le64K/reused/more"), None);
        assert_eq!(Key::from_tag("attempt/fetch/ttfb/ok/le64K/reused"), None);
    }
}
