// SPDX-License-Identifier: Apache-2.0
//! What a bench is doing, shown on a terminal: rate, times and errors of the last seconds, and how they went.
//!
//! The view is a block of lines that is written over ([`crate::progress`]). It takes no screen of its own, hides no cursor
//! and changes no mode of the terminal: however the process ends, nothing has to be restored.

use super::phase::Progress;
use crate::escape;
use crate::progress::{self, Show};
use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style, Stylize};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Sparkline, Widget};
use std::fmt::Write as _;
use std::pin::pin;
use std::time::{Duration, Instant};
use storescope::timing::Distribution;
use storescope_instrument::Point;
use tokio::sync::watch;

/// How often the terminal is written, and how often a line where there is none.
const REDRAW: Duration = Duration::from_millis(250);
const LINE: Duration = Duration::from_secs(2);
/// Seconds that `last 5 s` are.
const RECENT: usize = 5;
/// Lines of the view.
const HEIGHT: u16 = 6;
/// Columns in front of a sparkline, and behind it.
const NAME: u16 = 6;
const MOST: u16 = 12;
/// A terminal narrower than this gets one line.
pub(super) const NARROWEST: u16 = 40;

/// What is shown.
#[derive(Clone, Debug, Default)]
pub(super) struct View {
    /// What is measured, such as `get 65536 bytes, random, 8 at a time`.
    pub(super) title: String,
    /// Which cell it is, from 1, and how many there are.
    pub(super) cell: (usize, usize),
    /// Such as `warm-up` or `measuring`.
    pub(super) phase: String,
    /// Such as `7 s left`.
    pub(super) left: String,
    /// Of the last seconds.
    pub(super) recent: Recent,
    /// Calls that failed for good, since the phase began.
    pub(super) failed: u64,
    /// Why the first of them did.
    pub(super) first_error: String,
    /// Calls under way.
    pub(super) in_flight: u32,
    /// Calls a second, an interval each, the latest last.
    pub(super) rates: Vec<u64>,
    /// The 99th percentile in microseconds, likewise.
    pub(super) p99s: Vec<u64>,
}

/// What the last seconds came to.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Recent {
    /// How long they are.
    pub(super) over: Duration,
    /// Calls a second.
    pub(super) rate: f64,
    /// Payload a second, in bytes.
    pub(super) bytes_per_s: f64,
    /// Response times in ns: p50, p99, p99.9. Nothing where no call has ended.
    pub(super) times: Option<[u64; 3]>,
}

/// Awaits `work`, and meanwhile shows how far it is.
pub(super) async fn shown<T>(
    show: Show,
    told: watch::Receiver<Option<Progress>>,
    work: impl Future<Output = T>,
) -> T {
    if show == Show::Never {
        return work.await;
    }
    let _cleared = progress::Cleared;
    let (mut work, mut told) = (pin!(work), told);
    let mut ticks = tokio::time::interval(if show == Show::Terminal { REDRAW } else { LINE });
    let mut latest = Instant::now();
    loop {
        tokio::select! {
            biased;
            done = &mut work => return done,
            _ = ticks.tick() => {}
        }
        if told.has_changed().unwrap_or(false) {
            latest = Instant::now();
        }
        if let Some(progress) = &*told.borrow_and_update() {
            draw(show, &View::of(progress, latest.elapsed()));
        }
    }
}

fn draw(show: Show, view: &View) {
    match progress::width() {
        // The last column stays free: some terminals would begin a new line behind it.
        Some(width) if show == Show::Terminal && width > NARROWEST => {
            progress::block(&view.lines(width - 1));
        }
        _ => progress::tell(show, &view.line()),
    }
}

impl Recent {
    fn of(points: &[Point]) -> Recent {
        let last = &points[points.len().saturating_sub(RECENT)..];
        let mut times = Distribution::nanoseconds();
        for point in last {
            times.merge(&point.response);
        }
        let over: Duration = last.iter().map(|point| point.length).sum();
        let seconds = over.as_secs_f64().max(1e-9);
        Recent {
            over,
            rate: last.iter().map(|point| point.calls).sum::<u64>() as f64 / seconds,
            bytes_per_s: last.iter().map(|point| point.bytes).sum::<u64>() as f64 / seconds,
            times: (times.count() > 0)
                .then(|| [0.5, 0.99, 0.999].map(|quantile| times.quantile(quantile))),
        }
    }
}

impl Widget for &View {
    fn render(self, area: Rect, buffer: &mut Buffer) {
        let rows: [Rect; HEIGHT as usize] =
            Layout::vertical([Constraint::Length(1); HEIGHT as usize]).areas(area);
        self.head().render(rows[0], buffer);
        Line::from(self.title.as_str()).dim().render(rows[1], buffer);
        self.flow().render(rows[2], buffer);
        self.times().render(rows[3], buffer);
        let rate = self.rates.iter().max().copied().unwrap_or(0);
        spark("rate", &self.rates, &format!("{rate}/s"), rows[4], buffer);
        let p99 = self.p99s.iter().max().copied().unwrap_or(0);
        spark("p99", &self.p99s, &milliseconds(p99 * 1_000), rows[5], buffer);
    }
}

impl View {
    /// Of a progress that was told some time ago.
    fn of(progress: &Progress, ago: Duration) -> View {
        let points = progress.series.points();
        let rate = |point: &Point| point.calls as f64 / point.length.as_secs_f64().max(1e-9);
        View {
            title: progress.setup.clone(),
            cell: progress.cell,
            phase: progress.stage.word().to_owned(),
            left: left(progress, ago),
            recent: Recent::of(points),
            failed: progress.failed,
            first_error: progress
                .first_error
                .as_ref()
                .map_or_else(String::new, |failed| escape::line(&failed.to_string()).into_owned()),
            in_flight: progress.in_flight,
            rates: points.iter().map(|point| rate(point).round() as u64).collect(),
            p99s: points.iter().map(|point| point.response.quantile(0.99) / 1_000).collect(),
        }
    }

    fn head(&self) -> Line<'_> {
        let (cell, of) = self.cell;
        let mut words = vec!["storescope bench".bold()];
        if of > 1 {
            words.push(format!("  cell {cell} of {of}").into());
        }
        words.push(format!("  {}", self.phase).fg(Color::Cyan));
        words.push(format!("  {}", self.left).into());
        Line::from(words)
    }

    fn flow(&self) -> Line<'_> {
        let recent = &self.recent;
        let failed = self.failures();
        Line::from(vec![
            Span::from(format!("{:.1}/s", recent.rate)).bold(),
            format!("  {:.1} MB/s", recent.bytes_per_s / 1e6).into(),
            format!("  {} in flight  ", self.in_flight).into(),
            if self.failed > 0 { failed.fg(Color::Red) } else { failed.into() },
        ])
    }

    /// How many calls failed, and why the first did.
    fn failures(&self) -> String {
        let colon = if self.first_error.is_empty() { "" } else { ": " };
        format!("{} failed{colon}{}", self.failed, self.first_error)
    }

    fn times(&self) -> Line<'_> {
        let last = format!("last {:.0} s  ", self.recent.over.as_secs_f64());
        let Some(times) = self.recent.times else {
            return Line::from(vec![last.dim(), "no call has ended".into()]);
        };
        let mut words = vec![last.dim()];
        for (name, time) in ["p50", "p99", "p99.9"].into_iter().zip(times) {
            words.push(format!("{name} ").dim());
            words.push(format!("{}  ", milliseconds(time)).bold());
        }
        Line::from(words)
    }

    /// The lines of the view on a terminal so wide, with its colours.
    pub(super) fn lines(&self, width: u16) -> Vec<String> {
        let mut buffer = Buffer::empty(Rect::new(0, 0, width, HEIGHT));
        self.render(buffer.area, &mut buffer);
        (0..HEIGHT).map(|row| line(&buffer, row)).collect()
    }

    /// The same in one line, for logs and narrow terminals.
    pub(super) fn line(&self) -> String {
        let (cell, of) = self.cell;
        let mut text = if of > 1 { format!("{cell} of {of}: ") } else { String::new() };
        let recent = &self.recent;
        let _ = write!(text, "{}, {}: {:.1}/s", self.phase, self.left, recent.rate);
        if let Some([p50, p99, _]) = recent.times {
            let _ = write!(text, ", p50 {}, p99 {}", milliseconds(p50), milliseconds(p99));
        }
        if self.failed > 0 {
            let _ = write!(text, ", {}", self.failures());
        }
        text
    }
}

/// How long it takes still, as far as that is known.
fn left(progress: &Progress, ago: Duration) -> String {
    let elapsed = progress.elapsed + ago;
    match (progress.goal.count, progress.goal.duration) {
        (Some(count), _) => format!("{} of {count} calls", progress.calls.min(count)),
        (None, Some(duration)) => {
            format!("{:.0} s left", duration.saturating_sub(elapsed).as_secs_f64().ceil())
        }
        (None, None) => format!("for {:.0} s", elapsed.as_secs_f64()),
    }
}

/// A line of bars, with its name in front and its largest value behind.
fn spark(name: &str, values: &[u64], most: &str, row: Rect, buffer: &mut Buffer) {
    let columns = [Constraint::Length(NAME), Constraint::Fill(1), Constraint::Length(MOST)];
    let [front, bars, behind] = Layout::horizontal(columns).areas(row);
    Line::from(name).dim().render(front, buffer);
    let shown = &values[values.len().saturating_sub(usize::from(bars.width))..];
    Sparkline::default().data(shown).style(Style::new().fg(Color::Cyan)).render(bars, buffer);
    Line::from(format!(" ≤ {most}")).dim().render(behind, buffer);
}

/// Three digits of it.
fn milliseconds(nanoseconds: u64) -> String {
    let time = nanoseconds as f64 / 1e6;
    match time {
        0.0..10.0 => format!("{time:.2} ms"),
        10.0..100.0 => format!("{time:.1} ms"),
        _ => format!("{time:.0} ms"),
    }
}

/// A row of a buffer, its styles as the sequences that terminals know since the VT100.
fn line(buffer: &Buffer, row: u16) -> String {
    let (mut text, mut before) = (String::new(), (Color::Reset, Modifier::empty()));
    for column in 0..buffer.area.width {
        let cell = &buffer[(column, row)];
        let style = (cell.fg, cell.modifier);
        if style != before {
            text.push_str(&sequence(style.0, style.1));
            before = style;
        }
        text.push_str(cell.symbol());
    }
    let end = text.trim_end().len();
    text.truncate(end);
    if text.contains('\u{1b}') {
        text.push_str("\u{1b}[0m");
    }
    text
}

fn sequence(color: Color, modifier: Modifier) -> String {
    let mut text = "\u{1b}[0".to_owned();
    if modifier.contains(Modifier::BOLD) {
        text.push_str(";1");
    }
    if modifier.contains(Modifier::DIM) {
        text.push_str(";2");
    }
    match color {
        Color::Red => text.push_str(";31"),
        Color::Cyan => text.push_str(";36"),
        _ => {}
    }
    text.push('m');
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    fn view() -> View {
        View {
            title: "get 65536 bytes, random, 8 at a time".into(),
            cell: (2, 6),
            phase: "measuring".into(),
            left: "7 s left".into(),
            recent: Recent {
                over: Duration::from_secs(5),
                rate: 812.34,
                bytes_per_s: 53.2e6,
                times: Some([6_123_456, 14_234_567, 120_000_000]),
            },
            failed: 0,
            first_error: String::new(),
            in_flight: 8,
            rates: (0..=8).map(|n| n * 100).collect(),
            p99s: vec![14_000; 9],
        }
    }

    fn drawn(view: &View, width: u16) -> Vec<String> {
        let mut terminal = Terminal::new(TestBackend::new(width, HEIGHT)).unwrap();
        terminal.draw(|frame| frame.render_widget(view, frame.area())).unwrap();
        let buffer = terminal.backend().buffer();
        let row = |row| (0..width).map(|column| buffer[(column, row)].symbol()).collect::<String>();
        (0..HEIGHT).map(|at| row(at).trim_end().to_owned()).collect()
    }

    #[test]
    fn all_that_matters_is_shown() {
        assert_eq!(
            drawn(&view(), 80),
            [
                "storescope bench  cell 2 of 6  measuring  7 s left",
                "get 65536 bytes, random, 8 at a time",
                "812.3/s  53.2 MB/s  8 in flight  0 failed",
                "last 5 s  p50 6.12 ms  p99 14.2 ms  p99.9 120 ms",
                "rate   ▁▂▃▄▅▆▇█                                                      ≤ 800/s",
                "p99   █████████                                                      ≤ 14.0 ms",
            ]
        );
        assert_eq!(view().line(), "2 of 6: measuring, 7 s left: 812.3/s, p50 6.12 ms, p99 14.2 ms");
    }

    #[test]
    fn a_start_and_failures_are_shown() {
        let view = View {
            phase: "warm-up".into(),
            failed: 3,
            first_error: "no route".into(),
            ..View::default()
        };
        let drawn = drawn(&view, 60);
        assert_eq!(drawn[0], "storescope bench  warm-up");
        assert_eq!(drawn[2], "0.0/s  0.0 MB/s  0 in flight  3 failed: no route");
        assert_eq!(drawn[3], "last 0 s  no call has ended");
        assert!(view.lines(60)[2].contains("\u{1b}[0;31m3 failed"), "{:?}", view.lines(60));
    }

    #[test]
    fn lines_fit_terminals_of_any_width() {
        for width in [NARROWEST, 41, 79, 200] {
            for line in view().lines(width) {
                let plain = line.split('\u{1b}').enumerate().map(|(at, part)| match at {
                    0 => part,
                    _ => part.split_once('m').unwrap().1,
                });
                assert!(
                    plain.map(|part| part.chars().count()).sum::<usize>() <= usize::from(width)
                );
            }
        }
        let latest = view().lines(NARROWEST);
        assert!(latest[4].contains('█'), "{latest:?}");
    }
}
