//! Numbers of the last day by hour, as SVG. What went well rises from a line and what did not hangs from it, on one scale,
//! so that the two differ by more than colour. Attributes alone place the bars: the policy of the pages has no room for
//! style in an element.

use maud::{Markup, html};

use crate::figures::grouped;
use crate::moment::{exactly, hour_of_day};

/// The numbers of an hour.
pub struct Hour {
    pub hour: String,
    pub up: u64,
    pub down: u64,
    /// A part of the numbers, which has no bar of its own.
    pub part: u64,
}

/// What the numbers are.
pub struct Words {
    pub title: &'static str,
    pub up: &'static str,
    pub down: &'static str,
    pub part: &'static str,
    /// What is said if there are none.
    pub nothing: &'static str,
}

impl Words {
    fn sentence(&self, up: &str, down: &str) -> String {
        format!("{up} {}, {down} {}", self.up.to_lowercase(), self.down.to_lowercase())
    }
}

const HEIGHT: f64 = 100.0;
/// Place of one hour, and its bar.
const STEP: usize = 10;
const BAR: usize = 7;
/// The height of a bar that stands for little beside the others, so that it can be seen.
const LEAST: f64 = 2.0;

/// The scale that all bars of a chart share.
struct Scale {
    /// Of the line that bars begin at.
    line: f64,
    unit: f64,
}

impl Scale {
    fn of(hours: &[Hour]) -> Self {
        let most = |of: fn(&Hour) -> u64| hours.iter().map(of).max().unwrap_or_default() as f64;
        let (up, down) = (most(|hour| hour.up), most(|hour| hour.down));
        let unit = HEIGHT / (up + down).max(1.0);
        // Room for the smallest bar on each side that has one.
        let room = |number: f64| if number > 0.0 { LEAST } else { 0.0 };
        let line = if up + down > 0.0 { (up * unit).clamp(room(up), HEIGHT - room(down)) } else { HEIGHT };
        Self { line, unit }
    }

    fn length(&self, number: u64) -> f64 {
        (number as f64 * self.unit).max(LEAST)
    }
}

fn total(hours: &[Hour], of: fn(&Hour) -> u64) -> String {
    grouped(hours.iter().map(of).sum::<u64>() as i64)
}

fn bars(words: &Words, hours: &[Hour]) -> Markup {
    let scale = Scale::of(hours);
    let width = hours.len() * STEP;
    html! {
        @for (place, hour) in hours.iter().enumerate() {
            @let x = place * STEP + (STEP - BAR) / 2;
            g {
                title {
                    (hour_of_day(&hour.hour)) " UTC: "
                    (words.sentence(&grouped(hour.up as i64), &grouped(hour.down as i64)))
                }
                // What a pointer finds, also above a short bar.
                rect.hour x=(place * STEP) y="0" width=(STEP) height=(HEIGHT) {}
                @if hour.up > 0 {
                    @let length = scale.length(hour.up).min(scale.line);
                    rect.delivered x=(x) y=(round(scale.line - length)) width=(BAR) height=(round(length)) {}
                }
                @if hour.down > 0 {
                    @let length = scale.length(hour.down).min(HEIGHT - scale.line);
                    rect.failed x=(x) y=(round(scale.line)) width=(BAR) height=(round(length)) {}
                }
            }
        }
        line.line x1="0" x2=(width) y1=(round(scale.line)) y2=(round(scale.line)) {}
    }
}

fn round(number: f64) -> f64 {
    (number * 100.0).round() / 100.0
}

fn sum_up(words: &Words, hours: &[Hour]) -> String {
    let (up, down) = (total(hours, |hour| hour.up), total(hours, |hour| hour.down));
    format!("{} in the last {} hours.", words.sentence(&up, &down), hours.len())
}

fn svg(words: &Words, hours: &[Hour], id: &str) -> Markup {
    let (title, described) = (format!("{id}-title"), format!("{id}-description"));
    html! {
        svg.bars viewBox=(format!("0 0 {} {HEIGHT}", hours.len() * STEP)) preserveAspectRatio="none" role="img"
            aria-labelledby=(title) aria-describedby=(described) {
            title id=(title) { (words.title) }
            desc id=(described) { (sum_up(words, hours)) }
            (bars(words, hours))
        }
    }
}

/// The chart in a list. Nothing, if there is nothing to show.
pub fn small(words: &Words, hours: &[Hour], id: &str) -> Markup {
    html! { @if !is_empty(hours) { div.sparkline { (svg(words, hours, id)) } } }
}

fn is_empty(hours: &[Hour]) -> bool {
    hours.iter().all(|hour| hour.up == 0 && hour.down == 0)
}

/// The chart with its legend, its hours, and its numbers as a table.
pub fn large(words: &Words, hours: &[Hour]) -> Markup {
    let [first, .., last] = hours else { return html! {} };
    if is_empty(hours) {
        return html! { p.none { (words.nothing) } };
    }
    html! {
        figure.chart {
            figcaption.legend {
                span.key.delivered { (words.up) " " b { (total(hours, |hour| hour.up)) } }
                span.key.failed { (words.down) " " b { (total(hours, |hour| hour.down)) } }
                span.key { (words.part) " " b { (total(hours, |hour| hour.part)) } }
            }
            (svg(words, hours, "chart"))
            div.axis aria-hidden="true" {
                span { (hour_of_day(&first.hour)) }
                span { (hour_of_day(&hours[hours.len() / 2].hour)) }
                span { (hour_of_day(&last.hour)) " UTC" }
            }
            details {
                summary { "Numbers of each hour" }
                table {
                    thead {
                        tr {
                            th scope="col" { "Hour" } th scope="col" { (words.up) } th scope="col" { (words.down) } th scope="col" { (words.part) }
                        }
                    }
                    tbody {
                        @for hour in hours.iter().rev() {
                            tr {
                                th scope="row" { (exactly(&hour.hour)) }
                                td { (grouped(hour.up as i64)) }
                                td { (grouped(hour.down as i64)) }
                                td { (grouped(hour.part as i64)) }
                            }
                        }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORDS: Words = crate::model::Hour::CHART;

    fn hours(numbers: &[(u64, u64)]) -> Vec<Hour> {
        let hour = |(place, (up, down)): (usize, &(u64, u64))| Hour {
            hour: format!("2026-11-26T{place:02}:00:00Z"),
            up: *up,
            down: *down,
            part: 0,
        };
        numbers.iter().enumerate().map(hour).collect()
    }

    #[test]
    fn bars_share_one_scale() {
        let svg = bars(&WORDS, &hours(&[(30, 0), (15, 10)])).into_string();
        for bar in [
            r#"class="delivered" x="1" y="0" width="7" height="75""#,
            r#"class="delivered" x="11" y="37.5" width="7" height="37.5""#,
            r#"class="failed" x="11" y="75" width="7" height="25""#,
        ] {
            assert!(svg.contains(bar), "{bar}: {svg}");
        }
        assert_eq!(svg.matches("<rect").count(), 2 + 3);
        assert!(svg.contains("01:00 UTC: 15 delivered, 10 failed attempts"));
    }

    #[test]
    fn bars_stay_in_the_picture_and_can_be_seen() {
        for numbers in [&[(1_000_000, 1)][..], &[(1, 1_000_000)], &[(0, 0)], &[(0, 7), (0, 1)], &[(u64::MAX / 4, 0)]] {
            let scale = Scale::of(&hours(numbers));
            assert!((0.0..=HEIGHT).contains(&scale.line) && scale.unit.is_finite());
            let svg = bars(&WORDS, &hours(numbers)).into_string();
            assert!(!svg.contains("height=\"0\"") && !svg.contains("\"-"), "{svg}");
        }
    }

    #[test]
    fn the_chart_says_its_numbers_in_words_and_in_a_table() {
        let page = large(&WORDS, &hours(&[(1200, 3), (0, 0), (34, 1)])).into_string();
        assert!(page.contains("1,234 delivered, 4 failed attempts in the last 3 hours."));
        assert!(page.contains("<td>1,200</td><td>3</td><td>0</td>"));
        assert_eq!(large(&WORDS, &[]).into_string(), "");
    }
}
