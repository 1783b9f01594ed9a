//! Signatures: what a mail program adds below the text.

/// Lines that mail programs of telephones add, as they begin, in lower case.
const ADDED: [&str; 34] = [
    "sent from my ",
    "sent from mail for ",
    "sent from outlook",
    "sent from yahoo mail",
    "sent from samsung",
    "sent via ",
    "sent with ",
    "get outlook for ",
    "von meinem ",
    "gesendet von ",
    "gesendet mit ",
    "outlook für ",
    "envoyé de ",
    "envoyé depuis ",
    "télécharger outlook ",
    "obtenez outlook ",
    "enviado desde ",
    "enviado do ",
    "enviado de ",
    "obtener outlook ",
    "inviato da ",
    "verzonden vanaf ",
    "verstuurd vanaf ",
    "skickat från ",
    "sendt fra ",
    "wysłane z ",
    "wysłano z ",
    "отправлено ",
    "odesláno z ",
    "lähetetty ",
    "iphoneから送信",
    "发自我的",
    "從我的 iphone 傳送",
    "나의 iphone에서 ",
];
/// An added line is short, and little follows it.
const LONGEST_ADDED: usize = 90;
const MOST_AFTER_ADDED: usize = 3;
/// What follows two hyphens. A longer text is rather a part of the message that is set off.
const LONGEST: usize = 15;
/// The underscores above the lines that a mailing list adds.
const RULER: usize = 30;

/// Returns the lines without a signature at their end.
pub fn remove<'a>(lines: &[&'a str]) -> Vec<&'a str> {
    let end = (0..lines.len()).find(|&at| begins(lines, at)).unwrap_or(lines.len());
    lines[..end].to_vec()
}

fn begins(lines: &[&str], at: usize) -> bool {
    match lines[at].trim() {
        "--" | "—" => has_at_most(LONGEST, &lines[at + 1..]),
        ruler if ruler.len() >= RULER && ruler.bytes().all(|byte| byte == b'_') => {
            lines[at + 1..].iter().take(2).any(|line| line.to_lowercase().contains("mailing list"))
        }
        line => {
            is_added(line.trim_matches(['*', '_', ' ', '\u{a0}'])) && has_at_most(MOST_AFTER_ADDED, &lines[at + 1..])
        }
    }
}

/// Whether no more lines than that are written before the end or the next quotation.
fn has_at_most(most: usize, lines: &[&str]) -> bool {
    let written = lines.iter().take_while(|line| !line.trim_start().starts_with('>')).filter(|line| !line.is_empty());
    written.take(most + 1).count() <= most
}

fn is_added(line: &str) -> bool {
    if line.chars().count() > LONGEST_ADDED {
        return false;
    }
    let line = line.to_lowercase();
    // A sentence that goes on is one of the text: "Sent from my old address, this bounced."
    let ends =
        !line.trim_end_matches('.').contains(['.', ',', '?', '!']) || line.contains('<') || line.contains("http");
    let turkish = line.ends_with("'umdan gönderildi") || line.ends_with("'dan gönderildi");
    ends && (turkish || ADDED.iter().any(|added| line.starts_with(added)))
}
