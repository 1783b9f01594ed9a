//! Each verifier accepts what the extension sends and refuses forgeries.

use testkit::PATIENCE;
use testkit::receiver::{Answer, Signature};

use crate::forgeries::Case;
use crate::verifiers::{
    DOCUMENTED_NODE, DOCUMENTED_PHP, OCTOKIT_NPM, READERS_OF_LISTS, STANDARD_NPM, STANDARD_PYPI, STRIPE_NPM,
    STRIPE_PYPI, SVIX_NPM, SVIX_PYPI, Verifier, assert_refuses_forgeries,
};
use crate::{PATH, Signed};

/// `more` are arguments of the subscription.
#[track_caller]
fn assert_verifies_what_we_send_alone(verifier: &Verifier, database: &str, more: &[&str]) {
    let mut signed = Signed::new(database, more);
    let genuine = Case::of(&signed.request(), &signed.secret);
    let stranger = signed.rotate("0");
    assert_refuses_forgeries(verifier, &genuine, &stranger);
}

#[test]
fn the_python_library_of_stripe_accepts_our_requests_and_refuses_forged_ones() {
    assert_verifies_what_we_send_alone(&STRIPE_PYPI, "stripe_pypi", &[]);
}

#[test]
fn the_node_library_of_stripe_accepts_our_requests_and_refuses_forged_ones() {
    assert_verifies_what_we_send_alone(&STRIPE_NPM, "stripe_npm", &[]);
}

#[test]
fn the_python_library_of_standard_webhooks_accepts_our_requests_and_refuses_forged_ones() {
    assert_verifies_what_we_send_alone(&STANDARD_PYPI, "standard_pypi", &["preset => 'standard'"]);
}

#[test]
fn the_node_library_of_standard_webhooks_accepts_our_requests_and_refuses_forged_ones() {
    assert_verifies_what_we_send_alone(&STANDARD_NPM, "standard_npm", &["preset => 'standard'"]);
}

#[test]
fn the_python_library_of_svix_accepts_our_requests_and_refuses_forged_ones() {
    assert_verifies_what_we_send_alone(&SVIX_PYPI, "svix_pypi", &["preset => 'standard'"]);
}

#[test]
fn the_node_library_of_svix_accepts_our_requests_and_refuses_forged_ones() {
    assert_verifies_what_we_send_alone(&SVIX_NPM, "svix_npm", &["preset => 'standard'"]);
}

#[test]
fn the_node_library_of_github_accepts_our_requests_and_refuses_forged_ones() {
    assert_verifies_what_we_send_alone(&OCTOKIT_NPM, "octokit_npm", &["signatures => '{github}'"]);
}

#[test]
fn the_documented_code_for_node_accepts_our_requests_and_refuses_forged_ones() {
    assert_verifies_what_we_send_alone(&DOCUMENTED_NODE, "documented_node", &[]);
}

#[test]
fn the_documented_code_for_php_accepts_our_requests_and_refuses_forged_ones() {
    assert_verifies_what_we_send_alone(&DOCUMENTED_PHP, "documented_php", &["preset => 'x_webhook'"]);
}

#[test]
fn a_retry_verifies_as_well_as_the_first_attempt() {
    let mut signed = Signed::new("retry", &["retry_schedule => '{1.5 s}'"]);
    signed.bench.receiver.answer_first(PATH, 1, Answer::status(500));
    signed.request();
    let requests = signed.bench.receiver.wait_for(PATH, 2, PATIENCE);
    let cases: Vec<Case> = requests.iter().map(|request| Case::of(request, &signed.secret)).collect();
    let [first, second] = [&cases[0], &cases[1]].map(|case| &case.headers["x-hydra-signature"]);
    assert_ne!(first, second, "it has a new signature");
    assert_eq!(STRIPE_PYPI.accepts(&cases), [true, true]);
    assert_eq!(DOCUMENTED_NODE.accepts(&cases), [true, true]);
}

#[test]
fn a_request_can_carry_signatures_of_several_schemes_and_verifiers_of_each_refuse_forgeries() {
    let mut signed = Signed::new("several_kinds", &["signatures => '{hydra,standard,github}'"]);
    let request = signed.request();
    // The receiver verifies every signature that the request has.
    assert_eq!(request.signature, Signature::Verified);
    assert_eq!(request.header("webhook-id"), request.header("X-Hydra-Delivery"));
    let genuine = Case::of(&request, &signed.secret);
    let stranger = signed.rotate("0");
    for verifier in READERS_OF_LISTS.into_iter().chain([&DOCUMENTED_NODE, &OCTOKIT_NPM]) {
        assert_refuses_forgeries(verifier, &genuine, &stranger);
    }
}

#[test]
fn a_subscription_signs_with_the_schemes_that_it_names_and_no_other() {
    let mut signed = Signed::new("one_kind", &["signatures => '{standard}'"]);
    let request = signed.request();
    assert_eq!(request.signature, Signature::Verified);
    assert!(request.header("webhook-signature").is_some());
    assert_eq!((request.header("X-Hydra-Signature"), request.header("X-Hub-Signature-256")), (None, None));
}
