// SPDX-License-Identifier: Apache-2.0
//! Tasks of a mix: operations by their weights, objects at random.

use super::mix::{Deck, Mix};
use super::stock::{Folder, Object};
use super::task::{Op, Source, Task};
use std::sync::{Arc, Mutex};

/// Calls of a mix, without end unless it deletes: then as many as there are objects for it.
pub(super) struct Mixed {
    pub(super) objects: Arc<Vec<Object>>,
    pub(super) folder: Arc<Folder>,
    /// What listings ask for.
    pub(super) prefix: Arc<str>,
    /// Bytes of a read or write.
    pub(super) size: u64,
    draw: Mutex<(Deck, fastrand::Rng)>,
}

impl Mixed {
    pub(super) fn new(
        mix: &Mix,
        seed: u64,
        (objects, folder): (Arc<Vec<Object>>, Arc<Folder>),
        prefix: &str,
        size: u64,
    ) -> Mixed {
        let draw = Mutex::new((Deck::new(mix), fastrand::Rng::with_seed(seed)));
        Mixed { objects, folder, prefix: prefix.into(), size: size.max(1), draw }
    }
}

impl Source for Mixed {
    fn next(&self) -> Option<Task> {
        let mut draw = self.draw.lock().expect("no holder panics");
        let (deck, random) = &mut *draw;
        let op = deck.draw(random);
        let task = |key, range, size| Task {
            at: None,
            op,
            key,
            range,
            size,
            to: None,
            by_reader: false,
            turn: None,
        };
        Some(match op {
            Op::Get => {
                let object = &self.objects[random.usize(..self.objects.len())];
                let length = self.size.min(object.size);
                let start = random.u64(..=object.size - length);
                let range = (length < object.size).then(|| start..start + length);
                task(Arc::clone(&object.key), range, length)
            }
            Op::Head | Op::Copy => {
                let object = &self.objects[random.usize(..self.objects.len())];
                task(Arc::clone(&object.key), None, object.size)
            }
            Op::List => task(Arc::clone(&self.prefix), None, 0),
            Op::Delete => task(self.folder.victim()?, None, 0),
            Op::Put | Op::Multipart => task(self.folder.name(op), None, self.size),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mixed(mix: &str, size: u64) -> Mixed {
        let objects = [("a", 100), ("b", 10)];
        let objects = objects.map(|(key, size)| Object { key: key.into(), size }).to_vec();
        let folder = Folder::new("p");
        Mixed::new(&mix.parse().unwrap(), 1, (Arc::new(objects), folder), "p/", size)
    }

    #[test]
    fn reads_lie_within_their_objects_and_small_objects_are_read_whole() {
        let source = mixed("get", 40);
        for task in std::iter::from_fn(|| source.next()).take(1_000) {
            match &*task.key {
                "a" => assert!(task.range.is_some_and(|r| r.end <= 100 && r.end - r.start == 40)),
                _ => assert_eq!((task.range, task.size), (None, 10)),
            }
        }
    }

    #[test]
    fn new_objects_have_names_of_their_own() {
        let source = mixed("put=1,multipart=1", 40);
        let mut names: Vec<_> =
            std::iter::from_fn(|| source.next()).take(1_000).map(|task| task.key).collect();
        assert!(names.iter().all(|name| name.starts_with("p/storescope-bench-")), "{names:?}");
        names.sort();
        names.dedup();
        assert_eq!(names.len(), 1_000);
    }

    #[test]
    fn nothing_is_deleted_that_the_bench_has_not_made() {
        assert_eq!(mixed("delete", 1).next(), None);
    }
}
