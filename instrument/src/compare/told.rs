// SPDX-License-Identifier: Apache-2.0
//! A comparison in words, and as Markdown.

use super::{CellComparison, Comparison, Figure, Verdict};
use crate::stats::Change;
use std::fmt::Write as _;

/// Cells whose tables a pull request shows at once.
const SHOWN_CELLS: usize = 4;

impl Comparison {
    /// The verdict in a line, such as `slower: p50 +9.6 % (6.1 to 13.2), …`.
    pub fn in_words(&self) -> String {
        match &self.cells[..] {
            [] => "cannot tell: no cell of A has the setup of a cell of B".to_owned(),
            [cell] => cell.in_words(self.threshold_percent),
            cells => {
                let count = |verdict: Verdict| {
                    let count = cells.iter().filter(|cell| cell.verdict == verdict).count();
                    (count > 0).then(|| format!("{verdict} in {count}"))
                };
                let all = [Verdict::Slower, Verdict::Faster, Verdict::CannotTell, Verdict::Same];
                let parts: Vec<_> = all.into_iter().filter_map(count).collect();
                format!("{}: of {} cells, {}", self.verdict, cells.len(), parts.join(", "))
            }
        }
    }

    /// As GitHub renders it in a pull request: the verdict, a table a cell, and what to mind.
    pub fn to_markdown(&self) -> String {
        let mut text = format!("**storescope compare: {}**\n", escaped(&self.in_words()));
        for (at, cell) in self.cells.iter().enumerate() {
            // Many tables are folded: a pull request is read from the top.
            let folded = self.cells.len() > SHOWN_CELLS && cell.verdict != Verdict::Slower;
            let setup = escaped(&cell.setup);
            let head = match (self.cells.len(), folded) {
                (1, _) => format!("\n{setup}\n\n"),
                (_, false) => format!("\n{}. {setup}: **{}**\n\n", at + 1, cell.verdict),
                (_, true) => format!(
                    "\n<details><summary>{}. {setup}: {}</summary>\n\n",
                    at + 1,
                    cell.verdict
                ),
            };
            text.push_str(&head);
            table(&mut text, cell);
            text.push_str(if folded { "\n</details>\n" } else { "" });
        }
        let notes: Vec<_> =
            self.notes().iter().map(|note| format!("- {}\n", escaped(note))).collect();
        write!(text, "\n{}\n\n{}", escaped(&self.rule()), notes.concat())
            .expect("writing to memory");
        text.trim_end().to_owned() + "\n"
    }

    /// What was compared with nothing, and why the runs may differ by more than the store.
    pub fn notes(&self) -> Vec<String> {
        let only = |side: &str, setups: &[String]| {
            setups.iter().map(|setup| format!("only in {side}: {setup}")).collect::<Vec<_>>()
        };
        let mut notes = only("A", &self.only_in_a);
        notes.extend(only("B", &self.only_in_b));
        notes.extend(self.caveats.iter().cloned());
        notes
    }

    /// How the verdicts were reached.
    pub fn rule(&self) -> String {
        format!(
            "Slower or faster: a change of {threshold} % or more whose {:.2} % interval (in brackets) excludes zero. Same: \
             a change of {} % would have been found.",
            self.confidence * 100.0,
            2.0 * self.threshold_percent,
            threshold = self.threshold_percent,
        )
    }
}

impl CellComparison {
    /// The verdict in a line.
    pub fn in_words(&self, threshold_percent: f64) -> String {
        let with =
            |verdict| self.figures.iter().filter(move |figure| figure.verdict == Some(verdict));
        let mut parts: Vec<String> = match self.verdict {
            Verdict::Same => vec![format!("no change of {threshold_percent} % or more")],
            Verdict::CannotTell => Vec::new(),
            verdict => with(verdict).map(Figure::in_words).collect(),
        };
        if self.verdict == Verdict::Slower {
            parts.extend(with(Verdict::Faster).map(|it| format!("but faster {}", it.in_words())));
        }
        let unknown: Vec<_> = with(Verdict::CannotTell).map(Figure::needed).collect();
        if !unknown.is_empty() {
            let head = if self.verdict == Verdict::CannotTell { "" } else { "cannot tell " };
            parts.push(format!("{head}{}", unknown.join(", ")));
        }
        format!("{}: {}", self.verdict, parts.join("; "))
    }
}

impl Figure {
    /// Such as `p50 +9.6 % (6.1 to 13.2)`.
    fn in_words(&self) -> String {
        match (self.change, &self.note) {
            (Some(change), _) => format!("{} {}", self.name, told(&change)),
            (None, Some(note)) => format!("{} ({note})", self.name),
            (None, None) => {
                format!("{} {} → {}", self.name, self.value(self.a), self.value(self.b))
            }
        }
    }

    /// Such as `p99.9 (needs about 90000 calls)`.
    fn needed(&self) -> String {
        match self.needs_calls {
            Some(calls) if self.change.is_some() => {
                format!("{} (needs about {calls} calls)", self.name)
            }
            Some(calls) => format!("{} (needs at least {calls} calls)", self.name),
            None => format!("{} (no calls)", self.name),
        }
    }

    /// A value with its digits; `–` without one.
    pub fn value(&self, value: Option<f64>) -> String {
        let Some(value) = value else { return "–".to_owned() };
        match self.unit {
            "ms" => format!("{value:.3}"),
            "%" => format!("{value:.2}"),
            _ => format!("{value:.1}"),
        }
    }

    /// The change with its interval; `–` without one.
    pub fn told_change(&self) -> String {
        self.change.map_or_else(|| "–".to_owned(), |change| told(&change))
    }

    /// The verdict, and what would be needed for one.
    pub fn told_verdict(&self) -> String {
        match (self.verdict, self.needs_calls, &self.note) {
            (Some(_), Some(calls), _) if self.change.is_some() => {
                format!("cannot tell: needs about {calls} calls")
            }
            (Some(_), Some(calls), _) => format!("cannot tell: needs at least {calls} calls"),
            (Some(verdict), None, Some(note)) => format!("{verdict}: {note}"),
            (Some(verdict), None, None) => verdict.to_string(),
            (None, ..) => String::new(),
        }
    }
}

fn told(change: &Change) -> String {
    let Change { percent, low_percent, high_percent, .. } = change;
    format!("{percent:+.1} % ({low_percent:+.1} to {high_percent:+.1})")
}

fn table(text: &mut String, cell: &CellComparison) {
    text.push_str("| | A | B | change | |\n|---|---:|---:|---:|---|\n");
    for figure in &cell.figures {
        let verdict = match (figure.verdict, escaped(&figure.told_verdict())) {
            (Some(Verdict::Slower | Verdict::Faster), told) => format!("**{told}**"),
            (_, told) => told,
        };
        writeln!(
            text,
            "| {} ({}) | {} | {} | {} | {} |",
            figure.name,
            figure.unit,
            figure.value(figure.a),
            figure.value(figure.b),
            figure.told_change(),
            verdict,
        )
        .expect("writing to memory");
    }
    writeln!(text, "| calls | {} | {} | | |", cell.calls[0], cell.calls[1])
        .expect("writing to memory");
}

/// Names of objects and what runs noted are text, whatever they hold.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '\n' | '\r' => safe.push(' '),
            '<' => safe.push_str("&lt;"),
            '&' => safe.push_str("&amp;"),
            '@' => safe.push_str("&#64;"),
            '|' | '*' | '_' | '`' | '[' | ']' | '\\' | '#' | '~' => {
                safe.push('\\');
                safe.push(letter);
            }
            _ => safe.push(letter),
        }
    }
    safe
}
