// SPDX-License-Identifier: Apache-2.0
//! Times in which a whole store stands still.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{ModelError, quantity};

/// A periodic stall of the whole store: at the end of each period of `every` it does nothing for
/// `lasts`. Requests and bodies that are under way, and those that come, go on afterwards as if
/// that time had not been.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stall {
    /// From the beginning of a stall to that of the next one. The first begins at `every` −
    /// `lasts`.
    #[serde(with = "quantity::duration")]
    pub every: Duration,
    /// How long a stall lasts; less than `every`.
    #[serde(with = "quantity::duration")]
    pub lasts: Duration,
}

impl Stall {
    /// When work is done that begins at `begin` and takes `work` in a store that runs; both ends
    /// are counted from the store's start. No work at all is done at once, or when the stall ends.
    ///
    /// ```
    /// # use std::time::Duration;
    /// let seconds = Duration::from_secs;
    /// let stall = storescope_model::Stall { every: seconds(60), lasts: seconds(3) };
    /// assert_eq!(stall.end(seconds(10), seconds(1)), seconds(11));
    /// assert_eq!(stall.end(seconds(56), seconds(2)), seconds(61));
    /// assert_eq!(stall.end(seconds(58), seconds(1)), seconds(61));
    /// ```
    pub fn end(&self, begin: Duration, work: Duration) -> Duration {
        let every = self.every.as_nanos();
        let runs = every.saturating_sub(self.lasts.as_nanos()).max(1);
        let begin = begin.as_nanos();
        let ran = begin / every * runs + (begin % every).min(runs);
        let done = ran + work.as_nanos();
        let end = done / runs * every + done % runs;
        Duration::from_nanos(u64::try_from(end).unwrap_or(u64::MAX))
    }

    pub(crate) fn check(self) -> Result<(), ModelError> {
        let refuse = |field, why: String| Err(ModelError::Field { field, why });
        if self.every.is_zero() {
            return refuse("stall.every", "0 s is no period".to_owned());
        }
        if self.lasts.is_zero() || self.lasts >= self.every {
            let (lasts, every) = (self.lasts, self.every);
            let why = format!("{lasts:?} is not above 0 and below stall.every, {every:?}");
            return refuse("stall.lasts", why);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stalled_time_is_added_and_nothing_else() {
        let ms = Duration::from_millis;
        let stall = Stall { every: ms(100), lasts: ms(20) };
        for (begin, work, end) in [
            (0, 0, 0),
            (0, 79, 79),
            (10, 75, 105),
            (79, 0, 79),
            (80, 0, 100),
            (99, 5, 105),
            (100, 0, 100),
            (130, 5, 135),
            (0, 800, 1_000),
            (85, 165, 305),
        ] {
            assert_eq!(stall.end(ms(begin), ms(work)), ms(end), "{begin} + {work}");
        }
    }
}
