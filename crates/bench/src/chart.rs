//! The charts of the README.
//!
//! Some targets are lower limits of a ratio, some are upper limits. So a bar does not show the ratio, but the factor by
//! which the target was met or missed, on a logarithmic scale. All bars begin at one line, and to the right is better.
//! Rates are in a separate chart.

use crate::report::{Row, Target, Verdict, number};
use crate::svg::{Anchor, FAINT, INK, LINE, Svg};

const WIDTH: f64 = 860.0;
const LABELS: f64 = 380.0;
const HEAD: f64 = 64.0;
/// No bar shows more than this factor: what should be little may be nothing at all.
const LONGEST: f64 = 16.0;
/// The number of characters of a label that fit into its column.
const LETTERS: usize = 60;

const MET: &str = "#1a7f37";
const MISSED: &str = "#bc4c00";
const OURS: &str = "#0969da";
const THEIRS: &str = "#afb8c1";

/// Draws the charts. Returns file names and contents.
pub fn draw(rows: &[Row]) -> Vec<(&'static str, String)> {
    vec![("targets.svg", targets(rows)), ("rates.svg", rates(rows))]
}

/// The factor by which a row meets its target. Less than 1: the target was missed.
struct Margin<'a> {
    row: &'a Row,
    factor: f64,
    measured: f64,
    target: Target,
}

impl<'a> Margin<'a> {
    fn of(row: &'a Row) -> Option<Self> {
        let (target, measured) = (row.target?, row.measured()?);
        let factor = match target {
            Target::AtLeast(least) => measured / least,
            Target::AtMost(most) => most / measured,
        };
        let factor = factor.clamp(1.0 / LONGEST, LONGEST);
        matches!(row.verdict(), Verdict::Met | Verdict::Missed).then_some(Self { row, factor, measured, target })
    }
}

fn targets(rows: &[Row]) -> String {
    const ROW: f64 = 26.0;
    let margins: Vec<Margin> = rows.iter().filter_map(Margin::of).collect();
    let bottom = HEAD + ROW * margins.len() as f64;
    let mut svg = Svg::new(WIDTH, bottom + 20.0);
    title(&mut svg, "Results and targets", "Bar: the factor by which the target was met");
    // The scale has as many doublings as the longest bars need, and on the right one more for the text.
    let doublings = margins.iter().map(|margin| margin.factor.log2());
    let least = doublings.clone().fold(-1.0, f64::min).floor();
    let most = doublings.fold(1.0, f64::max).ceil() + 1.0;
    let place = |doubling: f64| LABELS + (doubling - least) / (most - least) * (WIDTH - LABELS);
    for doubling in least as i32..=most as i32 {
        let (x, factor) = (place(doubling.into()), 2f64.powi(doubling));
        svg.rule(x, HEAD - 6.0, bottom, if doubling == 0 { INK } else { LINE });
        svg.text(x, bottom + 16.0, 11.0, Anchor::Middle, FAINT, &format!("× {factor}"));
    }
    svg.text(place(0.0), HEAD - 12.0, 11.0, Anchor::Middle, INK, "target");
    for (index, margin) in margins.iter().enumerate() {
        let (y, end) = (HEAD + ROW * index as f64, place(margin.factor.log2()));
        let (left, right) = (end.min(place(0.0)), end.max(place(0.0)));
        label(&mut svg, y + 17.0, margin.row);
        svg.bar(left, y + 5.0, right - left, ROW - 10.0, if margin.factor >= 1.0 { MET } else { MISSED });
        let said = format!("{} ({})", number(margin.measured), margin.target);
        svg.text(right + 6.0, y + 17.0, 11.0, Anchor::Start, INK, &said);
    }
    svg.finish()
}

/// Draws the rows that compare two rates.
fn rates(rows: &[Row]) -> String {
    const ROW: f64 = 52.0;
    let rows = rows.iter().filter(|row| !matches!(row.verdict(), Verdict::Void(_)));
    let pairs = rows.filter_map(|row| Some((row, row.figure.as_ref()?, row.divisor.as_ref()?)));
    let pairs: Vec<_> = pairs.filter(|(_, one, other)| one.unit == "/s" && other.unit == "/s").collect();
    let most = pairs.iter().map(|(_, one, other)| one.value.max(other.value)).fold(1.0, f64::max);
    let mut svg = Svg::new(WIDTH, HEAD + ROW * pairs.len() as f64);
    title(&mut svg, "Per second", "Blue: what was measured. Grey: what it is compared with, measured in the same run");
    // The longest bar leaves room for its figure.
    let length = |value: f64| value / most * (WIDTH - LABELS - 70.0);
    for (index, (row, one, other)) in pairs.iter().enumerate() {
        let y = HEAD + ROW * index as f64;
        label(&mut svg, y + 14.0, row);
        svg.text(LABELS - 12.0, y + 34.0, 11.0, Anchor::End, FAINT, &shortened(&row.divided_by));
        for (place, value, color) in [(y + 2.0, one.value, OURS), (y + 22.0, other.value, THEIRS)] {
            svg.bar(LABELS, place, length(value), 16.0, color);
            svg.text(LABELS + length(value) + 6.0, place + 12.0, 11.0, Anchor::Start, INK, &number(value));
        }
    }
    svg.finish()
}

fn title(svg: &mut Svg, title: &str, below: &str) {
    svg.text(0.0, 16.0, 18.0, Anchor::Start, INK, title);
    svg.text(0.0, 36.0, 12.0, Anchor::Start, FAINT, below);
}

fn label(svg: &mut Svg, y: f64, row: &Row) {
    svg.text(LABELS - 12.0, y, 12.0, Anchor::End, INK, &shortened(&format!("#{} {}", row.number, row.workload)));
}

fn shortened(text: &str) -> String {
    match text.chars().count() > LETTERS {
        true => text.chars().take(LETTERS - 1).chain(['…']).collect(),
        false => text.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_nothing_was_found_of_what_should_be_little_the_chart_is_no_larger_than_usual() {
        let rows = [0.0, 1.0].map(|measured| {
            let row = Row::new("19", "new connections per delivery").figure(measured, "").at_most(0.05);
            targets(&[row]).len()
        });
        assert!(rows[0] < 2 * rows[1], "{rows:?}");
    }
}
