// SPDX-License-Identifier: Apache-2.0
//! Locks.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks a mutex, also after a panic of another holder: what the bindings lock is valid between any two statements.
pub fn locked<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::locked;
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::Mutex;

    #[test]
    fn a_panic_of_the_holder_does_not_poison() {
        let mutex = Mutex::new(1);
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            let mut value = locked(&mutex);
            *value = 2;
            panic!("with the lock held");
        }));
        assert!(panicked.is_err());
        assert_eq!(*locked(&mutex), 2);
    }
}
