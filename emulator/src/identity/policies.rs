// SPDX-License-Identifier: Apache-2.0
//! Policies: which principal may do what in whose buckets.
//!
//! Without policies, principals of a tenancy may do everything in its own namespace and nothing in
//! another's. With policies only what a statement allows is allowed. The user of profile DEFAULT
//! is the administrator of its tenancy: it needs no statement.

use std::sync::{PoisonError, RwLock};

use serde::{Deserialize, Serialize};

use super::names::USER;
use super::tokens::Caller;

/// How much a statement allows; each verb includes those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verb {
    /// List them.
    Inspect,
    /// Read them.
    Read,
    /// Change those that exist.
    Use,
    /// Make and delete them.
    Manage,
}

/// What a statement is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ResourceType {
    /// Buckets.
    Buckets,
    /// Objects.
    Objects,
    /// Both.
    ObjectFamily,
}

/// One statement: a principal may do so much with these resources.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// OCID of a user, an instance, a resource, a cluster or a tenancy, or `any`.
    pub principal: String,
    /// How much.
    pub verb: Verb,
    /// Of what.
    pub resource: ResourceType,
    /// Only in buckets of this name. A `*` at either end stands for any text, and case does not
    /// count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bucket: Option<String>,
}

/// What a request needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Need<'a> {
    pub(crate) verb: Verb,
    pub(crate) resource: ResourceType,
    /// The bucket; none of a request for the buckets of a namespace.
    pub(crate) bucket: Option<&'a str>,
}

impl Policy {
    fn allows(&self, caller: &Caller, need: &Need<'_>) -> bool {
        let principal = self.principal.as_str();
        let is_caller = principal == "any" || principal == caller.id || principal == caller.tenancy;
        let is_resource =
            self.resource == ResourceType::ObjectFamily || self.resource == need.resource;
        let is_bucket = match (&self.bucket, need.bucket) {
            (None, _) => true,
            (Some(pattern), Some(bucket)) => matches(pattern, bucket),
            (Some(_), None) => false,
        };
        is_caller && is_resource && is_bucket && self.verb >= need.verb
    }
}

/// The statements of one emulator.
#[derive(Debug, Default)]
pub(crate) struct Policies(RwLock<Option<Vec<Policy>>>);

impl Policies {
    pub(crate) fn set(&self, policies: Option<Vec<Policy>>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = policies;
    }

    pub(crate) fn all(&self) -> Vec<Policy> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone().unwrap_or_default()
    }

    /// Whether a caller may do what it asks for in the namespace of tenancy `owner`.
    pub(crate) fn allow(&self, caller: &Caller, owner: &str, need: &Need<'_>) -> bool {
        let policies = self.0.read().unwrap_or_else(PoisonError::into_inner);
        match &*policies {
            _ if caller.id == USER && caller.tenancy == owner => true,
            None => caller.tenancy == owner,
            Some(policies) => policies.iter().any(|policy| policy.allows(caller, need)),
        }
    }
}

/// Whether a name is as a pattern says.
fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name) = (pattern.to_ascii_lowercase(), name.to_ascii_lowercase());
    match (pattern.strip_prefix('*'), pattern.strip_suffix('*')) {
        (Some(_), Some(_)) => name.contains(pattern.trim_matches('*')),
        (Some(end), None) => name.ends_with(end),
        (None, Some(start)) => name.starts_with(start),
        (None, None) => name == pattern,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verbs_include_those_before_them_and_patterns_have_stars_at_their_ends() {
        let policy = Policy {
            principal: "someone".into(),
            verb: Verb::Read,
            resource: ResourceType::Objects,
            bucket: Some("Logs-*".into()),
        };
        let allows = |id: &str, verb, resource, bucket| {
            policy.allows(&Caller::new(id, "tenancy"), &Need { verb, resource, bucket })
        };
        let (objects, buckets) = (ResourceType::Objects, ResourceType::Buckets);
        assert!(allows("someone", Verb::Inspect, objects, Some("logs-1")));
        assert!(allows("someone", Verb::Read, objects, Some("LOGS-1")));
        assert!(!allows("someone", Verb::Use, objects, Some("logs-1")));
        assert!(!allows("someone", Verb::Read, objects, Some("log")));
        assert!(!allows("someone", Verb::Read, objects, None));
        assert!(!allows("someone", Verb::Read, buckets, Some("logs-1")));
        assert!(!allows("another", Verb::Read, objects, Some("logs-1")));
        for (pattern, name) in [("*", "a"), ("*b", "ab"), ("a*", "ab"), ("*b*", "abc")] {
            assert!(matches(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [("*b", "ba"), ("a*", "ba"), ("*b*", "ac"), ("a", "ab")] {
            assert!(!matches(pattern, name), "{pattern} {name}");
        }
    }
}
