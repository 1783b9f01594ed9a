//! As much SVG as bar charts need.
//!
//! A picture has a white background, so that it can be read on a light and on a dark page. It uses no font file, so
//! that a browser loads nothing else.

use std::fmt::Write;

const PADDING: f64 = 24.0;
const FONTS: &str = "system-ui, -apple-system, 'Segoe UI', Helvetica, Arial, sans-serif";

pub const INK: &str = "#1f2328";
pub const FAINT: &str = "#656d76";
pub const LINE: &str = "#d0d7de";

#[derive(Clone, Copy)]
pub enum Anchor {
    Start,
    Middle,
    End,
}

pub struct Svg {
    width: f64,
    height: f64,
    inside: String,
}

impl Svg {
    /// Creates a picture of this size. Its margins are added.
    pub fn new(width: f64, height: f64) -> Self {
        Self { width, height, inside: String::new() }
    }

    pub fn bar(&mut self, x: f64, y: f64, width: f64, height: f64, color: &str) {
        self.push(format_args!(
            r#"<rect x="{x:.1}" y="{y:.1}" width="{width:.1}" height="{height:.1}" rx="2" fill="{color}"/>"#
        ));
    }

    /// Draws a vertical line.
    pub fn rule(&mut self, x: f64, top: f64, bottom: f64, color: &str) {
        self.push(format_args!(
            r#"<line x1="{x:.1}" y1="{top:.1}" x2="{x:.1}" y2="{bottom:.1}" stroke="{color}" stroke-width="1"/>"#
        ));
    }

    /// Writes a text. `y` is its baseline.
    pub fn text(&mut self, x: f64, y: f64, size: f64, anchor: Anchor, color: &str, text: &str) {
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        let text = escaped(text);
        self.push(format_args!(
            r#"<text x="{x:.1}" y="{y:.1}" font-size="{size}" text-anchor="{anchor}" fill="{color}">{text}</text>"#
        ));
    }

    fn push(&mut self, element: std::fmt::Arguments<'_>) {
        writeln!(self.inside, "{element}").expect("writing to a String cannot fail");
    }

    pub fn finish(self) -> String {
        let (width, height) = (self.width + 2.0 * PADDING, self.height + 2.0 * PADDING);
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
             viewBox=\"0 0 {width} {height}\" font-family=\"{FONTS}\">\n\
             <rect width=\"{width}\" height=\"{height}\" rx=\"8\" fill=\"#ffffff\"/>\n\
             <g transform=\"translate({PADDING} {PADDING})\">\n{}</g>\n</svg>\n",
            self.inside
        )
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
