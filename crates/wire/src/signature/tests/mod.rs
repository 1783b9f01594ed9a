use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::*;

mod forgeries;

// The example of the Standard Webhooks libraries' own tests.
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const AT: u64 = 1_614_265_330;
const BODY: &str = r#"{"test": 2432232314}"#;
const HYDRA: &str = "t=1614265330,v1=2e37df5d4a028c51a7f3133d64ae1e300d2c2c900f1b1d49d4369ad2530f8964";

fn secret(text: &str) -> SigningSecret {
    SigningSecret::from(text.to_owned())
}

fn signed(body: &str) -> Signed<'_> {
    Signed { id: DeliveryId([7; 16]), at: AT, body }
}

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}

fn accepts(header: &str, now: u64) -> bool {
    verify(BODY, header, &secret(SECRET), Duration::from_secs(300), at(now))
}

#[test]
fn the_standard_value_is_that_of_the_official_libraries() {
    let value = standard_value(&secret(SECRET), "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", BODY);
    assert_eq!(value, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
}

#[test]
fn the_hydra_value_signs_time_and_body_with_the_whole_secret() {
    let headers = headers(&[Scheme::Hydra], &[secret(SECRET)], signed(BODY));
    assert_eq!(headers, [("X-Hydra-Signature", HYDRA.to_owned())]);
}

#[test]
fn the_x_webhook_value_signs_the_same_and_has_the_time_in_another_header() {
    let headers = headers(&[Scheme::XWebhook], &[secret(SECRET)], signed(BODY));
    let digest = HYDRA.split_once("v1=").expect("its form").1;
    let expected = [("X-Webhook-Timestamp", AT.to_string()), ("X-Webhook-Signature", format!("sha256={digest}"))];
    assert_eq!(headers, expected);
}

#[test]
fn the_github_value_is_the_documented_one() {
    let headers = headers(&[Scheme::Github], &[secret("It's a Secret to Everybody")], signed("Hello, World!"));
    let value = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
    assert_eq!(headers, [("X-Hub-Signature-256", value.to_owned())]);
}

#[test]
fn a_request_can_carry_several_schemes() {
    let headers = headers(&Scheme::ALL, &[secret(SECRET)], signed(BODY));
    let names: Vec<_> = headers.iter().map(|(name, _)| *name).collect();
    let expected = [
        "X-Hydra-Signature",
        "X-Webhook-Timestamp",
        "X-Webhook-Signature",
        "webhook-id",
        "webhook-timestamp",
        "webhook-signature",
        "X-Hub-Signature-256",
    ];
    assert_eq!(names, expected);
    assert_eq!(headers[3].1, "07070707-0707-0707-0707-070707070707");
    assert_eq!(headers[4].1, "1614265330");
}

#[test]
fn two_live_secrets_sign_the_newest_first_or_the_newest_alone_where_there_is_room_for_one() {
    let (new, old) = (secret("whsec_bmV3"), secret("whsec_b2xk"));
    let one = |secret: &SigningSecret, scheme| header_values(scheme, std::slice::from_ref(secret), signed(BODY));
    let both = |scheme| header_values(scheme, &[new.clone(), old.clone()], signed(BODY));

    let (v_new, v_old) = (&one(&new, Scheme::Hydra)[0], &one(&old, Scheme::Hydra)[0]);
    assert_eq!(both(Scheme::Hydra)[0], format!("{v_new},{}", v_old.split_once(',').unwrap().1));
    let (s_new, s_old) = (&one(&new, Scheme::Standard)[2], &one(&old, Scheme::Standard)[2]);
    assert_eq!(both(Scheme::Standard)[2], format!("{s_new} {s_old}"));
    assert_eq!(both(Scheme::Github), one(&new, Scheme::Github));
    assert_eq!(both(Scheme::XWebhook), one(&new, Scheme::XWebhook));
}

#[test]
fn a_new_secret_is_whsec_and_32_bytes_in_padded_base64() {
    let made = SigningSecret::random(&mut rand::rng());
    let bytes = STANDARD.decode(made.expose().strip_prefix("whsec_").unwrap()).unwrap();
    assert_eq!(bytes.len(), 32);
    assert!(made.expose().ends_with('='));
    assert_ne!(made.expose(), SigningSecret::random(&mut rand::rng()).expose());
}

#[test]
fn a_secret_is_not_printed_by_accident() {
    assert_eq!(format!("{:?}", secret(SECRET)), "SigningSecret(hidden)");
}

#[test]
fn the_names_of_schemes_are_read_as_they_are_written() {
    for scheme in Scheme::ALL {
        assert_eq!(Scheme::parse(scheme.as_str()), Some(scheme));
    }
    assert_eq!(Scheme::parse("Hydra"), None);
    assert_eq!(Scheme::parse(""), None);
}

#[test]
fn what_was_signed_verifies() {
    assert!(accepts(HYDRA, AT));
    assert!(!verify("{}", HYDRA, &secret(SECRET), Duration::from_secs(300), at(AT)));
    assert!(!verify(BODY, HYDRA, &secret("whsec_other"), Duration::from_secs(300), at(AT)));
}

#[test]
fn any_of_several_values_may_match() {
    let digest = HYDRA.split_once("v1=").unwrap().1;
    let wrong = "0".repeat(64);
    assert!(accepts(&format!("t={AT},v1={wrong},v1={digest}"), AT));
    assert!(accepts(&format!("v0=zz,v1={digest},v1={wrong},t={AT}"), AT));
    assert!(!accepts(&format!("t={AT},v1={wrong}"), AT));
}

#[test]
fn a_time_outside_the_tolerance_is_refused_in_either_direction() {
    assert!(accepts(HYDRA, AT + 300));
    assert!(accepts(HYDRA, AT - 300));
    assert!(!accepts(HYDRA, AT + 301));
    assert!(!accepts(HYDRA, AT - 301));
}

#[test]
fn a_header_that_cannot_be_read_is_refused() {
    let digest = HYDRA.split_once("v1=").unwrap().1;
    let huge = format!("t=99999999999999999999999,v1={digest}");
    let twice = format!("t={AT},t={AT},v1={digest}");
    let no_time = format!("v1={digest}");
    let short = format!("t={AT},v1={}", &digest[..62]);
    let odd = format!("t={AT},v1={}", &digest[..63]);
    let negative = format!("t=-1,v1={digest}");
    let garbage = ["", ",", "=", "t=", "v1=", "t=1,v1", "\u{0}", "t=é,v1=ü", &huge, &twice, &no_time, &short, &odd];
    for header in garbage.into_iter().chain([negative.as_str()]) {
        assert!(!accepts(header, AT), "{header:?} was accepted");
    }
}
