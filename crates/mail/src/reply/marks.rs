//! What marks the original message in a reply, in the languages of many mail programs.

use std::ops::Range;

/// An attribution may be broken into lines.
const MAX_LINES: usize = 4;
const LONGEST: usize = 400;

/// Words of an attribution that say that somebody has written, in lower case.
const WROTE: [&str; 35] = [
    "wrote",
    "geschreven",
    "sent",
    "schrieb",
    "hat geschrieben",
    "a écrit",
    "a ecrit",
    "escribió",
    "escribio",
    "ha scritto",
    "scrive",
    "escreveu",
    "schreef",
    "skrev",
    "skreiv",
    "napisał",
    "napisała",
    "pisze",
    "пишет",
    "написал",
    "написала",
    "пише",
    "написав",
    "napsal",
    "napísal",
    "napisao",
    "ezt írta",
    "írta",
    "kirjoitti",
    "yazdı",
    "a scris",
    "đã viết",
    "va escriure",
    "έγραψε",
    "писал",
];
/// Those of languages that do not separate words.
const WROTE_ANYWHERE: [&str; 7] = ["写道", "寫道", "のメール", "書きました", "님이 작성", "כתב", "كتب"];
/// How an attribution begins, in lower case.
const OPENERS: [&str; 22] = [
    "on ", "am ", "le ", "el ", "il ", "em ", "op ", "den ", "dnia ", "w dniu ", "dne ", "dňa ", "в ", "at ", "a ",
    "på ", "în ", "vào ", "mån", "quoting ", "de ", "em",
];

const ORIGINAL: [&str; 26] = [
    "original message",
    "original appointment",
    "reply message",
    "original-nachricht",
    "originalnachricht",
    "ursprüngliche nachricht",
    "ursprüngliche mitteilung",
    "message d'origine",
    "message d’origine",
    "message original",
    "mensaje original",
    "messaggio originale",
    "mensagem original",
    "oorspronkelijk bericht",
    "originalmeddelande",
    "ursprungligt meddelande",
    "oprindelig meddelelse",
    "original meddelelse",
    "opprinnelig melding",
    "pierwotna wiadomość",
    "исходное сообщение",
    "původní zpráva",
    "alkuperäinen viesti",
    "orijinal mesaj",
    "元のメッセージ",
    "原始邮件",
];
const FORWARDED: [&str; 13] = [
    "forwarded message",
    "forwarded by",
    "weitergeleitete nachricht",
    "message transféré",
    "message transmis",
    "mensaje reenviado",
    "messaggio inoltrato",
    "mensagem encaminhada",
    "doorgestuurd bericht",
    "vidarebefordrat meddelande",
    "videresendt",
    "пересылаемое сообщение",
    "wiadomość przekazana",
];

/// Names of fields in the header of an original message, by what they are.
const FROM: &[&str] = &[
    "from",
    "von",
    "de",
    "da",
    "van",
    "från",
    "fra",
    "od",
    "от",
    "від",
    "lähettäjä",
    "kimden",
    "feladó",
    "差出人",
    "发件人",
    "寄件者",
    "보낸 사람",
    "từ",
    "expéditeur",
    "mittente",
    "avsender",
    "afzender",
    "nadawca",
    "desde",
    "送信者",
];
const DATE: &[&str] = &[
    "sent",
    "date",
    "gesendet",
    "datum",
    "envoyé",
    "enviado",
    "fecha",
    "inviato",
    "data",
    "enviada",
    "enviado em",
    "verzonden",
    "skickat",
    "sendt",
    "dato",
    "wysłano",
    "odesláno",
    "отправлено",
    "дата",
    "надіслано",
    "lähetetty",
    "päiväys",
    "gönderilme",
    "tarih",
    "elküldve",
    "送信日時",
    "日期",
    "发送时间",
    "時間",
    "보낸 날짜",
    "sent at",
    "envoyé le",
    "ngày",
    "inviata",
    "sent on",
    "datum/zeit",
    "enviado el",
    "odoslané",
];
const TO: &[&str] = &[
    "to",
    "an",
    "à",
    "para",
    "a",
    "aan",
    "till",
    "til",
    "do",
    "кому",
    "komu",
    "vastaanottaja",
    "kime",
    "címzett",
    "宛先",
    "收件人",
    "받는 사람",
    "tới",
    "cc",
    "destinataire",
    "destinatario",
    "kopie",
    "pro",
];
const SUBJECT: &[&str] = &[
    "subject",
    "betreff",
    "objet",
    "asunto",
    "oggetto",
    "assunto",
    "onderwerp",
    "ämne",
    "emne",
    "temat",
    "тема",
    "předmět",
    "aihe",
    "konu",
    "tárgy",
    "件名",
    "主题",
    "主旨",
    "제목",
    "chủ đề",
    "re",
    "predmet",
];

/// Whether the line says that what follows was forwarded.
pub fn is_forward(line: &str) -> bool {
    let line = line.to_lowercase();
    line == "begin forwarded message:" || is_separator(&line, &FORWARDED)
}

fn is_separator(line: &str, names: &[&str]) -> bool {
    let inner =
        line.trim_matches(|char: char| char.is_whitespace() || matches!(char, '-' | '_' | '*' | '=' | ':' | '–' | '—'));
    let is_set_off = line.contains("--") || line.contains("__") || line.contains("==") || line.contains('–');
    is_set_off && names.iter().any(|name| inner.starts_with(name)) && inner.chars().count() < 60
}

/// Returns where the original message begins, if the line of this number is its separator or the first of its header.
pub fn original(lines: &[&str], at: usize) -> Option<usize> {
    if is_separator(&lines[at].to_lowercase(), &ORIGINAL) {
        return Some(at);
    }
    if !is_header(lines, at) {
        return None;
    }
    // A line of hyphens or underscores above the header belongs to it.
    let mut start = at;
    while start > 0 && lines[start - 1].chars().all(|char| matches!(char, '-' | '_' | '=' | ' ' | '*' | '\u{a0}')) {
        start -= 1;
    }
    Some(start)
}

/// Whether a header begins here: a sender, and at least two other fields in the lines that follow.
fn is_header(lines: &[&str], at: usize) -> bool {
    let is_first = |kind| matches!(kind, Some(Kind::From | Kind::Date));
    if !is_first(kind_of(lines[at])) {
        return false;
    }
    let mut found = [false; 4];
    for kind in lines[at..].iter().take(16).filter(|line| !line.is_empty()).take(8).filter_map(|line| kind_of(line)) {
        found[kind as usize] = true;
    }
    let fields = found.iter().filter(|found| **found).count();
    // Two fields are enough if nothing but a header looks like them.
    let is_plain =
        || lines[at].contains('@') && lines.get(at + 1).is_some_and(|next| matches!(kind_of(next), Some(Kind::Date)));
    found[Kind::From as usize] && (fields >= 3 || is_plain())
}

#[derive(Clone, Copy)]
enum Kind {
    From,
    Date,
    To,
    Subject,
}

fn kind_of(line: &str) -> Option<Kind> {
    let line = line.trim_start_matches(['*', ' ', '\u{a0}', '|']);
    let (name, _) = line.split_once([':', '：'])?;
    let name = name.trim_matches(['*', ' ', '\u{a0}']).to_lowercase();
    let kinds = [(Kind::From, FROM), (Kind::Date, DATE), (Kind::To, TO), (Kind::Subject, SUBJECT)];
    kinds.into_iter().find(|(_, names)| names.contains(&name.as_str())).map(|(kind, _)| kind)
}

/// Returns the lines that say who has written the quotation, if this line is the last of them.
pub fn attribution(lines: &[&str], at: usize) -> Option<Range<usize>> {
    if is_set_off(lines[at]) || is_bare(lines, at) {
        return Some(at..at + 1);
    }
    if !lines[at].trim_end_matches(['*', ' ', '\u{a0}']).ends_with([':', '：'])
        || lines[at].trim_start().starts_with('>')
    {
        return None;
    }
    let earliest = (at + 1).saturating_sub(MAX_LINES);
    let broken = (earliest..at).rev().take_while(|&start| !lines[start].is_empty() && !lines[start].starts_with('>'));
    let starts: Vec<usize> = std::iter::once(at).chain(broken).collect();
    let is_whole = |start: usize| says_who(&lines[start..=at].join(" "));
    // The last line alone may name the sender, and those above it the time.
    let opens = starts.iter().copied().find(|&start| has_opener(lines[start]) && is_whole(start));
    let start = opens.or_else(|| starts.iter().copied().find(|&start| is_whole(start)))?;
    Some(start..at + 1)
}

fn has_opener(line: &str) -> bool {
    let line = line.trim_start().to_lowercase();
    let digits = line.chars().filter(char::is_ascii_digit).count();
    // A time with a colon, in front of a name: "Tue, 3 Nov 2026 10:00, Ann".
    let is_date = digits >= 6 && line.contains(':') && !line.contains('@')
        || line.starts_with(|char: char| char.is_ascii_digit()) && digits >= 4;
    OPENERS.iter().any(|opener| line.starts_with(opener)) && digits > 0 || is_date
}

/// Whether this is an attribution between hyphens: ---- Ann wrote ----
fn is_set_off(line: &str) -> bool {
    let inner = line.trim_matches('-');
    line.starts_with("---") && line.ends_with("---") && inner.len() < 200 && has_word(&inner.to_lowercase(), &WROTE)
}

/// Whether this is a time and an address, with a quotation below.
fn is_bare(lines: &[&str], at: usize) -> bool {
    let line = lines[at];
    let is_it = line.starts_with(|char: char| char.is_ascii_digit()) && line.ends_with('>') && line.contains('@');
    is_it
        && lines[at + 1..]
            .iter()
            .take(MAX_LINES)
            .find(|line| !line.is_empty())
            .is_some_and(|next| next.starts_with('>'))
}

fn has_word(text: &str, words: &[&str]) -> bool {
    words.iter().any(|wanted| {
        text.match_indices(wanted).any(|(at, _)| {
            let before = text[..at].chars().next_back();
            let after = text[at + wanted.len()..].chars().next();
            !before.is_some_and(char::is_alphabetic) && !after.is_some_and(char::is_alphabetic)
        })
    })
}

fn says_who(text: &str) -> bool {
    if text.len() > LONGEST {
        return false;
    }
    let lower = text.to_lowercase();
    let digits = lower.chars().filter(char::is_ascii_digit).count();
    let is_address = lower.contains('@');
    let wrote = has_word(&lower, &WROTE) || WROTE_ANYWHERE.iter().any(|word| lower.contains(word));
    // Some programs write only the time and the sender: 2026/11/3 Ann <ann@example.com>:
    let bare = lower.trim_end_matches([':', '：', ' ']).ends_with('>')
        && is_address
        && digits >= 3
        && lower.starts_with(|char: char| char.is_ascii_digit());
    wrote && (is_address || digits >= 2) || bare
}
