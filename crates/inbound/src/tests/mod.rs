use crate::scheme::Scheme;
use crate::signer::Draft;
use crate::verify::{Accepted, Denied, Stage, Verdict, verify};

mod documented;
mod examples;
mod explanations;
mod forgeries;
mod handshakes;
mod keys;
mod schemes;
mod windows;

const URL: &str = "https://hooks.example.com/in/secret";

fn provider(name: &str) -> Scheme {
    Scheme::of_provider(name).unwrap_or_else(|| panic!("there is no provider {name}"))
}

fn judge(scheme: &Scheme, secrets: &[&str], draft: &Draft, now_ms: i64) -> Result<Accepted, Denied> {
    let secrets: Vec<Vec<u8>> = secrets.iter().map(|secret| secret.as_bytes().to_vec()).collect();
    match verify(scheme, &secrets, &draft.arriving(), now_ms)? {
        Verdict::Accepted(accepted) => Ok(accepted),
        Verdict::Handshake(reply) => panic!("it was taken for a handshake: {reply:?}"),
    }
}

#[track_caller]
fn assert_denied(result: Result<Accepted, Denied>, stage: Stage, reason: &str) {
    let denied = result.expect_err("it is refused");
    assert!(denied.stage == stage && denied.reason.contains(reason), "{denied:?}");
}
