//! Messages of mail: none fails, takes memory beyond its size, or gives text that Postgres does not store.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mail::message::attachment;
use mail::thread::{Recipient, message_ids, reply_address, tags};
use mail::{Message, reply};

fuzz_target!(|input: &[u8]| {
    let Ok(message) = Message::read(input) else { return };
    let new = reply::cut(&message.text);
    for text in [&message.subject, &message.text, &new] {
        assert!(!text.contains('\0'));
    }
    assert!(message.text.len() <= 1 << 20 && new.len() <= message.text.len());
    for (index, listed) in message.attachments.iter().enumerate() {
        assert_eq!(attachment(input, index).map(|content| content.len()), Some(listed.size));
    }
    if let Some(from) = &message.from {
        assert!(from.address.contains('@') && !from.address.contains(char::is_whitespace));
        if let Some(address) = reply_address(b"key", &from.address, "k3f9x2qd") {
            let recipient = Recipient::parse(&address).expect("an address");
            assert_eq!(recipient.tag(b"key", &from.address).as_deref(), Some("k3f9x2qd"));
        }
    }
    message.sender(Some("mx.helpdesk.test"));
    message.automatic(None);
    message.key("support@helpdesk.test");
    tags(&message.subject);
    message_ids(&message.subject);
});
