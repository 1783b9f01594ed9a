use std::fs;
use std::path::PathBuf;

use super::cut;
use crate::Message;

/// White space is of no interest here.
fn words(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Returns how many replies of a directory are cut right, and what was wrong with the others.
fn share(directory: &str) -> (usize, Vec<String>) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures/replies").join(directory);
    let (mut right, mut wrong) = (0, Vec::new());
    let mut files: Vec<_> = fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    for file in files.iter().filter(|file| file.extension().is_some_and(|kind| kind == "txt" || kind == "eml")) {
        let raw = fs::read(file).unwrap();
        let text = match file.extension().is_some_and(|kind| kind == "eml") {
            true => Message::read(&raw).unwrap().text,
            false => String::from_utf8(raw).unwrap(),
        };
        let expected = fs::read_to_string(file.with_extension("reply")).expect("what is to be left");
        let got = cut(&text);
        match words(&got) == words(&expected) {
            true => right += 1,
            false => wrong.push(format!("{}:\n--- got\n{got}\n--- expected\n{expected}\n", file.display())),
        }
    }
    (right, wrong)
}

#[test]
fn most_replies_of_public_collections_are_cut_right() {
    let (mut right, mut all) = (0, 0);
    for directory in ["email_reply_parser", "mail_parser_reply", "talon", "talon_mail"] {
        let (cut, wrong) = share(directory);
        println!("{directory}: {cut} of {} replies are cut right", cut + wrong.len());
        for wrong in &wrong {
            println!("{wrong}");
        }
        right += cut;
        all += cut + wrong.len();
    }
    println!("all collections: {right} of {all} replies are cut right");
    assert!(right * 100 >= all * 90, "{right} of {all}");
}

/// For each language: an attribution, the names of the fields in a header of Outlook, and what a telephone adds.
const LANGUAGES: [(&str, &str, [&str; 4], &str); 13] = [
    (
        "English",
        "On Tue, Nov 3, 2026 at 10:00 AM Ann <ann@example.com> wrote:",
        ["From", "Sent", "To", "Subject"],
        "Sent from my iPhone",
    ),
    (
        "German",
        "Am Di., 3. Nov. 2026 um 10:00 Uhr schrieb Ann <ann@example.com>:",
        ["Von", "Gesendet", "An", "Betreff"],
        "Von meinem iPhone gesendet",
    ),
    (
        "French",
        "Le mar. 3 nov. 2026 à 10:00, Ann <ann@example.com> a écrit :",
        ["De", "Envoyé", "À", "Objet"],
        "Envoyé de mon iPhone",
    ),
    (
        "Spanish",
        "El mar, 3 nov 2026 a las 10:00, Ann (<ann@example.com>) escribió:",
        ["De", "Enviado", "Para", "Asunto"],
        "Enviado desde mi iPhone",
    ),
    (
        "Italian",
        "Il giorno mar 3 nov 2026 alle ore 10:00 Ann <ann@example.com> ha scritto:",
        ["Da", "Inviato", "A", "Oggetto"],
        "Inviato da iPhone",
    ),
    (
        "Portuguese",
        "Em ter., 3 de nov. de 2026 às 10:00, Ann <ann@example.com> escreveu:",
        ["De", "Enviado", "Para", "Assunto"],
        "Enviado do meu iPhone",
    ),
    (
        "Dutch",
        "Op di 3 nov 2026 om 10:00 schreef Ann <ann@example.com>:",
        ["Van", "Verzonden", "Aan", "Onderwerp"],
        "Verstuurd vanaf mijn iPhone",
    ),
    (
        "Swedish",
        "Den tis 3 nov. 2026 kl 10:00 skrev Ann <ann@example.com>:",
        ["Från", "Skickat", "Till", "Ämne"],
        "Skickat från min iPhone",
    ),
    (
        "Danish",
        "Den tirs. 3. nov. 2026 kl. 10.00 skrev Ann <ann@example.com>:",
        ["Fra", "Sendt", "Til", "Emne"],
        "Sendt fra min iPhone",
    ),
    (
        "Polish",
        "wt., 3 lis 2026 o 10:00 Ann <ann@example.com> napisał(a):",
        ["Od", "Wysłano", "Do", "Temat"],
        "Wysłane z iPhone'a",
    ),
    (
        "Russian",
        "вт, 3 нояб. 2026 г. в 10:00, Ann <ann@example.com>:\u{a0}пишет:",
        ["От", "Отправлено", "Кому", "Тема"],
        "Отправлено с iPhone",
    ),
    (
        "Czech",
        "út 3. 11. 2026 v 10:00 odesílatel Ann <ann@example.com> napsal:",
        ["Od", "Odesláno", "Komu", "Předmět"],
        "Odesláno z iPhonu",
    ),
    (
        "Japanese",
        "2026年11月3日(火) 10:00 Ann <ann@example.com>:",
        ["差出人", "送信日時", "宛先", "件名"],
        "iPhoneから送信",
    ),
];

const NEW: &str = "Thanks, it works now.\n\nBut the second printer: it prints 3 pages too many.\nAnn";

#[test]
fn replies_of_the_usual_programs_in_many_languages_are_cut_right() {
    let (mut right, mut wrong) = (0, Vec::new());
    for (language, attribution, [from, sent, to, subject], telephone) in LANGUAGES {
        let header = format!(
            "{from}: Bob <bob@helpdesk.test>\n{sent}: Tuesday, 3 November 2026 10:00\n{to}: Ann\n{subject}: Printer"
        );
        let (first, last) = attribution.rsplit_once(' ').unwrap();
        for (program, text) in [
            ("Gmail", format!("{NEW}\n\n{attribution}\n\n> Is it better?\n>\n> Bob\n")),
            ("Gmail with a broken line", format!("{NEW}\n\n{first}\n{last}\n\n> Is it better?\n")),
            ("Apple Mail", format!("{NEW}\n\n> {attribution}\n> \n> Is it better?\n> Bob\n")),
            ("a telephone", format!("{NEW}\n\n{telephone}\n\n{attribution}\n\n> Is it better?\n")),
            ("Outlook", format!("{NEW}\n\n{header}\n\nIs it better?\n\nBob\n")),
            ("Outlook with a line", format!("{NEW}\n\n________________________________\n{header}\n\nIs it better?\n")),
            ("Outlook for telephones", format!("{NEW}\n\n{telephone}\n\n{attribution}\nIs it better?\n\nBob\n")),
            (
                "Thunderbird",
                format!("{attribution}\n> Is it better?\n> Bob\n\n{NEW}\n\n-- \nAnn Archer\nExample Ltd\n"),
            ),
        ] {
            match cut(&text) == NEW {
                true => right += 1,
                false => wrong.push(format!("{language}, {program}:\n{text}\n--- got\n{}\n", cut(&text))),
            }
        }
    }
    println!("own corpus: {right} of {} replies are cut right", right + wrong.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn answers_between_quotations_keep_them() {
    let text = "On 3 Nov 2026, Bob <bob@helpdesk.test> wrote:\n> Which printer?\nThe red one.\n> Which pages?\nAll of them.\n> Bye\n> Bob\n";
    assert_eq!(cut(text), "> Which printer?\nThe red one.\n> Which pages?\nAll of them.");
}

#[test]
fn text_that_looks_like_a_mark_stays() {
    for text in [
        "From: the kitchen\nTo: the garden",
        "I wrote to you on Monday:\nnothing came.",
        "Ann sent me this:\n\n1. one\n2. two",
        "Sent from my desk, this should arrive.",
        "a > b, and b > c",
        "---------- Forwarded message ---------\nFrom: X <x@example.com>\nDate: today\nSubject: y\nTo: z\n\nLook at this",
        "Look:\n\nBegin forwarded message:\n\n> From: X\n> Hello",
    ] {
        assert_eq!(words(&cut(text)), words(text));
    }
}

#[test]
fn a_text_without_anything_new_stays() {
    assert_eq!(cut("> quoted\n> text"), "> quoted\n> text");
    assert_eq!(cut(""), "");
}

#[test]
fn the_header_of_the_original_can_begin_within_the_line_that_says_who_wrote_it() {
    let header = "Date: 26 PM, Ann <ann@example.com> wrote:\nSubject: Test\nFrom: ann@example.com\nTo: you@example.com";
    assert_eq!(cut(&format!("Hello\n\nOn Mon, Apr 2, 2012 at 6:\n{header}\n\n> Hi")), "Hello");
}

#[test]
fn long_texts_take_no_long_time() {
    let began = std::time::Instant::now();
    for text in [
        "> quoted text\n".repeat(70_000),
        "On 1 Jan wrote\n".repeat(70_000),
        "From: a@b\nDate:\n".repeat(60_000),
        "word word word:\n".repeat(60_000),
        "x:".repeat(500_000),
        "--\n".repeat(300_000),
        "Sent from my phone\n".repeat(50_000),
    ] {
        cut(&text);
    }
    assert!(began.elapsed().as_secs() < 30, "{:?}", began.elapsed());
}
