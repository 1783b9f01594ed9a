//! What people should change so that a request like one that was refused is accepted: found by trying what they mistake most
//! often. This costs several times as much as verifying, so it is not done while requests arrive.

use super::mac::{self, Signed};
use super::signature::Header;
use super::{Request, Stage, timestamp};
use crate::arriving::Arriving;
use crate::scheme::{Declared, KeyForm, Piece, Scheme, Signature};

pub fn find(scheme: &Scheme, secrets: &[Vec<u8>], arriving: &Arriving<'_>, refused_at: Stage) -> Option<String> {
    let declared = match &scheme.signature {
        Some(Signature::Declared(declared)) => Some(declared),
        _ => None,
    };
    let header = declared.and_then(|declared| Header::read(declared, arriving).ok());
    let (Some(declared), Some(_)) = (declared, header) else {
        return other_provider(scheme, arriving);
    };
    if refused_at != Stage::Signature {
        return None;
    }
    let fits = |declared: &Declared, arriving: &Arriving<'_>| fits(scheme, declared, secrets, arriving);
    key_form(declared, |declared| fits(declared, arriving))
        .or_else(|| url(declared, arriving, |url| fits(declared, url)))
}

/// Returns whether a declaration that differs from that of the scheme fits, whatever the time is.
fn fits(scheme: &Scheme, declared: &Declared, secrets: &[Vec<u8>], arriving: &Arriving<'_>) -> bool {
    let request = Request::new(scheme, arriving);
    let attempt = || {
        let header = Header::read(declared, arriving).ok()?;
        let timestamp = timestamp::written(scheme, &header, arriving).ok()?;
        let signed = Signed { timestamp, id: request.signed_id(declared).ok()? };
        mac::verify(&request, declared, &header, signed, secrets, &mut Vec::new()).ok()
    };
    attempt().is_some()
}

fn key_form(declared: &Declared, fits: impl Fn(&Declared) -> bool) -> Option<String> {
    let forms = [(KeyForm::Text, "as text"), (KeyForm::Base64, "as base64"), (KeyForm::Hex, "as hexadecimal digits")];
    let prefixes = [declared.key_prefix.clone(), Some("whsec_".to_owned()), None];
    for (key, said) in forms {
        for key_prefix in prefixes.clone() {
            let with_prefix = match &key_prefix {
                Some(prefix) => format!(" without {prefix}"),
                None => String::new(),
            };
            if fits(&Declared { key, key_prefix, ..declared.clone() }) {
                return Some(format!("The signature fits if the secret is read {said}{with_prefix}."));
            }
        }
    }
    None
}

fn url(declared: &Declared, arriving: &Arriving<'_>, fits: impl Fn(&Arriving<'_>) -> bool) -> Option<String> {
    if !declared.signs.has(&Piece::Url) {
        return None;
    }
    let url = arriving.url;
    let without_query = url.split('?').next().unwrap_or_default();
    let other_scheme = match url.strip_prefix("https://") {
        Some(rest) => format!("http://{rest}"),
        None => url.replacen("http://", "https://", 1),
    };
    let other_slash = url.strip_suffix('/').map_or_else(|| format!("{url}/"), str::to_owned);
    let tried = [
        (other_scheme, "with the other of http and https"),
        (other_slash, "with or without a slash at its end"),
        (without_query.to_owned(), "without its query"),
    ];
    let found = tried.iter().find(|(url, _)| fits(&Arriving { url, ..*arriving }))?;
    Some(format!("The signature fits the URL {}. The setting hydra_webhooks.public_url decides the URL.", found.1))
}

fn other_provider(scheme: &Scheme, arriving: &Arriving<'_>) -> Option<String> {
    let signs = |name: &&&str| match Scheme::of_provider(name) {
        Some(other) if other != *scheme => match &other.signature {
            Some(Signature::Declared(declared)) => {
                Header::read(declared, arriving).is_ok_and(|header| header.has_any())
            }
            _ => false,
        },
        _ => false,
    };
    let names: Vec<&str> = Scheme::provider_names().iter().filter(signs).copied().collect();
    (!names.is_empty()).then(|| format!("The request has the signature header of: {}.", names.join(", ")))
}
