//! Blocks and tables of docs/receiving.md.

const PAGE: &str = include_str!("../../../docs/receiving.md");

/// The blocks of code: language and text.
pub fn blocks() -> Vec<(&'static str, &'static str)> {
    let blocks = PAGE.split("\n```").skip(1).step_by(2);
    blocks.map(|block| block.split_once('\n').unwrap_or_else(|| panic!("a block without text: {block:?}"))).collect()
}

/// A block of a language, counted from 0.
pub fn block(language: &str, number: usize) -> &'static str {
    let mut blocks = blocks().into_iter().filter(|block| block.0 == language);
    blocks.nth(number).unwrap_or_else(|| panic!("there is no block {number} of {language}")).1
}

/// The rows of the table with this head, as cells.
pub fn table(head: &str) -> Vec<Vec<&'static str>> {
    let (_, after) = PAGE.split_once(&format!("\n{head}\n")).unwrap_or_else(|| panic!("there is no table {head}"));
    let rows = after.lines().skip(1).take_while(|line| line.starts_with('|'));
    rows.map(|row| row.trim_matches('|').split('|').map(str::trim).collect()).collect()
}
