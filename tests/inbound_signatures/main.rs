//! Requests that the packages of providers sign are accepted by our schemes, and changed ones are not. What we sign as a
//! provider does, the packages accept and refuse as we do: so both understand the scheme in the same way.

use inbound::Scheme;
use testkit::signer::{Draft, Pair, sign};

use packages::{NPM, PYPI, Package};
use requests::{bodies, changed, judged, soon};

mod packages;
mod requests;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const OTHER_SECRET: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";

/// What the package signs is genuine for us, and nothing else is.
#[track_caller]
fn assert_we_accept_what_it_signs(package: &Package) {
    let scheme = Scheme::of_provider(package.provider).expect("it is known");
    let at = soon();
    let drafts = bodies(package.provider);
    let signed = package.sign(&drafts, SECRET, at);
    for (genuine, secret) in signed {
        assert!(judged(&scheme, &secret, &genuine, at), "{package:?} signed {genuine:?}");
        for forged in changed(&scheme, &genuine) {
            assert!(!judged(&scheme, &secret, &forged, at), "{forged:?}");
        }
        let other = if secret == SECRET { OTHER_SECRET.to_owned() } else { secret_of(&[9; 32]) };
        assert!(!judged(&scheme, &other, &genuine, at), "with another secret");
        let late = at + 301;
        assert_eq!(judged(&scheme, &secret, &genuine, late), scheme.timestamp.is_none(), "after its window");
    }
}

/// The package and our scheme say the same about what we sign, and about changes to it.
#[track_caller]
fn assert_it_judges_as_we_do(package: &Package) {
    let scheme = Scheme::of_provider(package.provider).expect("it is known");
    let at = soon();
    let (pair, other) = match package.provider {
        "sendgrid" => (Pair::of_private_key([7; 32]), secret_of(&[9; 32])),
        _ => (Pair::shared(SECRET), OTHER_SECRET.to_owned()),
    };
    let secret = String::from_utf8(pair.secret).expect("text");
    let mut cases: Vec<(Draft, String, bool)> = Vec::new();
    for draft in bodies(package.provider) {
        let genuine = sign(&scheme, std::slice::from_ref(&pair.signing), draft, "msg_1", at * 1000);
        cases.extend(changed(&scheme, &genuine).into_iter().map(|forged| (forged, secret.clone(), false)));
        cases.push((genuine.clone(), other.clone(), false));
        cases.push((genuine, secret.clone(), true));
    }
    let theirs = package.verify(&cases);
    for ((draft, secret, genuine), theirs) in cases.iter().zip(theirs) {
        assert_eq!(theirs, *genuine, "{package:?} about {draft:?}");
        assert_eq!(judged(&scheme, secret, draft, at), *genuine, "we about {draft:?}");
    }
}

fn secret_of(private: &[u8; 32]) -> String {
    String::from_utf8(Pair::of_private_key(*private).secret).expect("text")
}

#[test]
fn the_node_package_of_stripe_and_we_agree() {
    assert_we_accept_what_it_signs(&NPM.of("stripe", "stripe"));
    assert_it_judges_as_we_do(&NPM.of("stripe", "stripe"));
}

#[test]
fn the_python_package_of_stripe_and_we_agree() {
    assert_it_judges_as_we_do(&PYPI.of("stripe", "stripe"));
}

#[test]
fn the_node_package_of_svix_and_we_agree() {
    assert_we_accept_what_it_signs(&NPM.of("svix", "svix"));
    assert_it_judges_as_we_do(&NPM.of("svix", "svix"));
}

#[test]
fn the_python_package_of_svix_and_we_agree() {
    assert_we_accept_what_it_signs(&PYPI.of("svix", "svix"));
    assert_it_judges_as_we_do(&PYPI.of("svix", "svix"));
}

#[test]
fn the_node_package_of_standard_webhooks_and_we_agree() {
    assert_we_accept_what_it_signs(&NPM.of("standardwebhooks", "standard"));
    assert_it_judges_as_we_do(&NPM.of("standardwebhooks", "standard"));
}

#[test]
fn the_python_package_of_standard_webhooks_and_we_agree() {
    assert_we_accept_what_it_signs(&PYPI.of("standardwebhooks", "standard"));
    assert_it_judges_as_we_do(&PYPI.of("standardwebhooks", "standard"));
}

#[test]
fn the_node_package_of_github_and_we_agree() {
    assert_we_accept_what_it_signs(&NPM.of("@octokit/webhooks-methods", "github"));
    assert_it_judges_as_we_do(&NPM.of("@octokit/webhooks-methods", "github"));
}

#[test]
fn the_node_package_of_twilio_and_we_agree() {
    assert_we_accept_what_it_signs(&NPM.of("twilio", "twilio"));
    assert_it_judges_as_we_do(&NPM.of("twilio", "twilio"));
}

#[test]
fn the_node_package_of_sendgrid_and_we_agree() {
    assert_we_accept_what_it_signs(&NPM.of("@sendgrid/eventwebhook", "sendgrid"));
    assert_it_judges_as_we_do(&NPM.of("@sendgrid/eventwebhook", "sendgrid"));
}

#[test]
fn the_python_package_of_slack_and_we_agree() {
    assert_we_accept_what_it_signs(&PYPI.of("slack_sdk", "slack"));
    assert_it_judges_as_we_do(&PYPI.of("slack_sdk", "slack"));
}

#[test]
fn the_node_package_of_paddle_and_we_agree() {
    assert_it_judges_as_we_do(&NPM.of("@paddle/paddle-node-sdk", "paddle"));
}

#[test]
fn the_node_package_of_linear_and_we_agree() {
    assert_it_judges_as_we_do(&NPM.of("@linear/sdk", "linear"));
}

#[test]
fn the_python_package_of_square_and_we_agree() {
    assert_it_judges_as_we_do(&PYPI.of("squareup", "square"));
}
