//! What is new in a reply: its text without quotation and signature.
//!
//! Mail programs mark the original message in ways that no standard describes, and in the language of their user. What
//! marks it is in [`marks`]; here it is decided what to leave out:
//!
//! - A separator, or the header of the original as Outlook writes it, begins the original. Everything from there goes.
//! - A line such as "On Monday, Ann wrote:" begins a quotation. If lines with `>` follow it, the text after them is new;
//!   if other lines follow it, they are the original.
//! - Answers between quotations make no sense without them, so those quotations stay.
//! - What was forwarded is what the sender wants to show, so it stays. So does a text of which nothing would be left.
//!
//! This is a guess, and it can be wrong. So the whole text is always kept beside it.

mod marks;
mod signature;

use std::ops::Range;

/// Returns what is new.
pub fn cut(text: &str) -> String {
    let text = text.replace("\r\n", "\n");
    let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    let forwarded = (0..lines.len()).find(|&at| marks::is_forward(lines[at]));
    let original = (0..lines.len()).find_map(|at| marks::original(&lines, at));
    let attribution = (0..lines.len()).find_map(|at| marks::attribution(&lines, at));
    let first = original.into_iter().chain(attribution.as_ref().map(|lines| lines.start)).min();
    if forwarded.is_some_and(|forwarded| first.is_none_or(|first| forwarded <= first)) {
        return join(&lines);
    }
    let end = original.unwrap_or(lines.len());
    let kept = match attribution.filter(|attribution| attribution.start < end) {
        Some(attribution) => around(&lines[..end], attribution),
        None => without_quotations(&lines[..end], true),
    };
    let kept = join(&signature::remove(&kept));
    if kept.is_empty() { join(&lines) } else { kept }
}

/// Returns what is new before and after a line that says who has written the quotation.
fn around<'a>(lines: &[&'a str], attribution: Range<usize>) -> Vec<&'a str> {
    // The original may begin within it, and with it end the lines.
    let (before, after) = (&lines[..attribution.start], &lines[attribution.end.min(lines.len())..]);
    let first = after.iter().find(|line| !line.is_empty());
    if !first.is_some_and(|line| is_quotation(line)) {
        return before.to_vec();
    }
    let below = without_quotations(after, true);
    if below.iter().all(|line| line.is_empty()) {
        return before.to_vec();
    }
    let gap = (!before.is_empty()).then_some("");
    before.iter().copied().chain(gap).chain(below).collect()
}

/// Returns the lines without a quotation at their end, and without one at their beginning if all the rest is new.
fn without_quotations<'a>(lines: &[&'a str], may_begin: bool) -> Vec<&'a str> {
    let mut lines = lines;
    let without_signature = signature::remove(lines);
    let mut end = without_signature.len();
    while end > 0 && (lines[end - 1].is_empty() || is_quotation(lines[end - 1])) {
        end -= 1;
    }
    lines = &lines[..end];
    let start = lines.iter().position(|line| !line.is_empty() && !is_quotation(line)).unwrap_or(end);
    let has_more = lines[start..].iter().any(|line| is_quotation(line));
    if may_begin && !has_more { lines[start..].to_vec() } else { lines.to_vec() }
}

fn is_quotation(line: &str) -> bool {
    let line = line.trim_start();
    line.starts_with('>') && !line.starts_with(">From ")
}

/// Joins lines, without empty ones at both ends and without more than one between two others.
fn join(lines: &[&str]) -> String {
    let mut text = String::new();
    for line in lines {
        if line.is_empty() && (text.is_empty() || text.ends_with("\n\n")) {
            continue;
        }
        text.push_str(line);
        text.push('\n');
    }
    let end = text.trim_end().len();
    text.truncate(end);
    text
}

#[cfg(test)]
mod tests;
