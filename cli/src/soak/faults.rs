// SPDX-License-Identifier: Apache-2.0
//! The faults of a round: rules of the emulator, each for a share of the requests that its seed draws.
//!
//! Most of them another attempt mends; together they come to less than the retry budget. Three that none mends are among
//! them: a Range that is ignored, a wrong Content-Range, and a flipped byte of an object that is read whole. No fault
//! delays the answer to a write past the client's patience: the write might take effect after the one that follows it.

use super::admin::Admin;
use crate::exit::Exit;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Names of objects that are only read whole hold this.
pub(super) const WHOLE: &str = "/whole/";

/// Each fault by its name in the report, what it matches, what it does, and for what share of the requests.
fn table() -> Vec<(&'static str, Value, Value, f64)> {
    let any = || json!({});
    let get = || json!({"method": "GET"});
    let status = |status: u16| json!({"status": {"status": status}});
    vec![
        ("status 503", any(), status(503), 0.006),
        ("status 500", any(), status(500), 0.004),
        ("status 429", any(), status(429), 0.004),
        ("reset", any(), json!("reset"), 0.006),
        ("reset of a reused connection", json!({"reused": true}), json!("reset"), 0.003),
        ("answer dropped", any(), json!("drop_response"), 0.004),
        ("delay of 50 ms", any(), json!({"delay": {"ms": 50}}), 0.010),
        ("delay of 7 s", get(), json!({"delay": {"ms": 7_000}}), 0.000_2),
        ("body cut", get(), json!({"truncate": {"after": 1_000}}), 0.006),
        ("stall of 200 ms", get(), json!({"stall": {"after": 1_000, "ms": 200}}), 0.004),
        ("stall of 7 s", get(), json!({"stall": {"after": 500, "ms": 7_000}}), 0.000_2),
        ("range ignored", get(), json!("ignore_range"), 0.002),
        ("wrong Content-Range", get(), json!("wrong_content_range"), 0.002),
        (
            "byte flipped",
            json!({"method": "GET", "contains": WHOLE}),
            json!({"corrupt": {"offset": 5}}),
            0.05,
        ),
    ]
}

/// The faults that are at work in one round.
#[derive(Debug)]
pub(super) struct Faults {
    admin: Admin,
    names: BTreeMap<u64, &'static str>,
}

impl Faults {
    /// Begins those of a round.
    pub(super) fn begin(admin: &Admin, seed: u64, round: u64) -> Result<Faults, Exit> {
        let table = table();
        let rules = table.iter().zip(0_u64..).map(|((_, matcher, action, share), number)| {
            let mut rule = matcher.clone();
            rule["action"] = action.clone();
            rule["probability"] = json!(share);
            rule["seed"] = json!(seed.wrapping_mul(1_000_003) ^ (round << 8) ^ number);
            rule
        });
        let ids = add(admin, &rules.collect())?;
        let names = ids.into_iter().zip(table).map(|(id, (name, ..))| (id, name)).collect();
        Ok(Faults { admin: admin.clone(), names })
    }

    /// Ends them; how often each was done to a request.
    pub(super) fn end(self) -> Result<BTreeMap<&'static str, u64>, Exit> {
        let mut fired = BTreeMap::new();
        for rule in rules(&self.admin)? {
            let id = rule["id"].as_u64().unwrap_or_default();
            if let Some(name) = self.names.get(&id) {
                *fired.entry(*name).or_default() += rule["fired"].as_u64().unwrap_or_default();
                self.admin.call("DELETE", &format!("/faults/{id}"), &Value::Null)?;
            }
        }
        Ok(fired)
    }
}

/// A rule that does nothing: it counts the requests, by the emulator's own word.
#[derive(Debug)]
pub(super) struct Counter {
    admin: Admin,
    id: u64,
}

impl Counter {
    pub(super) fn begin(admin: &Admin) -> Result<Counter, Exit> {
        let ids = add(admin, &json!([{"action": {"delay": {"ms": 0}}}]))?;
        let id = ids.first().copied();
        let id = id.ok_or_else(|| Exit::failed("the emulator told no id of a fault"))?;
        Ok(Counter { admin: admin.clone(), id })
    }

    /// Requests whose signature was good, since it began.
    pub(super) fn end(self) -> Result<u64, Exit> {
        let all = rules(&self.admin)?;
        let own = all.iter().find(|rule| rule["id"].as_u64() == Some(self.id));
        self.admin.call("DELETE", &format!("/faults/{}", self.id), &Value::Null)?;
        Ok(own.and_then(|rule| rule["matched"].as_u64()).unwrap_or_default())
    }
}

fn add(admin: &Admin, rules: &Value) -> Result<Vec<u64>, Exit> {
    let added = admin.call("POST", "/faults", rules)?;
    let ids = added["ids"].as_array().cloned().unwrap_or_default();
    Ok(ids.iter().filter_map(Value::as_u64).collect())
}

fn rules(admin: &Admin) -> Result<Vec<Value>, Exit> {
    Ok(admin.call("GET", "/faults", &Value::Null)?.as_array().cloned().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use storescope_emulator::Fault;

    #[test]
    fn the_emulator_knows_every_fault_and_retries_can_mend_them() {
        let mut share = 0.0;
        for (name, matcher, action, probability) in table() {
            let mut rule = matcher;
            rule["action"] = action;
            rule["probability"] = json!(probability);
            let rule: Fault =
                serde_json::from_value(rule).unwrap_or_else(|e| panic!("{name}: {e}"));
            if rule.contains.is_none() {
                share += probability;
            }
        }
        // The default of retry_budget is 10 %.
        assert!((0.02..0.08).contains(&share), "{share}");
    }
}
