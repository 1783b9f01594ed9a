//! Says to a person what a tool would do, in a few lines of plain text. Its arguments and the rows may have been written by somebody who
//! wants to be mistaken for us: what they contain cannot begin a line, or change the direction of the text.

use serde_json::Value;

/// Values are cut after so many characters.
const LONGEST: usize = 400;

/// `arguments` and `preview` are JSON.
pub fn described(tool: &str, arguments: &str, preview: &str) -> String {
    let preview: Value = serde_json::from_str(preview).unwrap_or_default();
    let mut lines = vec![format!("Tool: {}", plain(tool)), format!("Arguments: {}", plain(arguments))];
    for (member, label) in [("before", "Row so far"), ("result", "Result")] {
        if !preview[member].is_null() {
            lines.push(format!("{label}: {}", plain(&preview[member].to_string())));
        }
    }
    for table in preview["tables"].as_array().into_iter().flatten() {
        let counts = ["inserted", "updated", "deleted"].into_iter();
        let counts = counts.filter(|count| table[*count].as_i64().unwrap_or_default() > 0);
        let counts: Vec<String> = counts.map(|count| format!("{} {count}", table[count])).collect();
        lines.push(format!("Rows of {}: {}", plain(table["table"].as_str().unwrap_or_default()), counts.join(", ")));
    }
    let count = preview["webhook_count"].as_i64().unwrap_or_default();
    lines.push(format!("Webhooks that would be sent: {count}"));
    for webhook in preview["webhooks"].as_array().into_iter().flatten().take(10) {
        let text = |name: &str| plain(webhook[name].as_str().unwrap_or_default());
        lines.push(format!("- {} {}", text("event"), text("url")));
    }
    lines.push("Nothing was written so far.".into());
    lines.join("\n")
}

/// Returns a text on one line, in which every character is seen.
fn plain(text: &str) -> String {
    let mut plain = String::new();
    for (number, character) in text.chars().enumerate() {
        if number == LONGEST {
            plain.push('…');
            break;
        }
        match is_hidden(character) {
            true => plain.extend(character.escape_unicode()),
            false => plain.push(character),
        }
    }
    plain
}

/// Whether a character has no shape of its own: it controls the line or the direction, or has no width.
fn is_hidden(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
                               | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}
