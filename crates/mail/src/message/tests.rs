use super::*;

fn read(raw: &str) -> Message {
    Message::read(raw.replace('\n', "\r\n").as_bytes()).unwrap()
}

#[test]
fn a_message_is_read() {
    let message = read(
        "From: =?utf-8?Q?Ann_M=C3=BCller?= <Ann@Example.com>\nTo: Support <support@helpdesk.test>, b@c.d\nCc: e@f.g\n\
         Subject: =?iso-8859-1?Q?Gr=FC=DFe?=\n from Ann\nDate: Tue, 3 Nov 2026 10:00:00 +0100\nMessage-ID: <1@example.com>\n\
         In-Reply-To: <0@helpdesk.test>\nReferences: <a@x> <0@helpdesk.test>\nContent-Type: text/plain; charset=utf-8\n\
         Content-Transfer-Encoding: quoted-printable\n\nHallo =E2=9C=93\n",
    );
    assert_eq!(message.from, Some(Mailbox { address: "ann@example.com".into(), name: Some("Ann Müller".into()) }));
    assert_eq!(
        message.to.iter().map(|to| to.address.as_str()).collect::<Vec<_>>(),
        ["support@helpdesk.test", "b@c.d", "e@f.g"]
    );
    assert_eq!(message.subject, "Grüße from Ann");
    assert_eq!(message.date.as_deref(), Some("2026-11-03T10:00:00+01:00"));
    assert_eq!(message.message_id.as_deref(), Some("1@example.com"));
    assert_eq!(message.references, ["0@helpdesk.test", "a@x"]);
    assert_eq!(message.text, "Hallo ✓\n");
    assert!(message.attachments.is_empty());
}

#[test]
fn of_very_many_references_the_latest_are_kept() {
    let ids: Vec<String> = (0..20_000).map(|number| format!("<{number}@x>")).collect();
    let fields: Vec<String> = ids.chunks(100).map(|ids| format!("References: {}\n", ids.join(" "))).collect();
    let message = read(&format!("In-Reply-To: <0@y>\n{}\nHello\n", fields.concat()));
    assert_eq!(
        (message.references.len(), &message.references[..2]),
        (200, &["0@y".to_owned(), "19999@x".to_owned()][..])
    );
}

#[test]
fn charsets_are_decoded_and_unknown_ones_do_no_harm() {
    for (charset, bytes, expected) in [
        ("iso-8859-1", &b"caf\xe9"[..], "café"),
        ("windows-1251", b"\xcf\xf0\xe8\xe2\xe5\xf2", "Привет"),
        ("iso-2022-jp", b"\x1b$B$3$s$K$A$O\x1b(B", "こんにちは"),
        ("gb18030", b"\xc4\xe3\xba\xc3", "你好"),
        ("utf-8", b"bad \xff", "bad \u{fffd}"),
        ("x-nothing", b"plain", "plain"),
        ("\"", b"plain", "plain"),
    ] {
        let raw = [b"Content-Type: text/plain; charset=", charset.as_bytes(), b"\r\n\r\n", bytes].concat();
        assert_eq!(Message::read(&raw).unwrap().text, expected, "{charset}");
    }
}

#[test]
fn html_is_read_where_there_is_no_plain_text() {
    let message = read("Content-Type: text/html\n\n<p>Hello</p><p>you</p>\n");
    assert_eq!(message.text, "Hello\n\nyou");
    let both = read(
        "Content-Type: multipart/alternative; boundary=x\n\n--x\n\nplain\n--x\nContent-Type: text/html\n\n<b>html</b>\n\
         --x\nContent-Type: text/calendar\n\nBEGIN:VCALENDAR\n--x--\n",
    );
    assert_eq!((both.text.as_str(), both.html_text.as_deref()), ("plain", Some("html")));
    assert!(both.attachments.is_empty());
}

#[test]
fn attachments_are_listed_and_can_be_read_by_their_number() {
    let raw = "Content-Type: multipart/mixed; boundary=x\n\n--x\n\ntext\n--x\nContent-Type: application/pdf; name*=utf-8''%C3%A4.pdf\n\
               Content-Transfer-Encoding: base64\n\nJVBERg==\n--x\nContent-Type: text/plain\n\nmore\n--x\n\
               Content-Type: message/rfc822\n\nSubject: inner\n\nbody\n--x--\n";
    let message = read(raw);
    assert_eq!(message.text, "text\nmore");
    let listed: Vec<_> = message.attachments.iter().map(|a| (a.name.as_deref(), a.kind.as_str(), a.size)).collect();
    assert_eq!(listed, [(Some("ä.pdf"), "application/pdf", 4), (None, "message/rfc822", 22)]);
    assert_eq!(attachment(raw.as_bytes(), 0), Some(b"%PDF".to_vec()));
    assert_eq!(attachment(raw.as_bytes(), 1), Some(b"Subject: inner\n\nbody".to_vec()));
    assert_eq!(attachment(raw.as_bytes(), 2), None);
}

#[test]
fn a_sender_who_is_ambiguous_is_nobody() {
    for raw in [
        "From: a@b.c, d@e.f\n\n",
        "From: a@b.c\nFrom: d@e.f\n\n",
        "From: nobody\n\n",
        "From: \"a@b.c\" <>\n\n",
        "From:\n\n",
        "Subject: x\n\n",
        "From: @\n\n",
    ] {
        assert_eq!(read(raw).from, None, "{raw}");
    }
    let two = read("Authentication-Results: mx; dmarc=pass\nFrom: a@b.c\nFrom: d@e.f\n\n");
    assert!(matches!(two.sender(Some("mx")), Sender::Unproven(_)));
}

#[test]
fn odd_messages_are_read() {
    for raw in [
        &b""[..],
        b"\r\n",
        b"no header at all",
        b"\0\0\0",
        b"Subject\r\n\r\nbody",
        b"Content-Type: multipart/mixed\r\n\r\n--x\r\n\r\nbody",
        b"Content-Type: multipart/mixed; boundary=\"\"\r\n\r\n--\r\n\r\nbody",
        b"Content-Type: multipart/mixed; boundary=x\r\n\r\nno part",
        b"Content-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\n####",
        b"Content-Transfer-Encoding: quoted-printable\r\n\r\n=ZZ=",
        b"Subject: =?utf-8?B?////?= =?x?Q?\r\n\r\n",
        b"Date: Tue, 99 Foo 20266 99:99:99 +9999\r\nFrom: <<>>\r\n\r\n",
        b"Content-Type: message/rfc822\r\n\r\nContent-Type: message/rfc822\r\n\r\n",
        b"Received: from a\r\n\t\r\n",
    ] {
        let message = Message::read(raw).unwrap();
        assert!(!message.text.contains('\0') && !message.subject.contains('\0'), "{raw:?}");
        message.key("a@b");
        message.automatic(None);
        message.sender(Some("mx"));
    }
}

#[test]
fn a_text_has_a_limit_and_is_never_cut_within_a_character() {
    let message = read(&format!("Content-Type: text/plain; charset=utf-8\n\n{}", "ä".repeat(2 << 20)));
    assert!(message.text.len() <= LONGEST_TEXT && message.text.ends_with('ä'));
}
