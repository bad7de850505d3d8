// SPDX-License-Identifier: Apache-2.0
//! Values of an option that are swept: `16KiB,64KiB..32MiB`. A range doubles from its first value to its last.

use std::fmt::Debug;
use std::ops::Mul;
use storescope::config::parse_size;

/// The most values of one option, and cells of one run.
pub(super) const MOST: usize = 256;

/// Values in the order in which they were given, each once.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Values<T>(Vec<T>);

impl<T: Copy> Values<T> {
    pub(super) fn one(value: T) -> Values<T> {
        Values(vec![value])
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = T> {
        self.0.iter().copied()
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

/// Sizes in bytes, at least 1.
pub(super) fn sizes(text: &str) -> Result<Values<u64>, String> {
    values(text, |text| match parse_size(text)? {
        0 => Err("a size of 0 bytes cannot be measured".to_owned()),
        size => Ok(size),
    })
}

/// Calls under way.
pub(super) fn concurrencies(text: &str) -> Result<Values<u32>, String> {
    values(text, |text| {
        let number = text.parse().ok().filter(|number| (1..=65_536).contains(number));
        number.ok_or_else(|| format!("{text:?} is no number from 1 to 65536"))
    })
}

/// Calls a second: `250`, `0.5`, `2k`.
pub(super) fn rates(text: &str) -> Result<Values<f64>, String> {
    values(text, |text| {
        let (number, scale) = match text.strip_suffix('k') {
            Some(number) => (number, 1e3),
            None => (text, 1.0),
        };
        let rate = number.parse::<f64>().ok().map(|number| number * scale);
        rate.filter(|rate| (1e-3..=1e6).contains(rate)).ok_or_else(|| {
            format!("{text:?} is no rate: expected calls a second from 0.001 to 1000k")
        })
    })
}

fn values<T>(text: &str, parse: impl Fn(&str) -> Result<T, String>) -> Result<Values<T>, String>
where
    T: Copy + Debug + PartialOrd + Mul<Output = T> + From<u8>,
{
    let mut all: Vec<T> = Vec::new();
    let two = T::from(2);
    for part in text.split(',').map(str::trim) {
        let (first, last) = match part.split_once("..") {
            Some((first, last)) => (parse(first)?, parse(last)?),
            None => (parse(part)?, parse(part)?),
        };
        if last < first {
            return Err(format!("{part:?} ends below its begin"));
        }
        let mut value = first;
        while value <= last {
            if !all.contains(&value) {
                all.push(value);
            }
            if all.len() > MOST {
                return Err(format!("{text:?} has more than {MOST} values"));
            }
            value = value * two;
        }
    }
    Ok(Values(all))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_and_ranges_mix() {
        let sizes = |text| sizes(text).map(|values| values.0);
        assert_eq!(sizes("64KiB"), Ok(vec![65_536]));
        let expected = vec![16 << 10, 64 << 10, 128 << 10, 256 << 10, 1_000_000];
        assert_eq!(sizes("16KiB,64KiB..256KiB,1MB"), Ok(expected));
        assert_eq!(
            sizes("1..5"),
            Ok(vec![1, 2, 4]),
            "a range ends with the last that is not above"
        );
        assert_eq!(sizes("4,1..8"), Ok(vec![4, 1, 2, 8]), "each once");
        assert_eq!(concurrencies("1..64").map(|values| values.len()), Ok(7));
        assert_eq!(rates("0.5,1k..4k").map(|values| values.0), Ok(vec![0.5, 1e3, 2e3, 4e3]));
    }

    #[test]
    fn what_is_none_is_told() {
        assert!(sizes("2..1").unwrap_err().contains("ends below its begin"));
        assert!(sizes("1,,2").unwrap_err().contains("is no size"));
        assert!(sizes("0").unwrap_err().contains("0 bytes"));
        assert!(concurrencies("0").unwrap_err().contains("from 1 to 65536"));
        for rate in ["0", "-1", "nan", "inf", "fast"] {
            assert!(rates(rate).unwrap_err().contains("is no rate"), "{rate}");
        }
    }
}
