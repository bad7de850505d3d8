// SPDX-License-Identifier: Apache-2.0
//! The clients of a process, by their settings.

use crate::lock::locked;
use std::fmt;
use std::sync::Mutex;
use storescope::Client;

/// Clients by what they were built of: equal keys share one client and its connections.
///
/// They live as long as the map. There are few: one for each set of client settings.
pub struct Clients<K>(Mutex<Vec<(K, Client)>>);

impl<K> Clients<K> {
    /// None yet.
    pub const fn new() -> Clients<K> {
        Clients(Mutex::new(Vec::new()))
    }

    /// All of them.
    pub fn all(&self) -> Vec<Client> {
        locked(&self.0).iter().map(|(_, client)| client.clone()).collect()
    }
}

impl<K: PartialEq> Clients<K> {
    /// The client of this key, built if there is none. No lock is held meanwhile: of two threads that build at once, both
    /// get the client of the first to finish.
    pub fn get_or_build<E>(
        &self,
        key: K,
        build: impl FnOnce(&K) -> Result<Client, E>,
    ) -> Result<Client, E> {
        if let Some(known) = find(&locked(&self.0), &key) {
            return Ok(known);
        }
        let built = build(&key)?;
        let mut clients = locked(&self.0);
        if let Some(known) = find(&clients, &key) {
            return Ok(known);
        }
        clients.push((key, built.clone()));
        Ok(built)
    }
}

fn find<K: PartialEq>(clients: &[(K, Client)], key: &K) -> Option<Client> {
    clients.iter().find(|(known, _)| known == key).map(|(_, client)| client.clone())
}

impl<K> Default for Clients<K> {
    fn default() -> Clients<K> {
        Clients::new()
    }
}

impl<K> fmt::Debug for Clients<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Clients").field("count", &locked(&self.0).len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::Clients;
    use storescope::{Client, Config, Error};

    fn built(_: &&str) -> Result<Client, Error> {
        Client::builder().config(Config::default()).build()
    }

    #[test]
    fn equal_keys_have_one_client() {
        let clients = Clients::new();
        clients.get_or_build("a", built).unwrap();
        clients.get_or_build("a", |_| -> Result<Client, Error> { panic!("it is there") }).unwrap();
        assert_eq!(clients.all().len(), 1);
        clients.get_or_build("b", built).unwrap();
        assert_eq!(clients.all().len(), 2);
    }

    #[test]
    fn the_first_of_two_builds_stays() {
        let clients = Clients::new();
        let build = |key: &&'static str| {
            // What another thread does meanwhile.
            clients.get_or_build(*key, built)?;
            built(key)
        };
        clients.get_or_build("a", build).unwrap();
        assert_eq!(clients.all().len(), 1);
    }

    #[test]
    fn a_failed_build_is_not_kept() {
        let clients = Clients::new();
        assert_eq!(clients.get_or_build("a", |_| Err("no")).err(), Some("no"));
        assert!(clients.all().is_empty());
        clients.get_or_build("a", built).unwrap();
        assert_eq!(clients.all().len(), 1);
    }
}
