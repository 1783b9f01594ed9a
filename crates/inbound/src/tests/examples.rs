//! Signatures that providers publish, in their documentation or in the tests of their packages.

use super::*;

const GITHUB: &str = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
const SLACK_BODY: &str = "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V\
    &channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=\
    &response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN\
    &trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c";
const SLACK: &str = "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503";
const SENDGRID_KEY: &str = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE83T4O/n84iotIvIW4mdBgQ/7dAfSmpqIM8kF9mN1flpVKS3GRqe62gw+2fNNRaINXvVpiglSI8eNEc6wEA3F+g==";
const SENDGRID_BODY: &str = "[{\"email\":\"hello@world.com\",\"event\":\"dropped\",\"reason\":\"Bounced Address\",\
    \"sg_event_id\":\"ZHJvcC0xMDk5NDkxOS1MUnpYbF9OSFN0T0doUTRrb2ZTbV9BLTA\",\
    \"sg_message_id\":\"LRzXl_NHStOGhQ4kofSm_A.filterdrecv-p3mdw1-756b745b58-kmzbl-18-5F5FC76C-9.0\",\
    \"smtp-id\":\"<LRzXl_NHStOGhQ4kofSm_A@ismtpd0039p1iad1.sendgrid.net>\",\"timestamp\":1600112492}]\r\n";
const SENDGRID: &str =
    "MEUCIGHQVtGj+Y3LkG9fLcxf3qfI10QysgDWmMOVmxG0u6ZUAiEAyBiXDWzM+uOe5W0JuG+luQAbPIqHh89M15TluLtEZtM=";
const PADDLE_SECRET: &str = "pdl_ntfset_01hs0t3tw21j988db1pam5xg8m_GrOWLNef+vmtjJYq4mSnHNzvc8uWoJ1I";
const PADDLE_BODY: &str = "{\"data\":{\"id\":\"ctm_01hs0tqf76sxmp7ba5e4mw1sc8\",\"name\":\"John Doe\",\
    \"email\":\"blackhole+verification2@paddle.com\",\"locale\":\"en\",\"status\":\"active\",\
    \"created_at\":\"2024-03-15T10:32:37.862Z\",\"updated_at\":\"2024-03-15T10:32:37.862Z\",\"custom_data\":null,\
    \"import_meta\":null,\"marketing_consent\":false},\"event_id\":\"evt_01hs0tqfme2xwb2hvwv87p8y3w\",\
    \"event_type\":\"customer.created\",\"occurred_at\":\"2024-03-15T10:32:38.286848Z\",\
    \"notification_id\":\"ntf_01hs0tqfrhgkyp39x4wyvy7h6n\"}";
const PADDLE: &str = "ts=1710498758;h1=558bf93944dbeb4790c7a8af6cb2ea435c8ca9c8396aafc1a4e37424ac132744";
const TWILIO_URL: &str = "https://mycompany.com/myapp.php?foo=1&bar=2";
const TWILIO_FORM: &str =
    "To=%2B18005551212&CallSid=CA1234567890ABCDE&Caller=%2B14158675309&Digits=1234&From=%2B14158675309";

/// Accepts the example, refuses it with another secret and with another byte in its body, and returns what was accepted.
#[track_caller]
fn assert_genuine(name: &str, secret: &str, draft: &Draft, now_ms: i64) -> Accepted {
    let scheme = provider(name);
    let mut changed = draft.clone();
    changed.body[0] ^= 1;
    assert_eq!(judge(&scheme, &[secret], &changed, now_ms).unwrap_err().stage, Stage::Signature);
    let other = if name == "sendgrid" { SENDGRID_KEY.replace("83T4O", "83T4P") } else { format!("{secret}x") };
    assert_eq!(judge(&scheme, &[&other], draft, now_ms).unwrap_err().stage, Stage::Signature);
    judge(&scheme, &[secret], draft, now_ms).expect("the example is genuine")
}

#[test]
fn the_example_of_github_is_accepted() {
    let mut draft = Draft::json(URL, "Hello, World!").with("X-Hub-Signature-256", GITHUB);
    draft.headers[0].1 = "text/plain".to_owned();
    let draft = draft.with("x-github-delivery", "72d3162e").with("X-GITHUB-EVENT", "ping");
    let accepted = assert_genuine("github", "It's a Secret to Everybody", &draft, 0);
    assert_eq!((accepted.id.as_deref(), accepted.external_type.as_deref()), (Some("72d3162e"), Some("ping")));
}

#[test]
fn the_example_of_slack_is_accepted() {
    let draft =
        Draft::form(URL, SLACK_BODY).with("X-Slack-Signature", SLACK).with("X-Slack-Request-Timestamp", "1531420618");
    let accepted = assert_genuine("slack", "8f742231b10e8888abcd99yyyzzz85a5", &draft, 1_531_420_918_000);
    assert_eq!(accepted.external_type.as_deref(), Some("/webhook-collect"));
    assert_eq!(accepted.timestamp, Some(1_531_420_618_000));
}

#[test]
fn the_example_of_sendgrid_is_accepted() {
    let draft = Draft::json(URL, SENDGRID_BODY)
        .with("X-Twilio-Email-Event-Webhook-Signature", SENDGRID)
        .with("X-Twilio-Email-Event-Webhook-Timestamp", "1600112502");
    let accepted = assert_genuine("sendgrid", SENDGRID_KEY, &draft, 1_600_112_502_000);
    assert_eq!((accepted.id, accepted.external_type), (None, None), "each event has its own");
    let events: serde_json::Value = serde_json::from_str(SENDGRID_BODY).unwrap();
    let scheme = provider("sendgrid");
    assert_eq!(scheme.id_of(&events[0]).as_deref(), Some("ZHJvcC0xMDk5NDkxOS1MUnpYbF9OSFN0T0doUTRrb2ZTbV9BLTA"));
    assert_eq!(scheme.type_of(&events[0]).as_deref(), Some("dropped"));
}

#[test]
fn the_example_of_paddle_is_accepted() {
    let draft = Draft::json(URL, PADDLE_BODY).with("Paddle-Signature", PADDLE);
    let accepted = assert_genuine("paddle", PADDLE_SECRET, &draft, 1_710_498_758_000);
    assert_eq!(accepted.id.as_deref(), Some("evt_01hs0tqfme2xwb2hvwv87p8y3w"));
    assert_eq!(accepted.external_type.as_deref(), Some("customer.created"));
}

#[test]
fn the_example_of_square_is_accepted_for_its_url_only() {
    let signature = "2kRE5qRU2tR+tBGlDwMEw2avJ7QM4ikPYD/PJ3bd9Og=";
    let draft = Draft::json("https://example.com/webhook", r#"{"hello":"world"}"#)
        .with("x-square-hmacsha256-signature", signature);
    assert_genuine("square", "asdf1234", &draft, 0);
    let elsewhere = Draft { url: "https://example.com/webhooks".to_owned(), ..draft };
    assert_denied(judge(&provider("square"), &["asdf1234"], &elsewhere, 0), Stage::Signature, "does not fit");
}

#[test]
fn the_example_of_zendesk_is_accepted_with_its_secret_as_text() {
    let draft = Draft::json(URL, r#"{"event":"ticket.updated","id":123}"#)
        .with("X-Zendesk-Webhook-Signature", "S/RDdU2ERmj7LHDDoWJ2onPYH+t7/f2+LTM4dL7UiLM=")
        .with("X-Zendesk-Webhook-Signature-Timestamp", "2021-03-25T05:09:27Z");
    let accepted = assert_genuine("zendesk", "dGhpc19zZWNyZXRfaXNfZm9yX3Rlc3Rpbmdfb25seQ==", &draft, 1_616_648_967_000);
    assert_eq!(accepted.timestamp, Some(1_616_648_967_000));
}

#[test]
fn the_examples_of_standard_webhooks_and_svix_are_accepted() {
    let draft = Draft::json(URL, r#"{"test": 2432232314}"#)
        .with("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek")
        .with("webhook-timestamp", "1614265330")
        .with("webhook-signature", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    assert_genuine("standard", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", &draft, 1_614_265_330_000);
    let draft = Draft::json(URL, r#"{"event_type":"ping","data":{"success":true}}"#)
        .with("svix-id", "msg_loFOjxBNrRLzqYUf")
        .with("svix-timestamp", "1731705121")
        .with("svix-signature", "v1,rAvfW3dJ/X/qxhsaXPOyyCGmRKsaKWcsNccKXlIktD0=");
    let accepted = assert_genuine("svix", "whsec_plJ3nmyCDGBKInavdOK15jsl", &draft, 1_731_705_121_000);
    assert_eq!(accepted.id.as_deref(), Some("msg_loFOjxBNrRLzqYUf"));
    assert_eq!(accepted.external_type.as_deref(), Some("ping"));
}

#[test]
fn the_examples_of_twilio_are_accepted() {
    let form = |url, body, signature| Draft::form(url, body).with("X-Twilio-Signature", signature);
    let draft = form(TWILIO_URL, TWILIO_FORM, "RSOYDt4T1cUTdK1PDd93/VVr8B8=").with("I-Twilio-Idempotency-Token", "u1");
    assert_eq!(assert_genuine("twilio", "12345", &draft, 0).id.as_deref(), Some("u1"));
    let documented = TWILIO_FORM.replace("75309", "75310");
    let documented = form("https://example.com/myapp.php?foo=1&bar=2", &documented, "L/OH5YylLD5NRKLltdqwSvS0BnU=");
    assert_genuine("twilio", "12345", &documented, 0);
    let repeated = "Sid=CA123&SidAccount=AC123&Digits=5678&Digits=1234&Digits=1234";
    assert_genuine("twilio", "12345", &form(TWILIO_URL, repeated, "IK+Dwps556ElfBT0I3Rgjkr1wJU="), 0);
}

#[test]
fn twilio_may_sign_the_url_with_or_without_the_port_of_its_scheme() {
    let http = TWILIO_URL.replace("https", "http");
    let ports = [(TWILIO_URL, "kvajT1Ptam85bY51eRf/AJRuM3w="), (&http, "0ZXoZLH/DfblKGATFgpif+LLRf4=")];
    for (url, signature) in ports {
        assert_genuine("twilio", "12345", &Draft::form(url, TWILIO_FORM).with("X-Twilio-Signature", signature), 0);
    }
    let with_port = TWILIO_URL.replace(".com", ".com:443");
    let draft = Draft::form(&with_port, TWILIO_FORM).with("X-Twilio-Signature", "RSOYDt4T1cUTdK1PDd93/VVr8B8=");
    assert_genuine("twilio", "12345", &draft, 0);
    let other_port = Draft { url: TWILIO_URL.replace(".com", ".com:1234"), ..draft };
    assert_denied(judge(&provider("twilio"), &["12345"], &other_port, 0), Stage::Signature, "does not fit");
}

#[test]
fn twilio_signs_json_through_its_hash_in_the_url() {
    let hash = "0a1ff7634d9ab3b95db5c9a2dfe9416e41502b283a80c7cf19632632f96e6620";
    let url = format!("{TWILIO_URL}&bodySHA256={hash}");
    let body = r#"{"property": "value", "boolean": true}"#;
    let draft = Draft::json(&url, body).with("X-Twilio-Signature", "a9nBmqA0ju/hNViExpshrM61xv4=");
    assert_genuine("twilio", "12345", &draft, 0);

    let judge = |draft: &Draft| judge(&provider("twilio"), &["12345"], draft, 0);
    let emptied = Draft { body: Vec::new(), ..draft.clone() };
    assert_denied(judge(&emptied), Stage::Signature, "hash");
    let as_form = Draft { headers: Draft::form(&url, "").headers, ..emptied };
    assert_denied(judge(&as_form.with("X-Twilio-Signature", "a9nBmqA0ju/hNViExpshrM61xv4=")), Stage::Signature, "hash");
    let unsigned = Draft::json(TWILIO_URL, body).with("X-Twilio-Signature", "RSOYDt4T1cUTdK1PDd93/VVr8B8=");
    assert_denied(judge(&unsigned), Stage::Signature, "no bodySHA256");
}

#[test]
fn the_settings_of_twilio_can_name_the_algorithm() {
    const SETTINGS: &str = "X-Twilio-Webhooks-Signature-Settings";
    let scheme = provider("twilio");
    let keys = [b"12345".to_vec()];
    let draft = Draft::form(TWILIO_URL, TWILIO_FORM).with(SETTINGS, "key=webhooks_sharedkey_1, algorithm=HMAC_SHA256");
    let mut signed = crate::signer::sign(&scheme, &keys, draft, "u1", 0);
    let signature = signed.header("X-Twilio-Signature").unwrap();
    assert_eq!(signature.len(), 44, "it has 32 bytes");
    assert_genuine("twilio", "12345", &signed, 0);
    *signed.header(SETTINGS).unwrap() = "algorithm=HMAC_SHA1".to_owned();
    assert_denied(judge(&scheme, &["12345"], &signed, 0), Stage::Signature, "does not fit");
    *signed.header(SETTINGS).unwrap() = "algorithm=NONE".to_owned();
    assert_denied(judge(&scheme, &["12345"], &signed, 0), Stage::Signature, "not known");
}

#[test]
fn mailgun_signs_a_time_and_a_token_in_json_or_in_a_form() {
    let scheme = provider("mailgun");
    let at = 1_700_000_000_000;
    let event = r#"{"event-data": {"event": "opened", "id": "Ase7i2zsRYeDXztHGENqRA"}}"#;
    let signed = crate::signer::sign(&scheme, &[b"key-1".to_vec()], Draft::json(URL, event), "t0ken", at);
    let accepted = judge(&scheme, &["key-1"], &signed, at).expect("it is genuine");
    assert_eq!((accepted.id.as_deref(), accepted.timestamp), (Some("Ase7i2zsRYeDXztHGENqRA"), Some(at)));
    assert_eq!(accepted.external_type.as_deref(), Some("opened"));

    let json: serde_json::Value = serde_json::from_slice(&signed.body).unwrap();
    let signature = json["signature"]["signature"].as_str().unwrap();
    let form = format!("subject=Hi&timestamp=1700000000&token=t0ken&signature={signature}");
    let accepted = judge(&scheme, &["key-1"], &Draft::form(URL, &form), at).expect("it is genuine");
    assert_eq!(accepted.id.as_deref(), Some("t0ken"));
    for (genuine, forged) in [("t0ken", "t0kem"), ("1700000000", "1700000001"), (signature, "00")] {
        let forged = Draft::form(URL, &form.replace(genuine, forged));
        assert_denied(judge(&scheme, &["key-1"], &forged, at), Stage::Signature, "does not fit");
    }
    assert_denied(judge(&scheme, &["key-1"], &Draft::json(URL, event), at), Stage::Signature, "has no timestamp");
}
