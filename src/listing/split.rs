// SPDX-License-Identifier: Apache-2.0
//! Where a range of names is cut, of which the first page is known.
//!
//! A service tells neither how many names there are nor how they are spread. The names of a page do: what their first and
//! last have in common varies less often than once a page, so a cut there parts the names that are left into ranges of
//! pages. Counters go on in digits, words in letters.
//!
//! ```text
//!  page   part-01000 … part-01999      in common: part-01
//!  cuts   part-06, part-1, part-5      the next character at each place, and the middle of those that may follow
//! ```
//!
//! The next character at the last place, part-02 here, is left out: what lies before it is less than a page.

/// Names of a page that are looked at.
const SAMPLES: usize = 32;
/// Places of a name that are looked at.
const PLACES: usize = 256;

/// The ASCII characters that names have at each place behind the listing's prefix.
#[derive(Debug, Default)]
pub(super) struct Seen {
    places: Vec<u128>,
}

const DIGITS: u128 = span(b'0', b'9');
const LOWER: u128 = span(b'a', b'z');
const UPPER: u128 = span(b'A', b'Z');
const LETTERS: u128 = LOWER | UPPER;

const fn span(first: u8, last: u8) -> u128 {
    (u128::MAX >> (127 - last)) & (u128::MAX << first)
}

impl Seen {
    /// Learns from a page's names, of each what follows the listing's prefix.
    pub(super) fn learn<'a>(&mut self, names: impl ExactSizeIterator<Item = &'a str>) {
        let step = (names.len() / SAMPLES).max(1);
        for name in names.step_by(step) {
            for (place, byte) in name.bytes().take(PLACES).enumerate() {
                if self.places.len() == place {
                    self.places.push(0);
                }
                if byte.is_ascii() {
                    self.places[place] |= 1 << byte;
                }
            }
        }
    }

    /// What may come after `byte` at a place, in order.
    fn after(&self, place: usize, byte: u8) -> Vec<u8> {
        let seen = self.places.get(place).copied().unwrap_or(0);
        let mut may = seen;
        if seen & DIGITS != 0 {
            may |= DIGITS | self.beside_digits();
        }
        for letters in [LOWER, UPPER] {
            // A letter that never varies is part of a word.
            if (seen & letters).count_ones() > 1 && seen & DIGITS == 0 {
                may |= letters;
            }
        }
        let above = if byte >= 127 { 0 } else { u128::MAX << (byte + 1) };
        (0..128).filter(|byte| may & above & (1 << byte) != 0).collect()
    }

    /// The letters of numbers that are written with some, as hexadecimal ones are.
    fn beside_digits(&self) -> u128 {
        let mixed = self.places.iter().filter(|seen| *seen & DIGITS != 0);
        mixed.fold(0, |letters, seen| letters | seen & LETTERS)
    }

    /// Names at which what follows a page may be cut: ascending, all behind the page and before `end`. `prefix` is how
    /// many bytes of each name are the listing's prefix.
    pub(super) fn cuts(&self, page: Page<'_>, end: Option<&str>, prefix: usize) -> Vec<String> {
        let Page { first, last } = page;
        let varies =
            first.bytes().zip(last.bytes()).take_while(|(one, other)| one == other).count();
        let mut cuts = Vec::new();
        for (at, _) in last.char_indices().filter(|(at, char)| *at >= prefix && char.is_ascii()) {
            if at > varies {
                break;
            }
            let after = self.after(at - prefix, last.as_bytes()[at]);
            let middle = Some(after.len() / 2).filter(|middle| *middle > 0);
            for byte in [Some(0), middle].into_iter().flatten().filter_map(|at| after.get(at)) {
                let cut = format!("{}{}", &last[..at], char::from(*byte));
                if end.is_none_or(|end| cut.as_str() < end) {
                    cuts.push(cut);
                }
            }
        }
        cuts.sort_unstable();
        cuts.dedup();
        // The least is the next character at the last place.
        cuts.drain(..cuts.len().min(1));
        cuts
    }
}

/// The first and the last name of a page.
#[derive(Clone, Copy, Debug)]
pub(super) struct Page<'a> {
    pub(super) first: &'a str,
    pub(super) last: &'a str,
}

/// At most so many of the cuts, evenly.
pub(super) fn evenly(cuts: Vec<String>, most: usize) -> Vec<String> {
    let count = cuts.len();
    if count <= most {
        return cuts;
    }
    let mut taken: Vec<usize> = (1..=most).map(|number| number * count / (most + 1)).collect();
    taken.dedup();
    let mut cuts: Vec<Option<String>> = cuts.into_iter().map(Some).collect();
    taken.into_iter().filter_map(|at| cuts[at].take()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn cuts(names: &[&str], end: Option<&str>) -> Vec<String> {
        let mut seen = Seen::default();
        seen.learn(names.iter().copied());
        let page = Page { first: names[0], last: names[names.len() - 1] };
        seen.cuts(page, end, 0)
    }

    #[test]
    fn counters_are_cut_at_their_digits() {
        let names: Vec<String> = (1000..2000).map(|number| format!("part-{number:05}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        assert_eq!(cuts(&names, None), ["part-06", "part-1", "part-5"]);
        assert_eq!(cuts(&names, Some("part-1")), ["part-06"]);
    }

    #[test]
    fn hexadecimal_names_go_on_behind_nine() {
        let names: Vec<String> = (0..1000).map(|n: u64| format!("{:08x}", n * 90_000)).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        assert_eq!(cuts(&names, None), ["0b", "1", "8"]);
    }

    #[test]
    fn words_that_do_not_vary_are_not_cut() {
        assert_eq!(cuts(&["data/alpha", "data/beta", "data/beta2"], None), ["data/o"]);
        assert_eq!(cuts(&["data", "data"], None), [""; 0]);
    }

    #[test]
    fn evenly_spaced() {
        let cuts = || ["a", "b", "c", "d", "e"].map(str::to_owned).to_vec();
        assert_eq!(evenly(cuts(), 9), cuts());
        assert_eq!(evenly(cuts(), 1), ["c"]);
        assert_eq!(evenly(cuts(), 2), ["b", "d"]);
        assert_eq!(evenly(cuts(), 0), [""; 0]);
    }

    proptest! {
        #[test]
        fn cuts_lie_behind_the_page_and_before_the_end(
            mut names in prop::collection::vec("[a-c0-3/\u{e9}]{1,8}", 1..40),
            end in prop::option::of("[a-c0-3/\u{e9}]{1,8}"),
            prefix in 0_usize..3,
        ) {
            names.sort();
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            let mut seen = Seen::default();
            seen.learn(names.iter().copied());
            let page = Page { first: names[0], last: names[names.len() - 1] };
            let cuts = seen.cuts(page, end.as_deref(), prefix);
            prop_assert!(cuts.is_sorted_by(|one, other| one < other));
            for cut in cuts {
                prop_assert!(cut.as_str() > page.last);
                prop_assert!(end.as_ref().is_none_or(|end| cut < *end));
            }
        }
    }
}
