// SPDX-License-Identifier: Apache-2.0

use super::{MAX_TASKS, Task, Tasks, Waits};
use std::sync::Arc;
use std::time::{Duration, Instant};
use storescope::timing::bench::record_one;

fn ids(tasks: &Tasks) -> Vec<i64> {
    tasks.all.lock().unwrap().iter().map(|task| task.id).collect()
}

/// The tasks with anything new, and how many values each recorded.
fn take(tasks: &Tasks) -> Vec<(i64, u64)> {
    let fresh = tasks.fresh();
    let told =
        fresh.iter().map(|one| (one.id(), one.recorded.iter().map(|(_, d)| d.count()).sum()));
    let told = told.collect();
    tasks.took(fresh);
    told
}

#[test]
fn what_was_taken_is_not_taken_again() {
    let tasks = Tasks::new();
    let task = tasks.running(7);
    assert_eq!(take(&tasks), []);
    record_one(task.scope(), 100);
    record_one(task.scope(), 100);
    let lost = tasks.fresh();
    assert_eq!(lost.len(), 1);
    drop(lost);
    assert_eq!(take(&tasks), [(7, 2)], "what was not taken stays");
    assert_eq!(take(&tasks), []);
    record_one(task.scope(), 100);
    assert_eq!(take(&tasks), [(7, 1)]);
    task.waited(Duration::from_millis(3));
    let fresh = tasks.fresh();
    assert_eq!((fresh[0].waited, fresh[0].recorded.is_empty()), (Duration::from_millis(3), true));
    tasks.took(fresh);
    assert_eq!(take(&tasks), []);
}

#[test]
fn a_task_is_forgotten_once_it_is_over_and_nothing_can_record_in_it() {
    let tasks = Tasks::new();
    record_one(tasks.running(1).scope(), 100);
    let open = tasks.running(2);
    let request = tasks.running(3).scope().clone();
    tasks.running(4);
    assert_eq!(take(&tasks), [(1, 1)]);
    assert_eq!(ids(&tasks), [2, 3, 4], "a reader of 2 and a request of 3 are open, 4 runs");
    record_one(&request, 100);
    drop((open, request));
    assert_eq!(take(&tasks), [(3, 1)]);
    assert_eq!(ids(&tasks), [4]);
}

#[test]
fn a_task_that_is_named_again_is_the_same() {
    let tasks = Tasks::new();
    let first = tasks.running(1);
    tasks.running(2);
    assert!(Arc::ptr_eq(&first, &tasks.running(1)));
    assert_eq!(ids(&tasks), [2, 1]);
}

#[test]
fn where_nobody_takes_anything_memory_has_a_bound() {
    let tasks = Tasks::new();
    for id in 0..MAX_TASKS as i64 + 10 {
        record_one(tasks.running(id).scope(), 100);
    }
    assert_eq!(ids(&tasks).len(), MAX_TASKS);
    assert_eq!(ids(&tasks)[0], 10);
    assert_eq!(take(&tasks).len(), MAX_TASKS);
    assert_eq!(ids(&tasks).len(), 1);
}

#[test]
fn readers_that_stay_open_for_many_tasks_cost_no_task_its_record() {
    let tasks = Tasks::new();
    let open: Vec<_> = (0..MAX_TASKS as i64).map(|id| tasks.running(id)).collect();
    for id in 1000..1010 {
        record_one(tasks.running(id).scope(), 100);
    }
    assert_eq!((ids(&tasks).len(), ids(&tasks)[0]), (MAX_TASKS, 10));
    let taken: Vec<_> = (1000..1010).map(|id| (id, 1)).collect();
    assert_eq!(take(&tasks), taken);
    drop(open);
    tasks.took(Vec::new());
    assert_eq!(ids(&tasks), [1009]);
}

#[test]
fn calls_that_are_awaited_at_the_same_time_count_once() {
    let begun = Instant::now();
    let at = |ms| begun + Duration::from_millis(ms);
    let mut waits = Waits::default();
    waits.begin(at(0));
    waits.begin(at(10));
    waits.end(at(20));
    assert_eq!(waits.until(at(25)), Duration::from_millis(25), "one is awaited still");
    waits.end(at(30));
    assert_eq!(waits.until(at(100)), Duration::from_millis(30));
    waits.begin(at(200));
    waits.end(at(207));
    assert_eq!(waits.until(at(300)), Duration::from_millis(37));
}

#[test]
fn a_guard_that_is_dropped_ends_its_wait() {
    let task = Arc::new(Task::new(1));
    let (one, other) = (task.awaits(), task.awaits());
    drop(one);
    assert_eq!(task.waits.lock().unwrap().awaited, 1);
    drop(other);
    let waits = task.waits.lock().unwrap();
    assert_eq!((waits.awaited, waits.since), (0, None));
    assert!(!waits.total.is_zero());
}
